"""How the lanes of a stack lie beside each other. Plain Python, no tensors.

All lanes read the same batch, so their first layers are one matrix product: its rows are the
hidden units of all lanes. Lanes of one width form a block, whose further layers are batched
products. Within a block lanes are sorted by depth, deepest first, so that the lanes that have a
certain hidden layer are the first ones, and by activation, so that the lanes that share one are
neighbours: tensors are split, never gathered.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from sweep.definitions import MlpParameters

__all__ = ["Block", "Run", "plan_blocks", "stack_key", "stacked_width"]

_STEPS_PER_OCTAVE = 8


class Run(NamedTuple):
    """Neighbours of a block that share an activation.

    Attributes:
        activation: Its name.
        lanes: Their positions in the block.
    """

    activation: str
    lanes: slice


@dataclass(frozen=True, slots=True)
class Block:
    """Neighbouring lanes of one width.

    Attributes:
        first: Position in the stack of the block's first lane.
        width: Rows of each lane in the first layer: hidden units, padding included, or, for
            lanes without a hidden layer, the number of classes.
        num_hidden: Hidden layers of each lane, in falling order.
        layer_sizes: Hidden units of each lane without padding.
        activations: Name of each lane's activation.
        dropouts: Each lane's probability of dropping a hidden unit.
    """

    first: int
    width: int
    num_hidden: tuple[int, ...]
    layer_sizes: tuple[int, ...]
    activations: tuple[str, ...]
    dropouts: tuple[float, ...]

    @property
    def num_lanes(self) -> int:
        """Lanes of the block."""
        return len(self.num_hidden)

    @property
    def num_rows(self) -> int:
        """The block's rows of the first layer."""
        return self.num_lanes * self.width

    @property
    def depth(self) -> int:
        """Hidden layers of the deepest lane."""
        return self.num_hidden[0]

    def having(self, layer: int) -> int:
        """How many lanes have hidden layer `layer` (0 is the first): they come first."""
        return sum(count > layer for count in self.num_hidden)

    def runs(self, layer: int) -> list[Run]:
        """Neighbours that share the activation of hidden layer `layer`, and go on or end there."""
        deeper = self.having(layer + 1)
        names = enumerate(self.activations[: self.having(layer)])
        runs, start = [], 0
        for (name, _), lanes in groupby(names, key=lambda lane: (lane[1], lane[0] < deeper)):
            stop = start + len(list(lanes))
            runs.append(Run(name, slice(start, stop)))
            start = stop
        return runs


def stacked_width(layer_size: int) -> int:
    """The width that a lane has in a stack: rounded up to one of eight steps per octave.

    Lanes of nearly the same width then share batched products, and padding adds at most an
    eighth. Powers of two are not padded at all.
    """
    step = max(1, (1 << (layer_size.bit_length() - 1)) // _STEPS_PER_OCTAVE)
    return math.ceil(layer_size / step) * step


def stack_key(network: MlpParameters) -> tuple[int, int, str]:
    """The key by which the lanes of a stack are sorted: width, depth, activation."""
    num_hidden = network.num_layers - 1
    width = stacked_width(network.layer_size) if num_hidden else 0
    return (width, -num_hidden, network.activation)


def plan_blocks(networks: Sequence[MlpParameters], num_classes: int) -> list[Block]:
    """The blocks of a stack.

    Args:
        networks: One for each lane, sorted by `stack_key`.
        num_classes: C.
    """
    blocks: list[Block] = []
    first = 0
    for width, group in groupby(networks, key=lambda network: stack_key(network)[0]):
        lanes = list(group)
        block = Block(
            first=first,
            width=width or num_classes,
            num_hidden=tuple(network.num_layers - 1 for network in lanes),
            layer_sizes=tuple(network.layer_size for network in lanes),
            activations=tuple(network.activation for network in lanes),
            dropouts=tuple(network.dropout for network in lanes),
        )
        blocks.append(block)
        first += block.num_lanes
    return blocks
