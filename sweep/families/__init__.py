"""Model families: what builds a network, and the same network for many lanes at once.

A family `NAME` is the module `sweep.families.NAME` with the value `FAMILY`; what is known of it
without torch is `sweep.definitions.FAMILIES[NAME]`.

Shape legend: B batch, K lanes, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from sweep.definitions import FAMILIES, Params
from sweep.records import DataSpec

__all__ = ["Family", "StackedNetwork", "load_family"]


class StackedNetwork(Protocol):
    """The networks of K configurations, computed at once.

    Its parameters are zero at first; whoever makes it copies those of the single networks in. Under
    autocast, they are cast in the graph as those of a module are.

    Attributes:
        parameters: Leaf tensors, each of which holds a layer of several lanes.
        weights: Views of each lane's part of them, as `lanes` gives them.
    """

    parameters: list[Tensor]
    weights: list[list[Tensor]]

    def lanes(self, tensors: Sequence[Tensor]) -> list[list[Tensor]]:
        """Cut tensors shaped like `parameters` into lanes.

        Returns:
            For each lane views of its part, padding included, in the order of the parameters of its
            single network.
        """
        ...

    def trim(self, position: int, views: Sequence[Tensor]) -> list[Tensor]:
        """Take the padding from a lane's views: shaped as the single network's parameters."""
        ...

    def forward(
        self, inputs: Tensor, generators: Sequence[torch.Generator] | None = None
    ) -> Tensor:
        """Compute the logits of all lanes: ordinary differentiable code.

        Args:
            inputs: The batch that all lanes read, normalised, shape (B, *input_shape).
            generators: Each lane's source of random numbers while training; None otherwise.

        Returns:
            Logits, shape (K, C, B).
        """
        ...


class Family(Protocol):
    """A kind of network (see `sweep.definitions.FamilyDefinition` for its hyperparameters)."""

    def build(
        self, params: Params, spec: DataSpec, generator: torch.Generator | None = None
    ) -> nn.Module:
        """The network of a configuration, its weights drawn from torch's global generator.

        Args:
            params: The configuration.
            spec: Describes the data.
            generator: Source of the random numbers that the network draws while it is trained, on
                the device where it will be; torch's global one if None.

        Returns:
            A module that takes normalised examples, shape (B, *input_shape), and gives logits,
            shape (B, C). Its state is its parameters alone.
        """
        ...

    def stack_key(self, params: Params) -> tuple[Any, ...]:
        """The key by which the lanes of a stack are sorted.

        Asked only if the family's definition says that its networks can be stacked.
        """
        ...

    def stack(
        self, params: Sequence[Params], spec: DataSpec, *, device: torch.device, dtype: torch.dtype
    ) -> StackedNetwork:
        """The networks of several configurations as one; `params` are sorted by `stack_key`."""
        ...


def load_family(name: str) -> Family:
    """The family of this name.

    Raises:
        KeyError: there is none.
    """
    family: Family = import_module(f"{__name__}.{FAMILIES[name].name}").FAMILY
    return family
