"""Whether two configurations differ on average over their runs. Draws nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from sweep.reporting.statistics.intervals import Interval

__all__ = ["MeanDifference", "compare_means"]


@dataclass(frozen=True, slots=True)
class MeanDifference:
    """How far the means of two groups of runs are apart.

    Attributes:
        difference: Mean of the first group minus mean of the second.
        interval: 95 % interval of the difference, Welch.
        p_value: Welch's test, two-sided.
    """

    difference: float
    interval: Interval
    p_value: float


def compare_means(first: Sequence[float], second: Sequence[float]) -> MeanDifference | None:
    """Difference of two means whose groups may vary differently (Welch 1947).

    Args:
        first: What each run of the first group measured.
        second: The same of the second group.

    Returns:
        The difference, or None if it cannot be judged: a group has fewer than two runs, neither
        group varies (then how far runs scatter is unknown, and no p-value follows), or a number
        is not finite.
    """
    if min(len(first), len(second)) < 2:
        return None
    if min(first) == max(first) and min(second) == max(second):
        return None
    with np.errstate(all="ignore"):
        groups = CompareMeans(DescrStatsW(first), DescrStatsW(second))
        _, p_value, _ = groups.ttest_ind(usevar="unequal")
        low, high = groups.tconfint_diff(usevar="unequal")
    difference = float(np.mean(first) - np.mean(second))
    if not all(map(math.isfinite, (difference, low, high, p_value))):
        return None
    return MeanDifference(difference, Interval(float(low), float(high)), float(p_value))
