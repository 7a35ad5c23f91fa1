"""From a metric to the height at which it is drawn. Draws nothing."""

from __future__ import annotations

import math

from sweep.definitions import is_share
from sweep.records import StudyRecord, TrialRecord, TrialState
from sweep.reporting.statistics import num_validation_images
from sweep.words import metric_words

__all__ = ["Measure", "finite_value"]

_LEAST, _MOST = 1e-12, 1e12
_LABELS = {
    "validation_accuracy": "Validation error (%)",
    "validation_loss": "Validation loss (nats)",
}


class Measure:
    """From a metric to the height at which it is drawn; lower is always better.

    A height is a positive number that a logarithmic axis can show, or NaN, whatever was stored.

    Args:
        metric: A name of `sweep.definitions.OBJECTIVES`; a share is drawn as what is missing to 1,
            in percent.
        num_examples: Size of the validation split, or None if unknown.
    """

    def __init__(self, metric: str, num_examples: int | None) -> None:
        self._is_share = is_share(metric)
        # A logarithmic axis has no zero: no error at all is drawn as half an example.
        self._least = (50 / num_examples if num_examples else 0.005) if self._is_share else _LEAST
        name = metric_words(metric.removeprefix("validation_"))
        self.label = _LABELS.get(metric, f"1 − {name} (%)")  # short: it stands beside small panels

    @classmethod
    def of(cls, record: StudyRecord) -> Measure:
        """The measure of a study's own objective."""
        return cls(record.objective.metric, num_validation_images(record))

    @classmethod
    def of_losses(cls) -> Measure:
        """Mean cross-entropies."""
        return cls("validation_loss", None)

    @classmethod
    def of_errors(cls, record: StudyRecord) -> Measure:
        """Errors, whatever the study ranks by."""
        return cls("validation_accuracy", num_validation_images(record))

    def shown(self, value: float | None) -> float:
        """The height; NaN for a value that is none."""
        if value is None or not math.isfinite(value):
            return math.nan
        height = 100 * (1 - value) if self._is_share else value
        return min(max(height, self._least), _MOST)


def finite_value(record: StudyRecord, trial: TrialRecord) -> float | None:
    """The finite value of a COMPLETE or PRUNED trial, or None."""
    if trial.state not in (TrialState.COMPLETE, TrialState.PRUNED):
        return None
    value = record.value(trial)
    return value if value is not None and math.isfinite(value) else None
