"""What the report counts and lists: `StudyRecord` → frozen values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sweep.definitions import OBJECTIVES, Scalar
from sweep.records import (
    Calibration,
    ConfusionMatrix,
    StudyRecord,
    TestReading,
    TrialRecord,
    TrialState,
)
from sweep.reporting.statistics import (
    Comparison,
    Interval,
    PairedTest,
    num_validation_images,
    validation_intervals,
)
from sweep.space import SearchSpace, effective_parameters

__all__ = [
    "FLAT",
    "Confusion",
    "Counts",
    "DataSummary",
    "LeaderboardRow",
    "Provenance",
    "TrialRow",
    "class_names",
    "confusions",
    "counts",
    "data_summary",
    "leaderboard",
    "provenance",
    "trial_row",
    "trials_after_opening",
]

_MAX_CONFUSIONS = 10

FLAT = {"flat": True}
"""Metadata of a field whose own fields or items stand beside the others in `report.json`."""


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One trial as a row of a table; None where something is unknown or not a finite number.

    Attributes:
        state: COMPLETE, PRUNED, FAIL, RUNNING, PAUSED or WAITING.
        value: Of the study's objective.
        unused_params: Names of those that had no effect on this trial.
        best_epoch: The epoch whose weights were kept.
        epochs_run: Finished epochs.
        seconds: Wall time.
        node: Name of the worker's machine; empty for the driver's own.
        started_at: When it was sampled; like `ended_at`, ISO 8601 by the machine's clock.
        audited: The epoch after which the pruner would have ended it, had it not been audited.
        origin: Where its configuration comes from, if neither sampler nor search space chose it.
        copy_of: Number of the COMPLETE trial in whose place it was not trained.
        reason: Why it was paused, pruned or not trained, or why it failed.
        metrics: Validation metrics at the best epoch, by names of `sweep.definitions.OBJECTIVES`.
    """

    number: int
    state: str
    value: float | None
    params: dict[str, Scalar]
    unused_params: tuple[str, ...]
    best_epoch: int | None
    epochs_run: int
    seconds: float | None
    num_parameters: int | None
    device: str
    precision: str
    worker: int | None
    node: str
    started_at: str | None
    ended_at: str | None
    audited: int | None
    origin: str | None
    copy_of: int | None
    reason: str | None
    metrics: dict[str, float | None] = field(metadata=FLAT)


@dataclass(frozen=True, slots=True)
class LeaderboardRow:
    """A COMPLETE trial with its rank (trials of the same value share it).

    `value_interval` is 95% (see `validation_intervals`), `comparison` is against the best trial.
    """

    rank: int
    trial: TrialRow
    value_interval: Interval | None
    comparison: Comparison[PairedTest] | None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many trials are in which state, and what all of them cost.

    Attributes:
        complete: That were trained to their end.
        copies: COMPLETE ones that were not trained, because they would have repeated others.
        seconds: Workers' time for all epochs; trials that were trained together share it.
        clock_seconds: Time in which at least one ended trial was running; None if not recorded.
    """

    trials: int
    complete: int
    copies: int
    pruned: int
    failed: int
    running: int
    paused: int
    waiting: int
    epochs: int
    seconds: float
    clock_seconds: float | None


@dataclass(frozen=True, slots=True)
class Confusion:
    """`count` of the `num_true` examples of one class that were predicted as another."""

    true: str
    predicted: str
    count: int
    num_true: int


@dataclass(frozen=True, slots=True)
class DataSummary:
    """Form and size of the data.

    Attributes:
        kind: `image` or `table`.
        input_shape: Of one example, as a network takes it.
        num_in_training: Test examples whose inputs also stand in the training pool; None if the
            test split was not read or they were not counted.
        notes: What was left out or converted, a sentence each.
    """

    kind: str
    input_shape: tuple[int, ...]
    num_classes: int
    num_train: int | None
    num_validation: int | None
    num_test: int
    num_in_training: int | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Provenance:
    """What the study was made with; several values where its trials differ."""

    data_fingerprint: str
    search_space_fingerprint: str
    study_seed: int
    split_seed: int
    num_validation_images: int | None
    versions: dict[str, tuple[str, ...]]
    devices: dict[str, int]
    nodes: dict[str, int]
    precisions: tuple[str, ...]
    calibration: Calibration | None


def trial_row(record: StudyRecord, space: SearchSpace, trial: TrialRecord) -> TrialRow:
    """One trial of the search, or of a study with the same parameters."""
    outcome = trial.outcome
    best = outcome.best if outcome else None
    effective = {name for name, _ in effective_parameters(space, trial.params)}
    return TrialRow(
        number=trial.number,
        state=record.state_of(trial).value,
        value=_finite(record.value(trial)),
        params=dict(trial.params),
        unused_params=tuple(name for name in trial.params if name not in effective),
        best_epoch=outcome.best_epoch if outcome else None,
        epochs_run=trial.epochs_run,
        seconds=_finite(outcome.seconds) if outcome else None,
        num_parameters=(outcome.num_parameters or None) if outcome else None,
        device=outcome.device if outcome else "",
        precision=outcome.precision if outcome else "",
        worker=outcome.worker if outcome else None,
        node=outcome.node if outcome else "",
        started_at=trial.started_at.isoformat() if trial.started_at else None,
        ended_at=trial.ended_at.isoformat() if trial.ended_at else None,
        audited=trial.audited,
        origin=record.origin(trial),
        copy_of=trial.copy_of,
        reason=trial.reason,
        metrics={name: _finite(best.values[name]) if best else None for name in OBJECTIVES},
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def leaderboard(
    record: StudyRecord,
    space: SearchSpace,
    comparisons: dict[int, Comparison[PairedTest]],
    top: int,
) -> tuple[LeaderboardRow, ...]:
    """The best COMPLETE trials, best first."""
    best = record.ranked()[:top]
    intervals = validation_intervals(record, best)
    rows: list[LeaderboardRow] = []
    for place, trial in enumerate(best, start=1):
        row = trial_row(record, space, trial)
        rank = rows[-1].rank if rows and rows[-1].trial.value == row.value else place
        interval, comparison = intervals.get(trial.number), comparisons.get(trial.number)
        rows.append(LeaderboardRow(rank, row, interval, comparison))
    return tuple(rows)


def counts(record: StudyRecord) -> Counts:
    """How many trials are in which state, and what they cost."""
    outcomes = [trial.outcome for trial in record.trials if trial.outcome]
    return Counts(
        trials=len(record.trials),
        complete=record.count(TrialState.COMPLETE) - record.num_copies,
        copies=record.num_copies,
        pruned=record.count(TrialState.PRUNED),
        failed=record.count(TrialState.FAIL),
        running=record.count(TrialState.RUNNING),
        paused=record.count(TrialState.PAUSED),
        waiting=record.count(TrialState.WAITING),
        epochs=sum(trial.epochs_run for trial in record.trials),
        seconds=sum(metrics.seconds for outcome in outcomes for metrics in outcome.history),
        clock_seconds=_clock_seconds(record.trials),
    )


def _clock_seconds(trials: Sequence[TrialRecord]) -> float | None:
    spans = sorted(
        (trial.started_at, trial.ended_at)
        for trial in trials
        if trial.outcome and trial.started_at is not None and trial.ended_at is not None
    )
    if not spans:
        return None
    total, until = 0.0, spans[0][0]
    for start, end in spans:
        total += max(0.0, (end - max(start, until)).total_seconds())
        until = max(until, end)
    return total


def trials_after_opening(record: StudyRecord) -> int:
    """Trials that ended after a search's first opening of the test split; 0 if none, or unknown.

    Trials that ended after its confirmation began are counted there (`Confirmation.num_later`).
    """
    by_then = [reading.num_trials for reading in record.test_readings if reading.num_trials]
    return record.num_ended - by_then[0] if by_then else 0


def class_names(record: StudyRecord, num_classes: int) -> tuple[str, ...]:
    """Names of the classes, numbers where they are unknown."""
    names = record.data.spec.class_names
    return names if len(names) == num_classes else tuple(map(str, range(num_classes)))


def confusions(names: Sequence[str], matrix: ConfusionMatrix) -> tuple[Confusion, ...]:
    """The most frequent confusions of a matrix (true classes in rows), most frequent first."""
    found = [
        Confusion(names[true], names[predicted], count, sum(row))
        for true, row in enumerate(matrix)
        for predicted, count in enumerate(row)
        if true != predicted and count
    ]
    return tuple(sorted(found, key=lambda confusion: -confusion.count)[:_MAX_CONFUSIONS])


def data_summary(record: StudyRecord, reading: TestReading | None) -> DataSummary:
    """Form and size of a study's data."""
    spec, num_validation = record.data.spec, num_validation_images(record)
    return DataSummary(
        kind=spec.kind,
        input_shape=spec.input_shape,
        num_classes=spec.num_classes,
        num_train=None if num_validation is None else spec.num_pool - num_validation,
        num_validation=num_validation,
        num_test=spec.num_test,
        num_in_training=reading.num_in_training if reading else None,
        notes=record.data.notes,
    )


def provenance(record: StudyRecord, space: SearchSpace) -> Provenance:
    """What the study was made with."""
    outcomes = [trial.outcome for trial in record.trials if trial.outcome]
    devices = [outcome.device for outcome in outcomes if outcome.device]
    nodes = [outcome.node for outcome in outcomes if outcome.node]
    environments: list[dict[str, Any]] = [outcome.environment or {} for outcome in outcomes]
    packages = _unique(name for environment in environments for name in environment)
    return Provenance(
        data_fingerprint=record.data.fingerprint,
        search_space_fingerprint=space.fingerprint,
        study_seed=space.seed,
        split_seed=space.dataset.split_seed,
        num_validation_images=num_validation_images(record),
        versions={
            name: _unique(str(found[name]) for found in environments if name in found)
            for name in packages
        },
        devices={device: devices.count(device) for device in _unique(devices)},
        nodes={node: nodes.count(node) for node in _unique(nodes)},
        precisions=_unique(outcome.precision for outcome in outcomes if outcome.precision),
        calibration=None if record.workers is None else record.workers.calibration,
    )


def _unique(values: Iterable[str]) -> tuple[str, ...]:
    """Each value once, in the order of appearance."""
    return tuple(dict.fromkeys(values))
