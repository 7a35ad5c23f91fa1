"""What a network must beat: always saying the commonest class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sweep.definitions import METRICS, class_metrics
from sweep.records import ConfusionMatrix, StudyRecord, TestReading
from sweep.reporting.statistics.values import unsplit_metric, validation_labels

__all__ = ["Baseline", "baseline"]

_UNBALANCED = 2


@dataclass(frozen=True, slots=True)
class Baseline:
    """How often it is right to always say the class that is commonest among validation examples.

    Attributes:
        test_accuracy: None if the test split was not read; `test_value` likewise.
        metric: The study's, without its split; accuracy where that is the loss, which an answer
            without probabilities does not have.
        test_value: That metric on the test split.
        rarest: The class with the fewest validation examples, of which there are `num_rarest`, and
            `num_commonest` of the commonest.
    """

    class_name: str
    validation_accuracy: float
    test_accuracy: float | None
    metric: str
    test_value: float | None
    rarest: str
    num_rarest: int
    num_commonest: int

    @property
    def is_unbalanced(self) -> bool:
        """Whether the commonest class has more than twice the examples of the rarest.

        Accuracy then says little of the rare classes.
        """
        return self.num_commonest > _UNBALANCED * self.num_rarest


def baseline(record: StudyRecord, reading: TestReading | None) -> Baseline | None:
    """The baseline of a study; None if its validation labels are unknown."""
    names = record.data.spec.class_names
    counts = np.bincount(validation_labels(record), minlength=len(names))
    if not counts.sum():
        return None
    commonest, rarest = int(counts.argmax()), int(counts.argmin())
    matrix = (reading.confusion_matrix if reading else None) or ()
    is_read = reading is not None and reading.num_images > 0 and len(matrix) == len(names)
    tested = _tested(matrix, commonest) if is_read else {}
    metric = unsplit_metric(record)
    metric = metric if metric in METRICS and METRICS[metric].is_share else "accuracy"
    return Baseline(
        class_name=names[commonest],
        validation_accuracy=float(counts[commonest] / counts.sum()),
        test_accuracy=tested.get("accuracy"),
        metric=metric,
        test_value=tested.get(metric),
        rarest=names[rarest],
        num_rarest=int(counts[rarest]),
        num_commonest=int(counts[commonest]),
    )


def _tested(matrix: ConfusionMatrix, label: int) -> dict[str, float]:
    """The metrics of always saying one class."""
    num_true = np.array([sum(row) for row in matrix], np.float64)
    only = np.arange(len(num_true)) == label
    found = class_metrics(num_true * only, num_true, num_true.sum() * only)
    return {name: float(value) for name, value in found.items()}
