"""What trials answered on the validation split. Draws nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sweep.codec import unpack_labels
from sweep.errors import ContradictionError
from sweep.records import ConfusionMatrix, StudyRecord, TrialRecord

__all__ = [
    "validation_labels",
    "validation_losses",
    "validation_matrix",
    "validation_predictions",
]


def validation_labels(record: StudyRecord) -> NDArray[np.int64]:
    """True class of each validation example, shape (N,)."""
    return unpack_labels(record.data.validation_labels, record.data.spec.num_classes)


def validation_predictions(record: StudyRecord, trial: TrialRecord) -> NDArray[np.int64] | None:
    """Predicted class of each validation example at a trial's best epoch, shape (N,).

    None if they are not recorded.

    Raises:
        ContradictionError: a class is none of the data set's.
    """
    packed = trial.outcome.validation_predictions if trial.outcome else None
    if not packed or len(packed) != len(record.data.validation_labels):
        return None
    num_classes = record.data.spec.num_classes
    predicted = unpack_labels(packed, num_classes)
    if max(predicted.max(), validation_labels(record).max()) >= num_classes:
        raise ContradictionError(f"trial {trial.number} predicts classes that there are not")
    return predicted


def validation_losses(record: StudyRecord, trial: TrialRecord) -> NDArray[np.float32] | None:
    """Loss of each validation example at a trial's best epoch in nats, float32, shape (N,).

    None if they are not recorded.
    """
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
