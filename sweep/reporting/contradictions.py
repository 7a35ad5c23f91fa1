"""Records must be consistent before anything is computed from them: a digest proves no sense.

Checks that need more than the record are made where it is used: `calibration` and
`series.samples`.
"""

from __future__ import annotations

import math

from sweep.definitions import OBJECTIVES, is_share
from sweep.errors import ContradictionError
from sweep.records import ConfusionMatrix, Mistake, StudyRecord, TestReading, TrialOutcome

__all__ = ["require_sound"]

_MAX_IMAGES = 2**53  # a float counts no further
_MAX_EPOCHS = 2**31
_VALUES = {"train_loss", "train_accuracy", *OBJECTIVES}


def require_sound(record: StudyRecord) -> None:
    """Check a study's trials and readings of the test split, each by itself.

    Raises:
        ContradictionError: one of them cannot be what a study recorded.
    """
    for trial in record.trials:
        if trial.outcome is None:
            continue
        if not trial.params:
            raise ContradictionError(f"trial {trial.number} ended and has no configuration")
        _check_outcome(trial.outcome, f"trial {trial.number}")
    for reading in record.test_readings:
        if reading.confusion_matrix is not None:
            _check_reading(reading, reading.confusion_matrix)


def _check_outcome(outcome: TrialOutcome, what: str) -> None:
    former = 0
    for metrics in outcome.history:
        if not former < metrics.epoch <= _MAX_EPOCHS:
            raise ContradictionError(f"{what} has epoch {metrics.epoch} after epoch {former}")
        former = metrics.epoch
        missing = sorted(_VALUES - metrics.values.keys())
        if missing:
            raise ContradictionError(f"{what} has no {missing[0]} in epoch {metrics.epoch}")
    values = outcome.best.values if outcome.best else {}
    for name in sorted(_VALUES & values.keys()):
        if is_share(name) and not 0 <= values[name] <= 1:
            raise ContradictionError(f"{what} has the {name} {values[name]}")


def _check_reading(reading: TestReading, matrix: ConfusionMatrix) -> None:
    what = f"the reading of trial {reading.trial}"
    num_images = _count(matrix, what)
    if num_images != reading.num_images:
        raise ContradictionError(
            f"{what} has {reading.num_images} images and a confusion matrix of {num_images}"
        )
    if not 0 <= (reading.num_in_training or 0) <= num_images:
        raise ContradictionError(
            f"{what} has {reading.num_in_training} of {num_images} examples in the training pool"
        )
    if len(reading.losses) not in (0, 4 * num_images):
        raise ContradictionError(
            f"{what} has {num_images} images and losses of {len(reading.losses)} bytes"
        )
    for mistake in reading.mistakes:
        _check_mistake(mistake, reading, len(matrix), what)


def _count(matrix: ConfusionMatrix, what: str) -> int:
    """The images of a confusion matrix."""
    if any(len(row) != len(matrix) for row in matrix):
        raise ContradictionError(f"{what} has a confusion matrix that is not square")
    least = min(map(min, matrix), default=0)
    if least < 0:
        raise ContradictionError(f"{what} has a confusion matrix with the count {least}")
    num_images = sum(map(sum, matrix))
    if num_images > _MAX_IMAGES:
        raise ContradictionError(f"{what} has a confusion matrix of more than 2**53 images")
    return num_images


def _check_mistake(mistake: Mistake, reading: TestReading, num_classes: int, what: str) -> None:
    shape, num_columns = reading.image_shape, len(reading.columns)
    where = f"{what} has a mistake, image {mistake.index},"
    if not (0 <= mistake.true < num_classes and 0 <= mistake.predicted < num_classes):
        raise ContradictionError(
            f"{where} of class {mistake.true} taken for {mistake.predicted}; there are "
            f"{num_classes} classes"
        )
    expected = math.prod(shape) if shape else 0
    if min(shape, default=1) < 1 or len(mistake.image) != expected:
        size = " by ".join(map(str, shape)) or "none"
        raise ContradictionError(f"{where} of {len(mistake.image)} bytes in place of {size}")
    if len(mistake.row) != num_columns:
        raise ContradictionError(f"{where} of {len(mistake.row)} values in place of {num_columns}")
