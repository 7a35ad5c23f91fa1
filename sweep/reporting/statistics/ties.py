"""Which trials the data cannot tell apart: paired tests on the same images. Draws nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from sweep.records import StudyRecord, TestReading, TrialRecord

__all__ = [
    "SIGNIFICANCE",
    "Comparison",
    "ReadingComparison",
    "compare_readings",
    "compare_with_best",
    "holm",
    "mcnemar",
]

SIGNIFICANCE = 0.05
"""Below this Holm-corrected p-value two trials count as different."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One trial against the best, on the same validation images.

    Attributes:
        only_best: Images that only the best trial classified rightly.
        only_other: Images that only the other trial classified rightly.
        p_value: Exact McNemar test, two-sided.
        p_value_holm: The same, corrected for all pairs of trials that could have been compared.
        tied: Whether the data cannot tell the two apart.
    """

    only_best: int
    only_other: int
    p_value: float
    p_value_holm: float
    tied: bool


@dataclass(frozen=True, slots=True)
class ReadingComparison:
    """Two networks on the same test images.

    Attributes:
        only_first: Images that only the first network classified rightly.
        only_second: Images that only the second network classified rightly.
        num_images: Size of the test split.
        p_value: Exact McNemar test, two-sided, not corrected for other comparisons.
    """

    only_first: int
    only_second: int
    num_images: int
    p_value: float


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided McNemar test (McNemar 1947): do two classifiers err equally often?

    The exact test errs on the side of a tie: it calls two equal classifiers different in less
    than 5 of 100 cases, often in far less. The mid-p variant comes closer to 5 and finds a few
    more differences, but can exceed it (Fagerland, Lydersen & Laake 2013). A report that
    promises to call ties ties keeps the bound.

    Args:
        only_first: Images that only the first classified rightly.
        only_second: Images that only the second classified rightly.

    Returns:
        The p-value; 1 if the two never differ.
    """
    return float(_exact_tests(np.array([[only_first, only_second]]))[0])


def _exact_tests(differing: np.ndarray) -> np.ndarray:
    """P-values of many tests at once, from the images that only one of two got right, `[N, 2]`."""
    fewer = binom.cdf(differing.min(axis=1), differing.sum(axis=1), 0.5)
    p_values: np.ndarray = np.minimum(1.0, 2 * fewer)  # the tails are alike
    return p_values


def holm(p_values: Sequence[float], family: int | None = None) -> list[float]:
    """Holm's correction for several tests at once (Holm 1979).

    Args:
        p_values: Of the tests that were made.
        family: How many tests there could have been, at least as many; those that were made if
            None. If the data chose which to make, the others count as tests with a p-value of 1.
            That is never less than Holm's correction of all of them, because a corrected p-value
            only grows with the other p-values.

    Returns:
        The corrected p-values in the same order.
    """
    size = len(p_values) if family is None else family
    order = np.argsort(p_values, kind="stable")
    factors = size - np.arange(len(p_values))
    corrected = np.empty(len(p_values))
    corrected[order] = np.maximum.accumulate(factors * np.asarray(p_values, float)[order])
    return [float(p) for p in np.minimum(1.0, corrected)]


def compare_with_best(record: StudyRecord) -> dict[int, Comparison]:
    """Test every COMPLETE trial against the best, corrected for all pairs of COMPLETE trials.

    The images that the tests look at have chosen the best, and any trial could have been it. So
    the correction counts all `T * (T - 1) / 2` pairs of the `T` trials, not the `T - 1` that are
    tested: otherwise one of 20 equally good networks is called different in every fifth study.
    That pruning looked at the same images is not corrected for; a pruned trial cannot be the best.

    Networks are compared, not configurations: with another seed it may be the other way round.

    Returns:
        A comparison by trial number; without the best itself, and without trials whose
        predictions are not recorded.
    """
    best = record.best
    labels = np.frombuffer(record.data.validation_labels, np.uint8)
    right_of_best = _right_answers(best, labels) if best else None
    if best is None or right_of_best is None:
        return {}
    counts: dict[int, tuple[int, int]] = {}
    for trial in record.ranked():
        right = _right_answers(trial, labels)
        if trial.number != best.number and right is not None:
            counts[trial.number] = _only_one_right(right_of_best, right)
    if not counts:
        return {}
    p_values = _exact_tests(np.array(list(counts.values()))).tolist()
    num_pairs = math.comb(len(counts) + 1, 2)
    return {
        number: Comparison(*pair, p_value, corrected, corrected >= SIGNIFICANCE)
        for (number, pair), p_value, corrected in zip(
            counts.items(), p_values, holm(p_values, num_pairs), strict=True
        )
    }


def compare_readings(first: TestReading, second: TestReading) -> ReadingComparison | None:
    """Test two networks against each other, of any two studies, on the same test images.

    Returns:
        The comparison, or None if the readings are not of the same test split or one of them
        recorded no predictions.
    """
    labels = np.frombuffer(first.labels, np.uint8)
    lengths = {len(first.labels), len(first.predictions), len(second.predictions)}
    same_images = first.fingerprint == second.fingerprint and first.labels == second.labels
    if not first.fingerprint or not first.labels or not same_images or len(lengths) > 1:
        return None
    only_first, only_second = _only_one_right(
        np.frombuffer(first.predictions, np.uint8) == labels,
        np.frombuffer(second.predictions, np.uint8) == labels,
    )
    return ReadingComparison(only_first, only_second, len(labels), mcnemar(only_first, only_second))


def _only_one_right(first: np.ndarray, second: np.ndarray) -> tuple[int, int]:
    """How many images only the first got right, and only the second."""
    return int(np.count_nonzero(first & ~second)), int(np.count_nonzero(second & ~first))


def _right_answers(trial: TrialRecord, labels: np.ndarray) -> np.ndarray | None:
    predictions = trial.outcome.validation_predictions if trial.outcome else None
    if not len(labels) or predictions is None or len(predictions) != len(labels):
        return None
    right: np.ndarray = np.frombuffer(predictions, np.uint8) == labels
    return right
