"""How good a network is in a metric, and how far the examples leave that open. Draws nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sweep.codec import unpack_labels
from sweep.definitions import METRICS, class_metrics
from sweep.records import StudyRecord, TestReading, TrialRecord
from sweep.reporting.answers import validation_labels, validation_losses, validation_predictions
from sweep.reporting.statistics.bootstrap import (
    Replicate,
    replicates_of_losses,
    replicates_of_predictions,
)
from sweep.reporting.statistics.intervals import Interval, difference_interval, wilson_interval

__all__ = [
    "optimism_interval",
    "reading_interval",
    "reading_value",
    "validation_intervals",
    "validation_replicates",
]


Answers = TypeVar("Answers", NDArray[np.float32], NDArray[np.int64])


def validation_replicates(
    record: StudyRecord, trials: Sequence[TrialRecord]
) -> dict[int, Replicate]:
    """The objective of trials and how it varies with the validation examples, by number.

    Trials that did not record what it takes, their losses or their predictions, are left out.
    """
    if _metric(record) == "loss":
        return replicates_of_losses(_recorded(record, trials, validation_losses))
    return replicates_of_predictions(
        _metric(record),
        validation_labels(record),
        _recorded(record, trials, validation_predictions),
        record.data.spec.num_classes,
    )


def _recorded(
    record: StudyRecord,
    trials: Sequence[TrialRecord],
    of: Callable[[StudyRecord, TrialRecord], Answers | None],
) -> dict[int, Answers]:
    found = {trial.number: of(record, trial) for trial in trials}
    return {number: answers for number, answers in found.items() if answers is not None}


def validation_intervals(record: StudyRecord, trials: Sequence[TrialRecord]) -> dict[int, Interval]:
    """95 % intervals of the objective of single networks, by trial.

    Accuracies have Wilson's, other metrics the standard bootstrap interval. A trial is left out if
    nothing tells how far its metric varies.
    """
    if _metric(record) == "accuracy":
        return _wilson_intervals(record, trials)
    highest = _highest(_metric(record))
    replicates = validation_replicates(record, trials)
    found = {number: one.interval(highest=highest) for number, one in replicates.items()}
    return {number: interval for number, interval in found.items() if interval is not None}


def _wilson_intervals(record: StudyRecord, trials: Sequence[TrialRecord]) -> dict[int, Interval]:
    num_examples = len(validation_labels(record))
    values = {trial.number: record.value(trial) for trial in trials}
    return {
        number: wilson_interval(round(value * num_examples), num_examples)
        for number, value in values.items()
        if value is not None and num_examples
    }


def reading_value(reading: TestReading, metric: str) -> float | None:
    """A metric of a network on the test split, or None if the reading does not tell it.

    Args:
        reading: One that was finished.
        metric: A name of `sweep.definitions.METRICS`.
    """
    if metric == "loss":
        return reading.loss
    cells = np.array(reading.confusion_matrix or (), float)
    if not cells.sum():
        return None
    return float(class_metrics(cells.diagonal(), cells.sum(1), cells.sum(0))[metric])


def reading_interval(reading: TestReading, metric: str) -> Interval | None:
    """Its 95 % interval: Wilson's for the accuracy, otherwise by the bootstrap; None if unknown."""
    if metric == "accuracy":
        return wilson_interval(reading.num_correct, reading.num_images)
    replicate = _test_replicate(reading, metric)
    return replicate.interval(highest=_highest(metric)) if replicate else None


def optimism_interval(
    record: StudyRecord, trial: TrialRecord, reading: TestReading
) -> Interval | None:
    """95 % interval of a network's objective on the validation split minus that on the test split.

    Newcombe's for accuracies. Otherwise the two splits' errors, which are independent, are added
    up as squares; None if one of them is unknown.
    """
    metric, value = _metric(record), record.value(trial)
    num_examples = len(validation_labels(record))
    if value is None or not num_examples:
        return None
    if metric == "accuracy":
        num_correct = round(value * num_examples)
        return difference_interval(
            num_correct, num_examples, reading.num_correct, reading.num_images
        )
    validated = validation_replicates(record, [trial]).get(trial.number)
    tested = _test_replicate(reading, metric)
    if validated is None or tested is None:
        return None
    difference = validated.value - tested.value
    half = 1.96 * math.hypot(validated.error, tested.error)
    return Interval(difference - half, difference + half) if half else None


def _test_replicate(reading: TestReading, metric: str) -> Replicate | None:
    """None for the loss: those of single test examples are not recorded."""
    num_classes = len(reading.confusion_matrix or ())
    lengths = {len(reading.labels), len(reading.predictions)}
    if metric == "loss" or not reading.labels or len(lengths) > 1:
        return None
    labels, predicted = (
        unpack_labels(packed, num_classes) for packed in (reading.labels, reading.predictions)
    )
    return replicates_of_predictions(metric, labels, {0: predicted}, num_classes)[0]


def _metric(record: StudyRecord) -> str:
    return record.objective.metric.removeprefix("validation_")


def _highest(metric: str) -> float:
    return 1.0 if METRICS[metric].is_share else math.inf
