"""Regret against epochs, from the incumbents of many seeds.

The reference of a task is the median, over seeds, of what 64 random trials run in full end with.

Shape legend: S seeds, E numbers of epochs, from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["HORIZON", "Summary", "accuracies", "summarize"]

HORIZON = 1300  # epochs: more than 64 trials of 20 epochs can take
_LEAST_TOLERANCE = 0.001
_RESAMPLES = 1000

Incumbents = Sequence[tuple[int, Sequence[tuple[int, float]]]]
"""Of each seed: the epochs that the search spent, and [epochs, accuracy] of each incumbent."""


@dataclass(frozen=True, slots=True)
class Summary:
    """One contestant on one task with so many lanes.

    Attributes:
        epochs: From which on the median regret stays within the tolerance; infinite if never.
        interval: Of these epochs, 90 %, by resampling seeds.
        regret: The median over seeds at the end.
        spent: Mean epochs that the search spent.
        seeds: How many.
    """

    epochs: float
    interval: tuple[float, float]
    regret: float
    spent: float
    seeds: int


def accuracies(found: Incumbents) -> np.ndarray:
    """True accuracy of each seed's incumbent after 0, 1, … epochs, shape (S, E); 0 without one."""
    table = np.zeros((len(found), HORIZON + 1))
    for row, (_, steps) in zip(table, found, strict=True):
        for epochs, accuracy in steps:
            row[epochs:] = accuracy
    return table


def summarize(found: Incumbents, reference: Incumbents) -> Summary:
    """Compare a contestant with the reference of its task."""
    table = accuracies(found)
    ends = accuracies(reference)[:, -1]
    best = float(np.median(ends))
    tolerance = max(_LEAST_TOLERANCE, float(ends.std(ddof=1)) / len(ends) ** 0.5)
    draw = np.random.default_rng(0)
    resampled = [
        _first_within(table[draw.integers(len(table), size=len(table))], best, tolerance)
        for _ in range(_RESAMPLES)
    ]
    low, high = np.quantile(resampled, [0.05, 0.95], method="nearest")
    return Summary(
        epochs=_first_within(table, best, tolerance),
        interval=(float(low), float(high)),
        regret=best - float(np.median(table[:, -1])),
        spent=float(np.mean([epochs for epochs, _ in found])),
        seeds=len(found),
    )


def _first_within(table: np.ndarray, best: float, tolerance: float) -> float:
    regret = best - np.median(table, axis=0)
    outside = np.flatnonzero(regret > tolerance + 1e-12)
    first = int(outside[-1]) + 1 if len(outside) else 0
    return float(first) if first < table.shape[1] else float("inf")
