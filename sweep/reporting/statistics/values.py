"""What a network predicted, how good that is, and its uncertainty. Shape legend: N examples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.codec import unpack_labels
from sweep.definitions import METRICS, class_metrics, is_share
from sweep.errors import ContradictionError
from sweep.records import ConfusionMatrix, StudyRecord, TestReading, TrialRecord
from sweep.reporting.statistics.bootstrap import (
    Replicate,
    replicates_of_losses,
    replicates_of_predictions,
)
from sweep.reporting.statistics.intervals import Interval, difference_interval, wilson_interval

__all__ = [
    "heights",
    "num_validation_images",
    "optimism_interval",
    "reading_answers",
    "reading_interval",
    "reading_losses",
    "reading_value",
    "unsplit_metric",
    "validated_as_tested",
    "validation_intervals",
    "validation_labels",
    "validation_matrix",
    "validation_predictions",
    "validation_replicates",
]

Labels = NDArray[np.int64]

_LEAST, _MOST = 1e-12, 1e12


def unsplit_metric(record: StudyRecord) -> str:
    """What the study ranks by, as a name of `sweep.definitions.METRICS`: without the split."""
    return record.objective.metric.removeprefix("validation_")


def heights(values: Any, metric: str, record: StudyRecord) -> np.ndarray:
    """A metric's values as heights on a logarithmic axis; lower is always better.

    Shares become their complement to 1, in percent. An error of 0, which a logarithmic axis cannot
    show, becomes half a validation example; a value that is not finite becomes NaN.
    """
    values = np.asarray(values, dtype=float)
    least = _LEAST
    if is_share(metric):
        least = 50 / (num_validation_images(record) or 10_000)
        values = np.where(np.isfinite(values), 100 * (1 - np.clip(values, -_MOST, _MOST)), np.nan)
    return np.where(np.isfinite(values), np.clip(values, least, _MOST), np.nan)


# ---------------------------------------------------------------- the validation split


def validation_labels(record: StudyRecord) -> Labels:
    """True class of each validation example, shape (N,)."""
    packed, num_classes = record.data.validation_labels, record.data.spec.num_classes
    return _unpacked(packed, num_classes, "the validation split")


def _unpacked(packed: bytes, num_classes: int, what: str) -> Labels:
    """Labels or predictions of a record, shape (N,).

    Raises:
        ContradictionError: they are not whole, or of classes that do not exist.
    """
    try:
        labels = unpack_labels(packed, num_classes)
    except ValueError as error:
        raise ContradictionError(f"labels of {what}: {error}") from None
    if labels.max(initial=0) >= num_classes:
        raise ContradictionError(f"{what} has classes that do not exist")
    return labels


def _as_many(packed: bytes, others: bytes) -> bool:
    """Whether both are equally many labels: as many bytes, with as many bits left over."""
    return (len(packed), packed[:1]) == (len(others), others[:1])


def num_validation_images(record: StudyRecord) -> int | None:
    """Size of the validation split, or None if unknown."""
    return len(validation_labels(record)) or None


def validation_predictions(record: StudyRecord, trial: TrialRecord) -> Labels | None:
    """Predicted class of each validation example at a trial's best epoch, shape (N,), if recorded.

    Raises:
        ContradictionError: the data set has no such class.
    """
    packed = trial.outcome.validation_predictions if trial.outcome else None
    if not packed or not _as_many(packed, record.data.validation_labels):
        return None
    return _unpacked(packed, record.data.spec.num_classes, f"trial {trial.number}")


def _validation_losses(record: StudyRecord, trial: TrialRecord) -> NDArray[np.float32] | None:
    """Cross-entropy of each validation example in nats; None if not recorded."""
    packed = trial.outcome.validation_losses if trial.outcome else None
    if not packed or len(packed) != 4 * len(validation_labels(record)):
        return None
    losses = np.frombuffer(packed, "<f4")
    return losses if np.isfinite(losses).all() else None


def validation_matrix(record: StudyRecord, trial: TrialRecord) -> ConfusionMatrix | None:
    """Confusion matrix of the validation split at a trial's best epoch; None if not recorded."""
    predicted = validation_predictions(record, trial)
    if predicted is None:
        return None
    labels, num_classes = validation_labels(record), record.data.spec.num_classes
    cells = np.bincount(labels * num_classes + predicted, minlength=num_classes**2)
    return tuple(map(tuple, cells.reshape(num_classes, num_classes).tolist()))


def validation_replicates(
    record: StudyRecord, trials: Sequence[TrialRecord]
) -> dict[int, Replicate]:
    """The objective of trials and how it varies with the validation examples, by number.

    Left out are trials whose losses or predictions, whichever it takes, are not recorded.
    """
    metric = unsplit_metric(record)
    recorded = _validation_losses if metric == "loss" else validation_predictions
    found: dict[int, NDArray[Any]] = {}
    for trial in trials:
        if (answers := recorded(record, trial)) is not None:
            found[trial.number] = answers
    if metric == "loss":
        return replicates_of_losses(found)
    num_classes = record.data.spec.num_classes
    return replicates_of_predictions(metric, validation_labels(record), found, num_classes)


def validation_intervals(record: StudyRecord, trials: Sequence[TrialRecord]) -> dict[int, Interval]:
    """95% intervals of the objective of single networks, by trial, where they are known.

    Wilson's for accuracies, the standard bootstrap interval for other metrics.
    """
    metric = unsplit_metric(record)
    found: dict[int, Interval | None]
    if metric == "accuracy":
        num_examples = num_validation_images(record)
        found = {
            trial.number: wilson_interval(round(value * num_examples), num_examples)
            for trial in trials
            if num_examples and (value := record.value(trial)) is not None
        }
    else:
        replicates = validation_replicates(record, trials)
        found = {n: one.interval(highest=_highest(metric)) for n, one in replicates.items()}
    return {number: interval for number, interval in found.items() if interval is not None}


# ---------------------------------------------------------------- the test split


def reading_answers(reading: TestReading) -> tuple[Labels, Labels] | None:
    """True and predicted class of each test example, both of shape (N,); None if not recorded."""
    if not reading.labels or not _as_many(reading.labels, reading.predictions):
        return None
    num_classes = len(reading.confusion_matrix or ())
    labels, predicted = (
        _unpacked(packed, num_classes, f"the reading of trial {reading.trial}")
        for packed in (reading.labels, reading.predictions)
    )
    return labels, predicted


def reading_losses(reading: TestReading) -> NDArray[np.float32] | None:
    """Cross-entropy of each test example in nats, shape (N,); None if not recorded."""
    losses = np.frombuffer(reading.losses, "<f4")
    return losses if losses.size and np.isfinite(losses).all() else None


def reading_value(reading: TestReading, metric: str) -> float | None:
    """A metric (of `METRICS`) of a network on the test split, or None if it is unknown."""
    if metric == "loss":
        return reading.loss
    cells = np.array(reading.confusion_matrix or (), float)
    if not cells.sum():
        return None
    return float(class_metrics(cells.diagonal(), cells.sum(1), cells.sum(0))[metric])


def reading_interval(reading: TestReading, metric: str) -> Interval | None:
    """Its 95% interval: Wilson's for accuracy, otherwise by the bootstrap; None if unknown."""
    if metric == "accuracy":
        return wilson_interval(reading.num_correct, reading.num_images)
    replicate = _test_replicate(reading, metric)
    return replicate.interval(highest=_highest(metric)) if replicate else None


def _test_replicate(reading: TestReading, metric: str) -> Replicate | None:
    """None if what it takes is not recorded."""
    if metric == "loss":
        losses = reading_losses(reading)
        return None if losses is None else replicates_of_losses({0: losses})[0]
    answers = reading_answers(reading)
    if answers is None:
        return None
    labels, predicted = answers
    num_classes = len(reading.confusion_matrix or ())
    return replicates_of_predictions(metric, labels, {0: predicted}, num_classes)[0]


def validated_as_tested(
    record: StudyRecord, trial: TrialRecord, reading: TestReading
) -> TrialRecord:
    """The trial with the validation values that were measured as those of its reading were.

    Raises:
        ContradictionError: what was measured again is not of these examples and classes.
    """
    outcome, loss = trial.outcome, reading.validation_loss
    if outcome is None or outcome.best is None or loss is None:
        return trial
    again = replace(
        outcome, validation_predictions=reading.validation_predictions, validation_losses=None
    )
    matrix = validation_matrix(record, replace(trial, outcome=again))
    if matrix is None:
        raise ContradictionError(f"trial {trial.number} was validated again on other examples")
    cells = np.array(matrix, float)
    values = class_metrics(cells.diagonal(), cells.sum(1), cells.sum(0)) | {"loss": loss}
    named = {f"validation_{name}": float(value) for name, value in values.items()}
    best = replace(outcome.best, values={**outcome.best.values, **named})
    history = tuple(best if each.epoch == best.epoch else each for each in outcome.history)
    return replace(trial, outcome=replace(again, history=history))


def optimism_interval(
    record: StudyRecord, trial: TrialRecord, reading: TestReading
) -> Interval | None:
    """95% interval of a network's objective on the validation split minus that on the test split.

    Newcombe's for accuracies. Otherwise the variances of the two independent splits add up; None if
    one of them is unknown.
    """
    metric, value = unsplit_metric(record), record.value(trial)
    num_examples = num_validation_images(record)
    if value is None or num_examples is None:
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


def _highest(metric: str) -> float:
    return 1.0 if METRICS[metric].is_share else math.inf
