"""The multi-layer perceptron, and the same network for many lanes at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from sweep.definitions import MlpParameters, Params, view
from sweep.families.mlp.lanes import StackedMLP
from sweep.families.mlp.layout import stack_key
from sweep.families.mlp.network import MLP
from sweep.records import DataSpec

__all__ = ["FAMILY", "MLP", "StackedMLP"]


class _Mlp:
    """The family (see `sweep.families.Family`)."""

    def build(self, params: Params, spec: DataSpec) -> MLP:
        return MLP(view(MlpParameters, params), spec)

    def stack_key(self, params: Params) -> tuple[Any, ...]:
        return stack_key(view(MlpParameters, params))

    def stack(
        self, params: Sequence[Params], spec: DataSpec, *, device: torch.device, dtype: torch.dtype
    ) -> StackedMLP:
        networks = [view(MlpParameters, each) for each in params]
        return StackedMLP(networks, spec, device=device, dtype=dtype)


FAMILY = _Mlp()
