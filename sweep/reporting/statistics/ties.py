"""Which trials the data cannot tell apart: paired tests on the same examples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.records import StudyRecord, TestReading, TrialRecord
from sweep.reporting.statistics.bootstrap import Replicate, replicates_of_predictions
from sweep.reporting.statistics.values import (
    reading_answers,
    unsplit_metric,
    validation_labels,
    validation_predictions,
    validation_replicates,
)

__all__ = [
    "SIGNIFICANCE",
    "Comparison",
    "PairedTest",
    "compare_readings",
    "compare_with_best",
    "holm",
    "mcnemar",
]

SIGNIFICANCE = 0.05
"""Below this Holm-corrected p-value two trials count as different."""


@dataclass(frozen=True, slots=True)
class PairedTest:
    """Two networks on the same examples: do they differ in a metric?

    Attributes:
        name: Of the test.
        metric: A name of `sweep.definitions.METRICS`.
        difference: First minus second.
        p_value: Two-sided, uncorrected.
        only_first: Examples that only the first got right; like `only_second`, for accuracy only.
    """

    name: str
    metric: str
    difference: float
    p_value: float
    only_first: int | None = None
    only_second: int | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The best trial (first) against another (second), on the same validation examples.

    `p_value_holm` is corrected for all pairs of trials that could have been compared.
    """

    test: PairedTest
    p_value_holm: float
    tied: bool


def mcnemar(only_first: int, only_second: int) -> float:
    """P-value of the exact two-sided McNemar test (1947): do two classifiers err equally often?

    It depends only on the examples that one of them got right and the other did not. The exact
    test is conservative: its error rate is below 5%, often far below. The mid-p variant comes
    closer to 5% without a guarantee to stay below (Fagerland, Lydersen & Laake 2013, who saw it
    exceed 5% in none of 9,595 scenarios).
    """
    from scipy.special import bdtr  # a tenth of a second, which not every command needs

    fewer = bdtr(min(only_first, only_second), only_first + only_second, 0.5)
    return min(1.0, 2 * float(fewer))  # the tails are alike


def holm(p_values: Sequence[float], family: int | None = None) -> list[float]:
    """P-values with Holm's correction for several tests at once (Holm 1979), in the same order.

    `family` is how many tests there could have been; by default, those that were made. If the data
    chose which to make, the others count with a p-value of 1. That is never less than Holm's
    correction of all of them, because a corrected p-value only grows with the other p-values.
    """
    size = len(p_values) if family is None else family
    order = np.argsort(p_values, kind="stable")
    factors = size - np.arange(len(p_values))
    corrected = np.empty(len(p_values))
    corrected[order] = np.maximum.accumulate(factors * np.asarray(p_values, float)[order])
    return [float(p) for p in np.minimum(1.0, corrected)]


def compare_with_best(record: StudyRecord) -> dict[int, Comparison]:
    """Test every COMPLETE trial against the best, corrected for all pairs of COMPLETE trials.

    The same examples chose the best, and any trial could have been it. So the correction counts
    all `T * (T - 1) / 2` pairs of the `T` trials, not the `T - 1` that are tested: otherwise one
    of 20 equally good networks is called different in every fifth study.

    Accuracies are compared by the exact McNemar test, other metrics by a paired bootstrap (see
    `Replicate.p_value`). Networks are compared, not configurations: another seed may reverse it.

    Returns:
        Comparisons by trial number, without trials whose predictions (or losses, if the study
        ranks by the loss) are not recorded.
    """
    found = _tests_against_best(record, record.ranked())
    corrected = holm([test.p_value for test in found.values()], math.comb(len(found) + 1, 2))
    return {
        number: Comparison(test, p_value, p_value >= SIGNIFICANCE)
        for (number, test), p_value in zip(found.items(), corrected, strict=True)
    }


def _tests_against_best(
    record: StudyRecord, ranked: Sequence[TrialRecord]
) -> dict[int, PairedTest]:
    metric = unsplit_metric(record)
    answers: dict[int, Any] = {}
    if metric == "accuracy":
        labels = validation_labels(record)
        for trial in ranked:
            if (predicted := validation_predictions(record, trial)) is not None:
                answers[trial.number] = predicted == labels
    else:
        answers.update(validation_replicates(record, ranked))
    test = _mcnemar_test if metric == "accuracy" else partial(_bootstrap_test, metric)
    best = answers.pop(ranked[0].number, None) if ranked else None
    return {} if best is None else {n: test(best, other) for n, other in answers.items()}


def compare_readings(first: TestReading, second: TestReading, metric: str) -> PairedTest | None:
    """Test two networks of any two studies against each other on the same test examples.

    Losses of single test examples are not recorded: accuracy is compared in place of loss. None if
    the readings are not of the same test split, or one of them recorded no predictions.
    """
    answers, others = reading_answers(first), reading_answers(second)
    same_examples = first.fingerprint == second.fingerprint and first.labels == second.labels
    if not first.fingerprint or not same_examples or answers is None or others is None:
        return None
    (labels, one), (_, other) = answers, others
    if metric in ("accuracy", "loss"):
        return _mcnemar_test(one == labels, other == labels)
    num_classes = len(first.confusion_matrix or ())
    found = replicates_of_predictions(metric, labels, {0: one, 1: other}, num_classes)
    return _bootstrap_test(metric, found[0], found[1])


def _mcnemar_test(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> PairedTest:
    only_first = int(np.count_nonzero(first & ~second))
    only_second = int(np.count_nonzero(second & ~first))
    return PairedTest(
        name="exact McNemar test",
        metric="accuracy",
        difference=(only_first - only_second) / len(first),
        p_value=mcnemar(only_first, only_second),
        only_first=only_first,
        only_second=only_second,
    )


def _bootstrap_test(metric: str, first: Replicate, second: Replicate) -> PairedTest:
    difference = first.value - second.value
    return PairedTest("paired bootstrap test", metric, difference, first.p_value(second))
