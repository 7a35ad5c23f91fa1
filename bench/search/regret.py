"""Regret against epochs, from the incumbents of many seeds.

Seeds with odd numbers choose on the third that the others are judged on, and are judged on the
third that those choose on. The reference is the median of what 64 random trials run in full end
with, over the seeds that are judged on the same third.

Shape legend: S seeds, E numbers of epochs, from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["HORIZON", "Incumbents", "Summary", "accuracies", "regrets", "summarize"]

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
    """

    epochs: float
    interval: tuple[float, float]
    regret: float
    spent: float


def regrets(found: Incumbents, reference: Incumbents) -> np.ndarray:
    """True regret of each seed's incumbent after 0, 1, … epochs, shape (S, E)."""
    table, ends = accuracies(found), accuracies(reference)[:, -1]
    for third in range(min(2, len(found))):
        table[third::2] = np.median(ends[third::2]) - table[third::2]
    return table


def summarize(found: Incumbents, reference: Incumbents) -> Summary:
    """Compare a contestant with the reference of its task."""
    table, ends = regrets(found, reference), regrets(reference, reference)[:, -1]
    tolerance = max(_LEAST_TOLERANCE, float(ends.std(ddof=1)) / len(ends) ** 0.5)
    draw = np.random.default_rng(0)
    resampled = [
        _first_within(table[draw.integers(len(table), size=len(table))], tolerance)
        for _ in range(_RESAMPLES)
    ]
    low, high = np.quantile(resampled, [0.05, 0.95], method="nearest")
    return Summary(
        epochs=_first_within(table, tolerance),
        interval=(float(low), float(high)),
        regret=float(np.median(table[:, -1])),
        spent=float(np.mean([epochs for epochs, _ in found])),
    )


def accuracies(found: Incumbents) -> np.ndarray:
    """True accuracy of each seed's incumbent after 0, 1, … epochs, shape (S, E); 0 without one."""
    table = np.zeros((len(found), HORIZON + 1))
    for row, (_, steps) in zip(table, found, strict=True):
        for epochs, accuracy in steps:
            row[epochs:] = accuracy
    return table


def _first_within(table: np.ndarray, tolerance: float) -> float:
    outside = np.flatnonzero(np.median(table, axis=0) > tolerance + 1e-12)
    first = int(outside[-1]) + 1 if len(outside) else 0
    return float(first) if first < table.shape[1] else float("inf")
