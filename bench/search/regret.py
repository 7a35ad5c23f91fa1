"""Regret against epochs, from the incumbents of many seeds.

Shape legend: S seeds, E numbers of epochs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["accuracies", "first_within", "tolerance"]

HORIZON = 1000  # epochs: more than 64 trials can take


def accuracies(found: Sequence[tuple[int, Sequence[tuple[int, float]]]]) -> np.ndarray:
    """True accuracy of each seed's incumbent after 0, 1, … epochs, shape (S, E); 0 without one."""
    table = np.zeros((len(found), HORIZON + 1))
    for row, (_, steps) in zip(table, found, strict=True):
        for epochs, accuracy in steps:
            row[epochs:] = accuracy
    return table


def tolerance(reference: np.ndarray) -> float:
    """0.1 points, or the standard error over seeds of what the reference (S,) ended with."""
    return max(0.001, float(reference.std(ddof=1)) / len(reference) ** 0.5)


def first_within(table: np.ndarray, best: float, tolerance: float) -> float:
    """Epochs from which the median regret of all seeds stays within the tolerance, or infinity."""
    regret = best - np.median(table, axis=0)
    outside = np.flatnonzero(regret > tolerance + 1e-12)
    first = int(outside[-1]) + 1 if len(outside) else 0
    return float(first) if first < table.shape[1] else float("inf")
