"""How the lanes of a stack lie beside each other. Plain Python, no tensors.

All lanes read the same batch, so their first layers are one matrix product: its rows are the
hidden units of all lanes. Lanes of one width form a block, whose further layers are batched
products. Within a block lanes are sorted by depth, deepest first, so that the lanes that have a
certain hidden layer are the first ones, and by activation, so that the lanes that share one are
neighbours: both are slices, never gathers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from sweep.records import TrialConfig

__all__ = ["Block", "plan_blocks", "stack_order", "stacked_width"]

_STEPS_PER_OCTAVE = 8


@dataclass(frozen=True, slots=True)
class Block:
    """Neighbouring lanes of one width.

    Attributes:
        first: Position in the stack of the block's first lane.
        row: Row of the first layer where the block begins.
        width: Rows of each lane in the first layer: hidden units, padding included, or, for
            lanes without a hidden layer, the number of classes.
        num_hidden: Hidden layers of each lane, in falling order.
        layer_sizes: Hidden units of each lane without padding.
        activations: Name of each lane's activation.
    """

    first: int
    row: int
    width: int
    num_hidden: tuple[int, ...]
    layer_sizes: tuple[int, ...]
    activations: tuple[str, ...]

    @property
    def num_lanes(self) -> int:
        """Lanes of the block."""
        return len(self.num_hidden)

    @property
    def rows(self) -> slice:
        """The block's rows of the first layer."""
        return slice(self.row, self.row + self.num_lanes * self.width)

    @property
    def lanes(self) -> slice:
        """The block's positions in the stack."""
        return slice(self.first, self.first + self.num_lanes)

    @property
    def depth(self) -> int:
        """Hidden layers of the deepest lane."""
        return self.num_hidden[0]

    def having(self, layer: int) -> int:
        """How many lanes have hidden layer `layer` (0 is the first): they come first."""
        return sum(count > layer for count in self.num_hidden)

    def ending(self, layer: int) -> slice:
        """The lanes, counted within the block, whose last hidden layer is `layer`."""
        return slice(self.having(layer + 1), self.having(layer))

    def runs(self, layer: int) -> list[tuple[str, slice]]:
        """Each activation of hidden layer `layer`, with the neighbours that share it."""
        runs, start = [], 0
        for activation, lanes in groupby(self.activations[: self.having(layer)]):
            stop = start + len(list(lanes))
            runs.append((activation, slice(start, stop)))
            start = stop
        return runs


def stacked_width(layer_size: int) -> int:
    """The width that a lane has in a stack: rounded up to one of eight steps per octave.

    Lanes of nearly the same width then share batched products, and padding adds at most an
    eighth. Powers of two are not padded at all.
    """
    step = max(1, (1 << (layer_size.bit_length() - 1)) // _STEPS_PER_OCTAVE)
    return math.ceil(layer_size / step) * step


def stack_order(config: TrialConfig) -> tuple[int, int, str, int]:
    """The key by which the lanes of a stack are sorted."""
    num_hidden = config.num_layers - 1
    width = stacked_width(config.layer_size) if num_hidden else 0
    return (width, -num_hidden, config.activation, config.number)


def plan_blocks(configs: Sequence[TrialConfig], num_classes: int) -> list[Block]:
    """The blocks of a stack.

    Args:
        configs: One for each lane, sorted by `stack_order`.
        num_classes: C.
    """
    blocks: list[Block] = []
    first = row = 0
    for (width, _), group in groupby(configs, key=lambda c: (stack_order(c)[0], c.num_layers > 1)):
        lanes = list(group)
        block = Block(
            first=first,
            row=row,
            width=width or num_classes,
            num_hidden=tuple(config.num_layers - 1 for config in lanes),
            layer_sizes=tuple(config.layer_size for config in lanes),
            activations=tuple(config.activation for config in lanes),
        )
        blocks.append(block)
        first += block.num_lanes
        row += block.num_lanes * block.width
    return blocks
