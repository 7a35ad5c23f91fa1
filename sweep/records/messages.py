"""Messages between driver, workers and observers.

A worker receives `Train`, `Decide` and `Save`, and sends the others; a trial's last message is
`TrialOutcome`. The pool adds `Lost` and `WorkersChanged`; the runner adds `StudyOpened`,
`TrialStarted` and `Copied`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeVar

from sweep.records.study import StudyRecord
from sweep.records.trial import (
    Decision,
    EpochMetrics,
    Failure,
    Slot,
    TrialConfig,
    TrialOutcome,
    last_epoch,
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a trial under way, from which training can go on.

    Attributes:
        epoch: Epochs that were finished.
        step: Steps of the next epoch that were trained.
        state: A safetensors file.
    """

    trial: int
    epoch: int
    step: int
    state: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Assignment:
    """One trial for a worker, to start or to continue from its checkpoint.

    A later assignment of the same trial has a higher `lease`.
    """

    lease: int
    config: TrialConfig
    checkpoint: Checkpoint | None = None


@dataclass(frozen=True, slots=True)
class Train:
    """To a worker: train these as one stack.

    They have one batch size and one order of the examples, and start at the same step and epoch.
    """

    assignments: tuple[Assignment, ...]


@dataclass(frozen=True, slots=True)
class Decide:
    """To a worker: the answer to an `Epoch`, one decision for each of these trials."""

    trials: tuple[int, ...]
    decisions: tuple[Decision, ...]


@dataclass(frozen=True, slots=True)
class Save:
    """To a worker: send checkpoints of all trials, then `Saved`."""


@dataclass(frozen=True, slots=True)
class Saved:
    """From a worker: the answer to `Save` is complete."""


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """From a worker: the data are in memory.

    Attributes:
        data_fingerprint: SHA-256 of the training pool as this worker sees it.
        hardware: Device and name of the hardware.
        memory_bytes: What its trials may use, or None if unknown.
    """

    data_fingerprint: str
    hardware: str
    memory_bytes: int | None


@dataclass(frozen=True, slots=True)
class Epoch:
    """From a worker: one epoch of some trials; the answer is `Decide`."""

    metrics: tuple[EpochMetrics, ...]


@dataclass(frozen=True, slots=True)
class Resumed:
    """From a worker: a trial continues from its checkpoint, after the epochs reported in `history`.

    Its last one must be decided on again.
    """

    trial: int
    history: tuple[EpochMetrics, ...]

    @property
    def epochs_run(self) -> int:
        """Epochs up to the last report."""
        return last_epoch(self.history)


@dataclass(frozen=True, slots=True)
class CheckpointRefused:
    """From a worker: a checkpoint cannot be used, so the trial is not being trained."""

    trial: int
    reason: str


@dataclass(frozen=True, slots=True)
class OutOfMemory:
    """From a worker: memory ran out with `num_together` trials; these are no longer trained."""

    trials: tuple[int, ...]
    num_together: int


@dataclass(frozen=True, slots=True)
class Paused:
    """From a worker, after the `Checkpoint`: a trial stopped and may be promoted later.

    If it never is, the `outcome`, PRUNED, stands.
    """

    outcome: TrialOutcome


@dataclass(frozen=True, slots=True)
class Notice:
    """One line of information for the user."""

    text: str


@dataclass(frozen=True, slots=True)
class Lost:
    """From the pool: a trial lost its worker before it ended.

    Attributes:
        failure: What ended the worker, or None if the trial is not to blame.
        failures: All such failures of this trial so far; `failure` only if it counts.
        is_over: Whether the trial has failed; otherwise it must be submitted again.
        worker: From 0.
        node: Name of that worker's machine; empty for the driver's own.
    """

    trial: int
    failure: Failure | None
    failures: tuple[Failure, ...]
    is_over: bool
    worker: int
    node: str = ""


@dataclass(frozen=True, slots=True)
class WorkersChanged:
    """To observers: workers on a cluster came or went; `slots` says where there is one now."""

    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class StudyOpened:
    """To observers: the study is open and its workers are starting.

    Attributes:
        study: As it was found.
        devices: Of the workers, one each, as many as there are now.
        deadline: Value of `time.monotonic` after which no trial starts.
        sampled: Names of the hyperparameters that are searched.
    """

    study: StudyRecord
    devices: tuple[str, ...]
    deadline: float | None
    sampled: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrialStarted:
    """To observers: a trial was submitted, for the first time or again."""

    config: TrialConfig


@dataclass(frozen=True, slots=True)
class Copied:
    """To observers: a trial is COMPLETE without training, because `original` has its configuration.

    No other event names it.
    """

    trial: int
    original: int


Message = (
    Train
    | Decide
    | Save
    | WorkerReady
    | Epoch
    | Resumed
    | Checkpoint
    | CheckpointRefused
    | OutOfMemory
    | Paused
    | TrialOutcome
    | Saved
    | Notice
    | Lost
    | WorkersChanged
    | StudyOpened
    | TrialStarted
    | Copied
)

Event = (
    StudyOpened
    | WorkersChanged
    | TrialStarted
    | Copied
    | Resumed
    | Epoch
    | Paused
    | TrialOutcome
    | Notice
)
"""What observers are told."""

M = TypeVar("M", bound=Message)


def trials_of(message: Message) -> tuple[int, ...]:
    """Numbers of the trials that a worker's message is about."""
    match message:
        case Epoch(metrics):
            return tuple(m.trial for m in metrics)
        case OutOfMemory(trials, _):
            return trials
        case Paused(outcome):
            return (outcome.trial,)
        case Resumed() | Checkpoint() | CheckpointRefused() | TrialOutcome():
            return (message.trial,)
    return ()


def without(message: M, trials: set[int]) -> M | None:
    """A worker's message without what concerns some trials; None if nothing is left."""
    if trials.isdisjoint(trials_of(message)):
        return message
    match message:
        case Epoch(metrics):
            kept = tuple(m for m in metrics if m.trial not in trials)
            return replace(message, metrics=kept) if kept else None
        case OutOfMemory(numbers, _):
            left = tuple(number for number in numbers if number not in trials)
            return replace(message, trials=left) if left else None
    return None
