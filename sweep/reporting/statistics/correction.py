"""Several tests at once: Holm's correction, and the intervals that belong to its verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

import numpy as np

__all__ = ["SIGNIFICANCE", "Comparison", "corrected", "decisive_levels", "holm"]

SIGNIFICANCE = 0.05
"""Below this Holm-corrected p-value two trials count as different."""


class _Test(Protocol):
    """A test of two against each other that also has an interval of their difference."""

    @property
    def p_value(self) -> float:
        """Two-sided, uncorrected."""

    def at(self, level: float) -> Self:
        """The same test with its interval at another confidence level."""


_T = TypeVar("_T", bound=_Test)


@dataclass(frozen=True, slots=True)
class Comparison(Generic[_T]):
    """A test among several.

    Attributes:
        test: Its interval has the level of the step of Holm's correction that decided: it excludes
            zero if and only if the two are not `tied`.
        p_value_holm: Corrected for all tests that could have been made.
    """

    test: _T
    p_value_holm: float
    tied: bool


def corrected(tests: Sequence[_T | None], family: int | None = None) -> list[Comparison[_T] | None]:
    """The tests with Holm's correction (see `holm`), in the same order; None stays None."""
    p_values = [test.p_value for test in tests if test is not None]
    found = zip(holm(p_values, family), decisive_levels(p_values, family), strict=True)
    return [
        None if test is None else _comparison(test, *next(found))  # one for each test
        for test in tests
    ]


def _comparison(test: _T, p_value: float, level: float) -> Comparison[_T]:
    return Comparison(test.at(level), p_value, p_value >= SIGNIFICANCE)


def holm(p_values: Sequence[float], family: int | None = None) -> list[float]:
    """P-values with Holm's correction for several tests at once (Holm 1979), in the same order.

    `family` is how many tests there could have been; by default, those that were made. If the data
    chose which to make, the others count with a p-value of 1. That is never less than Holm's
    correction of all of them, because a corrected p-value only grows with the other p-values.
    """
    size = len(p_values) if family is None else family
    order = np.argsort(p_values, kind="stable")
    factors = size - np.arange(len(p_values))
    found = np.empty(len(p_values))
    found[order] = np.maximum.accumulate(factors * np.asarray(p_values, float)[order])
    return [float(p) for p in np.minimum(1.0, found)]


def decisive_levels(p_values: Sequence[float], family: int | None = None) -> list[float]:
    """The confidence level at which an interval says what Holm's correction says of each test.

    Holm compares the i-th smallest of m p-values with 0.05 / (m - i + 1), and stops at the first
    that is not below. A test that was passed has the level of its own step, all others that of the
    step at which it stopped. An interval at this level excludes zero if and only if the corrected
    p-value is below 0.05. Such intervals go with the verdicts: they are narrower than intervals
    that all hold at once would be (those need the level of the first step, by Bonferroni).
    """
    size = len(p_values) if family is None else family
    num_passed = sum(p < SIGNIFICANCE for p in holm(p_values, family))
    steps = np.empty(len(p_values), int)
    steps[np.argsort(p_values, kind="stable")] = np.minimum(np.arange(len(p_values)), num_passed)
    return [1 - SIGNIFICANCE / (size - int(step)) for step in steps]
