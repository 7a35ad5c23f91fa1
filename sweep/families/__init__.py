"""Model families: each builds one network, and the same network for many lanes at once.

The family `NAME` is `FAMILY` in `sweep.families.NAME`; its hyperparameters, which need no torch,
are in `sweep.definitions.FAMILIES[NAME]`.

Shape legend: B batch, K lanes, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from sweep.definitions import FAMILIES, Params
from sweep.families.own import OwnFamily
from sweep.records import DataSpec, Model, OwnNetwork

__all__ = ["Family", "StackableFamily", "StackedNetwork", "load_family"]


class StackedNetwork(Protocol):
    """The networks of K configurations, computed at once.

    `parameters` are leaf tensors, each for a layer of several lanes; `weights` are each lane's
    views of them, as from `lanes`. `buffers` are what each lane's network keeps besides, such as
    running means, in the order of its `buffers()` and without padding: views of what `forward`
    uses and updates. All are zero until the caller copies the single networks in.
    Under autocast, the graph casts them like those of a module.
    """

    parameters: list[Tensor]
    weights: list[list[Tensor]]
    buffers: list[list[Tensor]]

    def lanes(self, tensors: Sequence[Tensor]) -> list[list[Tensor]]:
        """Each lane's views of tensors shaped like `parameters`, padding included.

        They are in the order of the single network's parameters, and have their dimensions with
        padding at the ends; that of a vector may have further dimensions of 1.
        """
        ...

    def trim(self, position: int, views: Sequence[Tensor]) -> list[Tensor]:
        """A lane's views without padding, shaped as the single network's parameters."""
        ...

    def forward(
        self, inputs: Tensor, generators: Sequence[torch.Generator] | None = None
    ) -> Tensor:
        """Logits, shape (K, C, B), of normalised inputs: differentiable.

        Inputs have shape (B, *input_shape) if all lanes read the same, (K, B, *input_shape) if each
        has its own. `generators` are each lane's source of random numbers in training, None
        otherwise; buffers are only updated in training.
        """
        ...


class Family(Protocol):
    """A kind of network (see `sweep.definitions.FamilyDefinition` for its hyperparameters)."""

    def build(self, params: Params, spec: DataSpec) -> nn.Module:
        """The network of a configuration, its weights drawn from torch's global generator.

        It maps normalised examples, shape (B, *input_shape), to logits, shape (B, C). In training,
        too, it draws from torch's global generator.
        """
        ...


class StackableFamily(Family, Protocol):
    """A family whose definition allows stacking."""

    def stack_key(self, params: Params) -> tuple[Any, ...]:
        """Sort key of the lanes of a stack."""
        ...

    def stack(
        self, params: Sequence[Params], spec: DataSpec, *, device: torch.device, dtype: torch.dtype
    ) -> StackedNetwork:
        """Several configurations, sorted by `stack_key`, as one network."""
        ...


def load_family(model: Model) -> Family:
    """The family of a model.

    A user's network must be the one that the user gave for this command: its code is run.

    Raises:
        InputError: the code of a user's network cannot be run.
        KeyError: there is no family of this name.
    """
    if isinstance(model, OwnNetwork):
        return OwnFamily(model)
    family: Family = import_module(f"{__name__}.{FAMILIES[model].name}").FAMILY
    return family
