"""How a study and its chosen trial went. Draws nothing."""

from __future__ import annotations

from dataclasses import dataclass

from sweep.records import StudyRecord, TrialRecord, TrialState
from sweep.reporting.series.measure import Measure, finite_value

__all__ = [
    "ChosenCurves",
    "Curve",
    "History",
    "LearningCurves",
    "Point",
    "chosen_curves",
    "history",
    "learning_curves",
]


@dataclass(frozen=True, slots=True)
class Point:
    """One trial's value.

    Attributes:
        number: The trial's number.
        state: COMPLETE, PRUNED or, without a height, FAIL.
        epochs_spent: Epochs of all trials up to this one, itself included.
        shown: The height to draw it at; NaN for a failed trial.
    """

    number: int
    state: TrialState
    epochs_spent: int
    shown: float


@dataclass(frozen=True, slots=True)
class History:
    """Values in the order of the trials.

    Attributes:
        label: What the heights mean.
        points: COMPLETE and PRUNED trials.
        best_so_far: Epochs spent up to a COMPLETE trial and the best height by then.
        failed: Failed trials, which have no value.
        best: Number of the chosen trial, or None.
    """

    label: str
    points: tuple[Point, ...]
    best_so_far: tuple[tuple[int, float], ...]
    failed: tuple[Point, ...]
    best: int | None


@dataclass(frozen=True, slots=True)
class Curve:
    """One trial's validation metric, epoch by epoch, from epoch 1.

    Attributes:
        number: The trial's number.
        state: COMPLETE or PRUNED.
        shown: The height after each epoch.
        audited: The epoch after which the pruner would have ended it, had it not been chosen to
            show what pruning misses; or None.
    """

    number: int
    state: TrialState
    shown: tuple[float, ...]
    audited: int | None = None


@dataclass(frozen=True, slots=True)
class LearningCurves:
    """The validation metric of every trial; `best` is the number of the chosen one."""

    label: str
    curves: tuple[Curve, ...]
    best: int | None


@dataclass(frozen=True, slots=True)
class ChosenCurves:
    """The chosen trial, epoch by epoch, from epoch 1.

    Attributes:
        number: The trial's number.
        train_loss: Mean cross-entropy of the training steps in nats.
        validation_loss: Mean cross-entropy on the validation split in nats.
        train_error: Training examples that were wrong, in percent.
        validation_error: Validation examples that were wrong, in percent.
        best_epoch: The epoch whose weights were kept.
    """

    number: int
    train_loss: tuple[float, ...]
    validation_loss: tuple[float, ...]
    train_error: tuple[float, ...]
    validation_error: tuple[float, ...]
    best_epoch: int


def history(record: StudyRecord) -> History | None:
    """Value of each trial against the epochs spent, and the best so far; None below two values."""
    measure = Measure.of(record)
    points: list[Point] = []
    best: list[tuple[int, float]] = []
    failed: list[Point] = []
    spent = 0
    for trial in record.trials:
        spent += trial.epochs_run
        value = finite_value(record, trial)
        point = Point(trial.number, trial.state, spent, measure.shown(value))
        if trial.state is TrialState.FAIL:
            failed.append(point)
        if value is None:
            continue
        points.append(point)
        if trial.state is TrialState.COMPLETE:
            best.append((spent, min(point.shown, best[-1][1]) if best else point.shown))
    if len(points) < 2:
        return None
    chosen = record.best.number if record.best else None
    return History(measure.label, tuple(points), tuple(best), tuple(failed), chosen)


def learning_curves(record: StudyRecord) -> LearningCurves | None:
    """The validation metric of every COMPLETE and PRUNED trial, epoch by epoch.

    None if there are fewer than two, or none ran for two epochs.
    """
    measure = Measure.of(record)
    curves = [
        Curve(
            trial.number,
            trial.state,
            tuple(measure.shown(record.objective.value(m)) for m in trial.outcome.history),
            trial.audited,
        )
        for trial in record.trials
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
        and trial.outcome
        and trial.outcome.history
    ]
    if len(curves) < 2 or all(len(curve.shown) < 2 for curve in curves):
        return None
    return LearningCurves(measure.label, tuple(curves), record.best.number if record.best else None)


def chosen_curves(record: StudyRecord, trial: TrialRecord) -> ChosenCurves | None:
    """Loss and error of a trial in training and validation; None below two epochs.

    Args:
        record: A study with the trial's validation split.
        trial: The trial whose network was chosen.
    """
    outcome = trial.outcome
    if outcome is None or outcome.best_epoch is None or len(outcome.history) < 2:
        return None
    errors, losses = Measure.of_errors(record), Measure.of_losses()
    values = [metrics.values for metrics in outcome.history]
    return ChosenCurves(
        number=outcome.trial,
        train_loss=tuple(losses.shown(v["train_loss"]) for v in values),
        validation_loss=tuple(losses.shown(v["validation_loss"]) for v in values),
        train_error=tuple(errors.shown(v["train_accuracy"]) for v in values),
        validation_error=tuple(errors.shown(v["validation_accuracy"]) for v in values),
        best_epoch=outcome.best_epoch,
    )
