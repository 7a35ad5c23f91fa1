"""What the figures show: `StudyRecord` → frozen series of numbers. Draws nothing.

Figures show what is wrong rather than what is right, on a logarithmic axis: 98 % and 99 % look
alike, 2 % and 1 % do not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from sweep.records import StudyRecord, TrialRecord, TrialState
from sweep.reporting.parameters import Scalar, used_parameters
from sweep.reporting.tables import num_validation_images
from sweep.space import Choices, Range, SearchSpace

__all__ = [
    "Axis",
    "BestSoFar",
    "Curve",
    "History",
    "LearningCurves",
    "LossCurves",
    "Point",
    "Sample",
    "Samples",
    "best_so_far",
    "history",
    "learning_curves",
    "loss_curves",
    "samples",
]


@dataclass(frozen=True, slots=True)
class Point:
    """One trial's value: `shown` is the height to draw it at."""

    number: int
    state: TrialState
    shown: float


@dataclass(frozen=True, slots=True)
class History:
    """Values in the order of the trials.

    Attributes:
        label: What the heights mean.
        points: COMPLETE and PRUNED trials.
        best_so_far: Trial number and the best height among the COMPLETE trials up to it.
        failed: Numbers of the failed trials, which have no value.
    """

    label: str
    points: tuple[Point, ...]
    best_so_far: tuple[tuple[int, float], ...]
    failed: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """One trial's validation metric, epoch by epoch, from epoch 1."""

    number: int
    state: TrialState
    shown: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class LearningCurves:
    """The validation metric of every trial; `best` is the number of the chosen one."""

    label: str
    curves: tuple[Curve, ...]
    best: int | None


@dataclass(frozen=True, slots=True)
class LossCurves:
    """Mean cross-entropy of one trial in nats, epoch by epoch, from epoch 1."""

    number: int
    train: tuple[float, ...]
    validation: tuple[float, ...]
    best_epoch: int


@dataclass(frozen=True, slots=True)
class Axis:
    """One sampled hyperparameter.

    Attributes:
        name: Its name.
        choices: Its values if it was one of several, otherwise empty.
        low: The smallest value of a range.
        high: The largest value of a range.
        log: Whether a range was sampled evenly in the logarithm.
        whole: Whether a range holds whole numbers only.
    """

    name: str
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """One trial: where it stands on each axis (None if unused), and its height."""

    number: int
    state: TrialState
    shown: float
    coordinates: tuple[float | str | None, ...]


@dataclass(frozen=True, slots=True)
class Samples:
    """Every trial that has a value, with its sampled hyperparameters."""

    label: str
    axes: tuple[Axis, ...]
    samples: tuple[Sample, ...]
    best: int | None


@dataclass(frozen=True, slots=True)
class BestSoFar:
    """A study's progress.

    Attributes:
        study: Its name.
        epochs: Epochs spent on all trials up to a COMPLETE trial.
        errors: Validation error in percent of the best trial so far.
        accuracies: Validation accuracy of the best trial so far.
    """

    study: str
    epochs: tuple[int, ...]
    errors: tuple[float, ...]
    accuracies: tuple[float, ...]


class _Measure:
    """From a metric to the height at which it is drawn; lower is always better."""

    def __init__(self, metric: str, num_images: int | None) -> None:
        self._is_accuracy = metric == "validation_accuracy"
        # A logarithmic axis has no zero: no error at all is drawn as half an image.
        self._least = 50 / num_images if num_images else 0.005
        self.label = (
            "Validation error (% of images)" if self._is_accuracy else "Validation loss (nats)"
        )

    def shown(self, value: float) -> float:
        if not math.isfinite(value):
            return math.nan
        if self._is_accuracy:
            return max(100 * (1 - value), self._least)
        return max(value, 1e-12)


def _measure(record: StudyRecord) -> _Measure:
    return _Measure(record.objective.metric, num_validation_images(record))


def history(record: StudyRecord) -> History:
    """Value of each trial, and the best so far."""
    measure = _measure(record)
    points: list[Point] = []
    best: list[tuple[int, float]] = []
    for trial in record.trials:
        value = _value(record, trial)
        if value is None:
            continue
        shown = measure.shown(value)
        points.append(Point(trial.number, trial.state, shown))
        if trial.state is TrialState.COMPLETE:
            best.append((trial.number, min(shown, best[-1][1]) if best else shown))
    return History(
        label=measure.label,
        points=tuple(points),
        best_so_far=tuple(best),
        failed=tuple(trial.number for trial in record.trials if trial.state is TrialState.FAIL),
    )


def _value(record: StudyRecord, trial: TrialRecord) -> float | None:
    """The finite value of a COMPLETE or PRUNED trial, or None."""
    if trial.state not in (TrialState.COMPLETE, TrialState.PRUNED):
        return None
    value = record.value(trial)
    return value if value is not None and math.isfinite(value) else None


def learning_curves(record: StudyRecord) -> LearningCurves:
    """The validation metric of every COMPLETE and PRUNED trial, epoch by epoch."""
    measure = _measure(record)
    curves = [
        Curve(
            trial.number,
            trial.state,
            tuple(measure.shown(record.objective.value(m)) for m in trial.outcome.history),
        )
        for trial in record.trials
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
        and trial.outcome
        and trial.outcome.history
    ]
    return LearningCurves(measure.label, tuple(curves), record.best.number if record.best else None)


def loss_curves(record: StudyRecord) -> LossCurves | None:
    """Training and validation loss of the best trial."""
    outcome = record.best.outcome if record.best else None
    if outcome is None or outcome.best_epoch is None:
        return None
    return LossCurves(
        outcome.trial,
        tuple(metrics.train_loss for metrics in outcome.history),
        tuple(metrics.validation_loss for metrics in outcome.history),
        outcome.best_epoch,
    )


def samples(record: StudyRecord, space: SearchSpace) -> Samples:
    """Every trial that has a value, with its sampled hyperparameters."""
    measure = _measure(record)
    axes = tuple(_axis(name, domain) for name, domain in space.sampled.items())
    found: list[Sample] = []
    for trial in record.trials:
        value = _value(record, trial)
        if value is not None:
            used = used_parameters(space, trial.params)
            coordinates = tuple(
                _coordinate(axis, trial.params[axis.name]) if axis.name in used else None
                for axis in axes
            )
            found.append(Sample(trial.number, trial.state, measure.shown(value), coordinates))
    return Samples(measure.label, axes, tuple(found), record.best.number if record.best else None)


def _axis(name: str, domain: Range[Any, Any] | Choices[Any]) -> Axis:
    if isinstance(domain, Choices):
        return Axis(name, choices=tuple(map(str, domain.choices)))
    return Axis(
        name,
        low=float(domain.low),
        high=float(domain.high),
        log=domain.log,
        whole=isinstance(domain.low, int),
    )


def _coordinate(axis: Axis, value: Scalar) -> float | str:
    return str(value) if axis.choices else float(value)


def best_so_far(record: StudyRecord) -> BestSoFar:
    """The validation accuracy of the best trial so far against the epochs spent.

    Accuracy even where the study ranks by loss, so that studies can be drawn together.
    """
    measure = _Measure("validation_accuracy", num_validation_images(record))
    spent = 0
    best_value, best_accuracy = None, 0.0
    epochs: list[int] = []
    accuracies: list[float] = []
    for trial in record.trials:
        spent += trial.epochs_run
        value = _value(record, trial)
        metrics = trial.outcome.best if trial.outcome else None
        if trial.state is not TrialState.COMPLETE or value is None or metrics is None:
            continue
        if best_value is None or record.objective.is_better(value, best_value):
            best_value, best_accuracy = value, metrics.validation_accuracy
        epochs.append(spent)
        accuracies.append(best_accuracy)
    errors = tuple(measure.shown(accuracy) for accuracy in accuracies)
    return BestSoFar(record.name, tuple(epochs), errors, tuple(accuracies))
