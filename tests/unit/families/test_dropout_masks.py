"""What dropout keeps, and by what it scales it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from sweep.families.mlp.dropout import draw_numbers, scaled_masks, threshold

SHAPE = (2, 300, 251)  # not whole words


def draw(dropout: float) -> Tensor:
    draws = [(lane, 300, torch.Generator().manual_seed(lane)) for lane in range(2)]
    numbers = draw_numbers(torch.empty(SHAPE), draws)
    return scaled_masks(numbers, threshold(dropout), 1 / (1 - dropout), torch.float64)


@pytest.mark.parametrize("dropout", [0.01, 0.25, 0.5, 0.99])
def test_units_are_kept_with_their_probability_whatever_their_neighbours(dropout):
    """Within four standard errors; neighbours are examples, units and words."""
    masks = draw(dropout)
    assert set(masks.flatten().tolist()) == {0.0, 1 / (1 - dropout)}
    error = 1 / math.sqrt(masks.numel())
    deviation = math.sqrt(dropout / (1 - dropout))
    assert masks.mean().item() == pytest.approx(1, abs=4 * error * deviation)
    standard = (masks - 1) / deviation
    for lane in standard:
        for dim, distance in ((1, 1), (1, 2), (1, 4), (0, 1), (0, 4)):
            correlation = (lane * lane.roll(distance, dim)).mean()
            assert abs(correlation) < 4 * error * math.sqrt(2)
    assert abs((standard[0] * standard[1]).mean()) < 4 * error * math.sqrt(2)


def test_a_lane_without_dropout_draws_nothing_and_keeps_all():
    generator = torch.Generator().manual_seed(0)
    thresholds = torch.tensor([threshold(0), threshold(0.5)], dtype=torch.int16).view(2, 1, 1)
    numbers = draw_numbers(torch.empty(SHAPE), [(1, 300, generator)])
    numbers[0, :, 0], numbers[0, :, 1] = -(2**15), 2**15 - 1
    plain, dropped = scaled_masks(numbers, thresholds, 1.0, torch.float32)
    assert plain.all()
    assert 0 < dropped.mean() < 1


def test_a_lane_draws_the_same_whatever_its_padding_and_neighbours():
    alone, stacked = (torch.Generator().manual_seed(0) for _ in range(2))
    (expected,) = draw_numbers(torch.empty(1, 5, 7), [(0, 5, alone)])
    numbers = draw_numbers(torch.empty(3, 9, 7), [(1, 5, stacked)])
    assert torch.equal(numbers[1, :5], expected)
    assert torch.equal(alone.get_state(), stacked.get_state())
