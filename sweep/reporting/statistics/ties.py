"""Which trials the data cannot tell apart: paired tests on the same examples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.records import StudyRecord, TestReading, TrialRecord
from sweep.reporting.statistics.bootstrap import (
    Replicate,
    replicates_of_losses,
    replicates_of_predictions,
)
from sweep.reporting.statistics.correction import Comparison, corrected
from sweep.reporting.statistics.intervals import Interval
from sweep.reporting.statistics.values import (
    reading_answers,
    reading_losses,
    unsplit_metric,
    validation_labels,
    validation_predictions,
    validation_replicates,
)

__all__ = [
    "PairedTest",
    "compare_readings",
    "compare_with_best",
    "mcnemar",
]


@dataclass(frozen=True, slots=True)
class PairedTest:
    """Two networks on the same examples: do they differ in a metric?

    Attributes:
        name: Of the test.
        metric: A name of `sweep.definitions.METRICS`.
        difference: First minus second.
        p_value: Two-sided, uncorrected.
        error: Standard error of the difference.
        only_first: Examples that only the first got right; this, `only_second` and the number of
            all examples for accuracy only.
        interval: Of the difference, at the confidence level `level`: it excludes zero if and only
            if the p-value is below 1 - `level`. None before a level was asked for (see `at`), and
            if nothing varies.
    """

    name: str
    metric: str
    difference: float
    p_value: float
    error: float
    only_first: int | None = None
    only_second: int | None = None
    num_examples: int | None = None
    level: float | None = None
    interval: Interval | None = None

    def at(self, level: float) -> PairedTest:
        """The same test with its interval at this confidence level.

        For accuracies it is as exact as the test: the interval of Clopper & Pearson (1934) of the
        first's share in the examples that one alone got right, times their share in all.
        """
        interval = None
        first, second, num = self.only_first, self.only_second, self.num_examples
        if first is not None and second is not None and num is not None:
            interval = _exact_interval(first, second, num, level)
        elif self.error:
            half = NormalDist().inv_cdf((1 + level) / 2) * self.error
            interval = Interval(self.difference - half, self.difference + half)
        return replace(self, level=level, interval=interval)


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


def _exact_interval(
    only_first: int, only_second: int, num_examples: int, level: float
) -> Interval | None:
    """Of the difference of two accuracies; it excludes zero if and only if `mcnemar` does."""
    from scipy.special import betaincinv

    num_different = only_first + only_second
    if not num_different:
        return None
    tail = (1 - level) / 2
    low = betaincinv(only_first, only_second + 1, tail) if only_first else 0.0
    high = betaincinv(only_first + 1, only_second, 1 - tail) if only_second else 1.0
    share = num_different / num_examples
    return Interval(float(2 * low - 1) * share, float(2 * high - 1) * share)


def compare_with_best(record: StudyRecord) -> dict[int, Comparison[PairedTest]]:
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
    compared = corrected([*found.values()], math.comb(len(found) + 1, 2))
    return {
        number: comparison
        for number, comparison in zip(found, compared, strict=True)
        if comparison is not None
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

    Where losses of single examples were not recorded, accuracy is compared in place of the loss.
    None if the readings are not of the same test split, or one of them recorded no predictions.
    """
    answers, others = reading_answers(first), reading_answers(second)
    same_examples = first.fingerprint == second.fingerprint and first.labels == second.labels
    if not first.fingerprint or not same_examples or answers is None or others is None:
        return None
    if metric == "loss" and (compared := _compare_losses(first, second)) is not None:
        return compared
    (labels, one), (_, other) = answers, others
    if metric in ("accuracy", "loss"):
        return _mcnemar_test(one == labels, other == labels)
    num_classes = len(first.confusion_matrix or ())
    found = replicates_of_predictions(metric, labels, {0: one, 1: other}, num_classes)
    return _bootstrap_test(metric, found[0], found[1])


def _compare_losses(first: TestReading, second: TestReading) -> PairedTest | None:
    """None if one of them did not record the losses of single examples."""
    losses, others = reading_losses(first), reading_losses(second)
    if losses is None or others is None or len(losses) != len(others):
        return None
    means = replicates_of_losses({0: losses, 1: others})
    return _bootstrap_test("loss", means[0], means[1])


def _mcnemar_test(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> PairedTest:
    only_first = int(np.count_nonzero(first & ~second))
    only_second = int(np.count_nonzero(second & ~first))
    difference = (only_first - only_second) / len(first)
    variance = (only_first + only_second) / len(first) - difference**2  # of a single example
    return PairedTest(
        name="exact McNemar test",
        metric="accuracy",
        difference=difference,
        p_value=mcnemar(only_first, only_second),
        error=math.sqrt(max(variance, 0.0) / len(first)),
        only_first=only_first,
        only_second=only_second,
        num_examples=len(first),
    )


def _bootstrap_test(metric: str, first: Replicate, second: Replicate) -> PairedTest:
    return PairedTest(
        name="paired bootstrap test",
        metric=metric,
        difference=first.value - second.value,
        p_value=first.p_value(second),
        error=first.error_against(second),
    )
