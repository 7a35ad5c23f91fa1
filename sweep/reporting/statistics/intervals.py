"""Intervals of what was measured on few images or few runs. Draws nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

__all__ = [
    "Interval",
    "Mean",
    "difference_interval",
    "half_width",
    "mean_interval",
    "wilson_interval",
]


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval that covers the true number in 95 of 100 studies.

    Attributes:
        low: Lower end.
        high: Upper end.
    """

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over runs that differ in nothing but their seeds.

    Attributes:
        value: The mean.
        interval: Student's 95 % interval of it, within what can be measured; None for a single
            run, or if all runs are alike: then nothing is known of how far they scatter.
        deviation: Standard deviation of the runs, or None for a single run.
        num_runs: How many there were.
    """

    value: float
    interval: Interval | None
    deviation: float | None
    num_runs: int


def wilson_interval(num_correct: int, num_images: int) -> Interval:
    """Wilson's 95 % score interval of an accuracy (Wilson 1927).

    Args:
        num_correct: Images that were classified rightly.
        num_images: All images, at least 1.
    """
    low, high = proportion_confint(num_correct, num_images, alpha=0.05, method="wilson")
    return Interval(float(low), float(high))


def mean_interval(values: Sequence[float], *, highest: float = math.inf) -> Mean:
    """Mean of several runs with Student's 95 % interval (Student 1908).

    The interval is cut at 0 and at `highest`. The true mean lies between them, so that the cut
    takes nothing from the coverage.

    Args:
        values: What each run measured, at least one, from 0 to `highest`.
        highest: The largest value that there can be: 1 for accuracies.
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return Mean(mean, None, None, len(values))
    if min(values) == max(values):
        return Mean(mean, None, 0.0, len(values))
    deviation = float(np.std(values, ddof=1))
    half = float(stats.t.ppf(0.975, len(values) - 1)) * deviation / len(values) ** 0.5
    interval = Interval(max(mean - half, 0.0), min(mean + half, highest))
    return Mean(mean, interval, deviation, len(values))


def half_width(value: float, low: float, high: float) -> float | None:
    """Half the length of an interval around a value; None if the value is not its middle."""
    is_middle = math.isclose(high - value, value - low, rel_tol=1e-6, abs_tol=1e-12)
    return (high - low) / 2 if is_middle else None


def difference_interval(
    first_correct: int, num_first: int, second_correct: int, num_second: int
) -> Interval:
    """Newcombe's 95 % interval of the difference of two accuracies on different images.

    The hybrid score interval (Newcombe 1998, method 10).

    Args:
        first_correct: Images of the first set that were classified rightly.
        num_first: Size of the first set, at least 1.
        second_correct: Images of the second set that were classified rightly.
        num_second: Size of the second set, at least 1.
    """
    low, high = confint_proportions_2indep(
        first_correct, num_first, second_correct, num_second, method="newcomb", compare="diff"
    )
    return Interval(float(low), float(high))
