"""The smallest model family: softmax regression with a factor.

Shape legend: B batch, K lanes, D inputs, C classes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from sweep.definitions import FAMILIES, Cost, FamilyDefinition, Params, view
from sweep.definitions.parameters import declared, real
from sweep.records import DataSpec


@dataclass(frozen=True, slots=True)
class LinearParameters:
    scale: float = real("Factor of the logits.", 1.0, minimum=0.1, maximum=10.0)


def _cost(_params: Params, spec: DataSpec) -> Cost:
    weights, classes = spec.num_inputs * spec.num_classes, spec.num_classes
    return Cost(weights + classes, 4 * weights, weights + classes, 8 * classes, 6 * classes)


def definition(*, stackable: bool) -> FamilyDefinition:
    return FamilyDefinition(
        name="linear",
        parameters=declared(LinearParameters),
        idle=lambda _: frozenset(),
        cost=_cost,
        stack_key=(lambda _: ()) if stackable else None,
    )


class Linear(nn.Module):
    def __init__(self, params: Params, spec: DataSpec) -> None:
        super().__init__()
        self.layer = nn.Linear(spec.num_inputs, spec.num_classes)
        self.scale = view(LinearParameters, params).scale

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layer(inputs.flatten(1)) * self.scale


class LinearStack:
    def __init__(
        self, params: Sequence[Params], spec: DataSpec, device: torch.device, dtype: torch.dtype
    ) -> None:
        def zeros(*shape: int) -> Tensor:
            return torch.zeros(len(params), *shape, device=device, dtype=dtype, requires_grad=True)

        self.parameters = [zeros(spec.num_classes, spec.num_inputs), zeros(spec.num_classes)]
        self.weights = self.lanes([parameter.detach() for parameter in self.parameters])
        self.buffers = [[] for _ in params]
        scales = [view(LinearParameters, each).scale for each in params]
        self.scales = torch.tensor(scales, device=device, dtype=dtype).view(-1, 1, 1)
        self.input_shape = spec.input_shape

    def lanes(self, tensors: Sequence[Tensor]) -> list[list[Tensor]]:
        return [list(lane) for lane in zip(*(t.unbind() for t in tensors), strict=True)]

    def trim(self, position: int, views: Sequence[Tensor]) -> list[Tensor]:
        return list(views)

    def forward(
        self, inputs: Tensor, generators: Sequence[torch.Generator] | None = None
    ) -> Tensor:
        weight, bias = self.parameters
        columns = inputs.flatten(-len(self.input_shape)).mT  # of all lanes, or of each
        return (weight @ columns + bias.unsqueeze(2)) * self.scales


class LinearFamily:
    def build(self, params: Params, spec: DataSpec) -> nn.Module:
        return Linear(params, spec)

    def stack_key(self, params: Params) -> tuple[()]:
        return ()

    def stack(
        self, params: Sequence[Params], spec: DataSpec, *, device: torch.device, dtype: torch.dtype
    ) -> LinearStack:
        return LinearStack(params, spec, device, dtype)


def register(monkeypatch: pytest.MonkeyPatch, *, stackable: bool = True) -> None:
    """Register the family for the rest of a test."""
    module = ModuleType("sweep.families.linear")
    module.FAMILY = LinearFamily()
    monkeypatch.setitem(sys.modules, "sweep.families.linear", module)
    monkeypatch.setitem(FAMILIES, "linear", definition(stackable=stackable))
