"""How the lanes of a stack are arranged. Plain Python, no tensors.

The first layers of all lanes are one matrix product if all lanes read the same batch. Lanes of one
kind, which agree in width, shape and normalisation, form a block, whose further layers are batched
products. In a block lanes are sorted by depth, deepest first, and by activation, so that tensors
are split, never gathered.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import NamedTuple

from sweep.definitions import MlpParameters

__all__ = ["Block", "Run", "plan_blocks", "stack_key", "stacked_width"]

_STEPS_PER_OCTAVE = 8


class Run(NamedTuple):
    """Neighbours of a block, by their positions there, that share an activation."""

    activation: str
    lanes: slice


@dataclass(frozen=True, slots=True)
class Block:
    """Neighbouring lanes of one kind, deepest first.

    Attributes:
        first: Position in the stack of the block's first lane.
        width: Rows of each lane in the first layer: hidden units with padding, or the number of
            classes for lanes without a hidden layer.
    """

    first: int
    width: int
    lanes: tuple[MlpParameters, ...]
    num_classes: int

    @property
    def num_rows(self) -> int:
        """The block's rows of the first layer."""
        return len(self.lanes) * self.width

    @property
    def widths(self) -> list[int]:
        """Units with padding of each hidden layer of the deepest lane."""
        return replace(self.lanes[0], layer_size=self.width).hidden_sizes(self.num_classes)

    def having(self, layer: int) -> int:
        """How many lanes have hidden layer `layer` (0 is the first): they come first."""
        return sum(network.num_layers - 1 > layer for network in self.lanes)

    def sizes(self, layer: int) -> list[int]:
        """Units without padding of the lanes that have hidden layer `layer`."""
        lanes = self.lanes[: self.having(layer)]
        return [network.hidden_sizes(self.num_classes)[layer] for network in lanes]

    def runs(self, layer: int) -> list[Run]:
        """Neighbours with one activation in hidden layer `layer`, all ending there or none."""
        deeper = self.having(layer + 1)
        lanes = enumerate(self.lanes[: self.having(layer)])
        runs, start = [], 0
        for (name, _), run in groupby(
            lanes, key=lambda lane: (lane[1].activation, lane[0] < deeper)
        ):
            stop = start + len(list(run))
            runs.append(Run(name, slice(start, stop)))
            start = stop
        return runs

    def outputs(self) -> list[tuple[int, int]]:
        """Runs of lanes whose last hidden layers are equally wide: this width, how many lanes."""
        last = [self.widths[network.num_layers - 2] for network in self.lanes]
        return [(width, len(list(run))) for width, run in groupby(last)]


def stacked_width(layer_size: int) -> int:
    """The width of a lane in a stack: rounded up to one of eight steps per octave.

    Lanes of similar width then share batched products, and padding adds at most an eighth; powers
    of two get none.
    """
    step = max(1, (1 << (layer_size.bit_length() - 1)) // _STEPS_PER_OCTAVE)
    return math.ceil(layer_size / step) * step


def stack_key(network: MlpParameters) -> tuple[tuple[int, str, str], int, str]:
    """Sort key of the lanes of a stack: kind, depth, activation.

    The kind is width, shape and normalisation, with the same value for all that have no effect.
    """
    num_hidden = network.num_layers - 1
    kind = (
        stacked_width(network.layer_size) if num_hidden else 0,
        network.width_shape if num_hidden > 1 else "constant",
        network.normalization if num_hidden else "none",
    )
    return (kind, -num_hidden, network.activation)


def plan_blocks(networks: Sequence[MlpParameters], num_classes: int) -> list[Block]:
    """The blocks of a stack of these networks, which are sorted by `stack_key`."""
    blocks: list[Block] = []
    first = 0
    for (width, *_), group in groupby(networks, key=lambda network: stack_key(network)[0]):
        blocks.append(Block(first, width or num_classes, tuple(group), num_classes))
        first += len(blocks[-1].lanes)
    return blocks
