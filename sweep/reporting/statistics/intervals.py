"""Intervals of what was measured on few examples or few runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

__all__ = [
    "Correlation",
    "Interval",
    "Mean",
    "MeanDifference",
    "compare_means",
    "difference_interval",
    "half_width",
    "mean_interval",
    "rank_correlation",
    "wilson_interval",
]


class Interval(NamedTuple):
    """A confidence interval, at 95% unless another level stands beside it."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over runs that differ in initial weights, dropout and the order of the examples alone.

    `interval` is Student's 95% interval, cut to the possible values; None for a single run, and if
    all runs are alike, because then their spread is unknown. `deviation` is the runs' standard
    deviation, None for a single run.
    """

    value: float
    interval: Interval | None
    deviation: float | None
    num_runs: int


@dataclass(frozen=True, slots=True)
class MeanDifference:
    """Mean of one group of runs minus that of another, by Welch's t-test (two-sided).

    Attributes:
        interval: At the confidence level `level`: it excludes zero if and only if the p-value is
            below 1 - `level`.
        error: Standard error of the difference.
        freedom: Welch's degrees of freedom.
    """

    difference: float
    interval: Interval
    p_value: float
    error: float
    freedom: float
    level: float = 0.95

    def at(self, level: float) -> MeanDifference:
        """The same test with its interval at another confidence level."""
        interval = _welch_interval(self.difference, self.error, self.freedom, level)
        return replace(self, level=level, interval=interval)


def wilson_interval(num_correct: int, num_examples: int) -> Interval:
    """Wilson's 95% score interval of a share of at least one example (Wilson 1927)."""
    share, z = num_correct / num_examples, NormalDist().inv_cdf(0.975)
    scale = 1 + z**2 / num_examples
    middle = (share + z**2 / (2 * num_examples)) / scale
    spread = share * (1 - share) / num_examples + (z / (2 * num_examples)) ** 2
    half = z * math.sqrt(spread) / scale
    # Rounding must not keep the interval from reaching what was observed.
    low = 0.0 if num_correct == 0 else middle - half
    high = 1.0 if num_correct == num_examples else middle + half
    return Interval(low, high)


def difference_interval(
    first_correct: int, num_first: int, second_correct: int, num_second: int
) -> Interval:
    """95% interval of the difference of two accuracies on different examples.

    The hybrid score interval (Newcombe 1998, method 10).
    """
    first, second = first_correct / num_first, second_correct / num_second
    one = wilson_interval(first_correct, num_first)
    other = wilson_interval(second_correct, num_second)
    return Interval(
        first - second - math.hypot(first - one.low, other.high - second),
        first - second + math.hypot(one.high - first, second - other.low),
    )


def mean_interval(values: Sequence[float], *, highest: float = math.inf) -> Mean:
    """Mean of at least one run with Student's 95% interval (Student 1908).

    The interval is cut at 0 and at `highest`, the largest possible value (1 for accuracies). The
    true mean lies between them, so the cut does not reduce the coverage.
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return Mean(mean, None, None, len(values))
    if min(values) == max(values):
        return Mean(mean, None, 0.0, len(values))
    from scipy.special import stdtrit  # not every command needs it

    deviation = float(np.std(values, ddof=1))
    half = float(stdtrit(len(values) - 1, 0.975)) * deviation / len(values) ** 0.5
    interval = Interval(max(mean - half, 0.0), min(mean + half, highest))
    return Mean(mean, interval, deviation, len(values))


def half_width(value: float, low: float, high: float) -> float | None:
    """Half the length of an interval around a value; None if the value is not its middle."""
    is_middle = math.isclose(high - value, value - low, rel_tol=1e-6, abs_tol=1e-12)
    return (high - low) / 2 if is_middle else None


def compare_means(first: Sequence[float], second: Sequence[float]) -> MeanDifference | None:
    """Difference of two means of runs whose groups may vary differently (Welch 1947).

    None if a group has fewer than two runs, neither group varies, or a number is not finite.
    """
    if min(len(first), len(second)) < 2:
        return None
    if min(first) == max(first) and min(second) == max(second):
        return None
    from scipy.special import stdtr

    with np.errstate(all="ignore"):
        difference = float(np.mean(first) - np.mean(second))
        # Variances of the two means; the degrees of freedom are Satterthwaite's.
        one, other = (np.var(group, ddof=1) / len(group) for group in (first, second))
        freedom = (one + other) ** 2 / (one**2 / (len(first) - 1) + other**2 / (len(second) - 1))
        error = float(np.sqrt(one + other))
        p_value = float(2 * stdtr(freedom, -abs(difference / error)))
        interval = _welch_interval(difference, error, float(freedom), 0.95)
    if not all(map(math.isfinite, (difference, *interval, p_value))):
        return None
    return MeanDifference(difference, interval, p_value, error, float(freedom))


def _welch_interval(difference: float, error: float, freedom: float, level: float) -> Interval:
    from scipy.special import stdtrit

    half = float(stdtrit(freedom, (1 + level) / 2)) * error
    return Interval(difference - half, difference + half)


@dataclass(frozen=True, slots=True)
class Correlation:
    """A rank correlation, from -1 to 1."""

    value: float
    interval: Interval


def rank_correlation(pairs: Sequence[tuple[float, float]]) -> Correlation | None:
    """Spearman's rank correlation of at least four pairs; None if one side does not vary.

    The interval is Fisher's, with the variance of Bonett and Wright (2000) for ranks.
    """
    from scipy.stats import spearmanr

    first, second = zip(*pairs, strict=True)
    if len(set(first)) < 2 or len(set(second)) < 2:
        return None
    value = float(spearmanr(first, second).statistic)
    middle = math.atanh(max(min(value, 1 - 1e-12), -1 + 1e-12))
    half = NormalDist().inv_cdf(0.975) * math.sqrt((1 + value**2 / 2) / (len(pairs) - 3))
    return Correlation(value, Interval(math.tanh(middle - half), math.tanh(middle + half)))
