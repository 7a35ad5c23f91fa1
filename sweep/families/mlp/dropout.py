"""Dropout masks (Srivastava et al. 2014), the same for a lane of a stack as for its network.

On a CPU, `bernoulli_` takes six times as long as a quarter of a random word.

Shape legend: B batch, k lanes, H units with padding.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

__all__ = ["draw_numbers", "scaled_masks", "threshold"]


def threshold(dropout: float) -> int:
    """The largest of `draw_numbers` with which a unit is kept; exact to 1 in 65536."""
    return round((1 - dropout) * 2**16) - 2**15 - 1


def draw_numbers(like: Tensor, draws: Iterable[tuple[int, int, torch.Generator | None]]) -> Tensor:
    """Uniform int16, shape (k, H, B); anything for padding and for lanes that draw nothing.

    Args:
        like: Has this shape, and the device.
        draws: Position, units without padding and source of each lane that draws; None is torch's
            global generator.
    """
    num_lanes, width, num_examples = like.shape
    size = width * num_examples
    words = torch.empty(num_lanes, _num_words(size), dtype=torch.int64, device=like.device)
    lanes = words.unbind()
    for lane, units, generator in draws:
        own = lanes[lane][: _num_words(units * num_examples)]
        own.random_(-(2**63), None, generator=generator)
    return words.view(torch.int16)[:, :size].view(like.shape)


def scaled_masks(
    numbers: Tensor, thresholds: Tensor | int, scales: Tensor | float, dtype: torch.dtype
) -> Tensor:
    """The scale of each unit that is kept, 0 for each that is dropped; shaped like the numbers."""
    masks = torch.empty(numbers.shape, dtype=dtype, device=numbers.device)
    return torch.le(numbers, thresholds, out=masks).mul_(scales)


def _num_words(size: int) -> int:
    """The int64 that hold this many int16."""
    return -(-size // 4)
