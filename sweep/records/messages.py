"""Messages between driver, workers and observers: one set.

A worker is told `Train`, `Decide` and `Save`. It says `WorkerReady`, `Resumed`, `Epoch`,
`Checkpoint`, `CheckpointRefused`, `OutOfMemory`, `Saved`, `Notice`, `Paused` and, at the end of a
trial, `TrialOutcome`. The pool adds `Lost`; the runner adds `StudyOpened` and `TrialStarted` for
those who watch, and hands the others on to them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from sweep.records.study import StudyRecord
from sweep.records.trial import (
    Decision,
    EpochMetrics,
    Failure,
    TrialConfig,
    TrialOutcome,
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A trial under way, from which its training can go on.

    Attributes:
        epoch: Epochs that it had finished.
        step: Steps of the next epoch that it had trained.
        state: All that training needs, as a safetensors file.
    """

    trial: int
    epoch: int
    step: int
    state: bytes


@dataclass(frozen=True, slots=True)
class Assignment:
    """One trial that a worker is given.

    Attributes:
        lease: Number of the assignment; a later one for the same trial has a higher number.
        checkpoint: Where to go on, or None for the start.
    """

    lease: int
    config: TrialConfig
    checkpoint: Checkpoint | None = None


@dataclass(frozen=True, slots=True)
class Train:
    """To a worker: train these together, as one stack.

    They have one batch size and are at the same step of the same epoch.
    """

    assignments: tuple[Assignment, ...]


@dataclass(frozen=True, slots=True)
class Decide:
    """To a worker: the answers to an `Epoch`, one for each of these trials."""

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
        memory_bytes: Memory that its trials may take, or None if unknown.
    """

    data_fingerprint: str
    hardware: str
    memory_bytes: int | None
    precision: str


@dataclass(frozen=True, slots=True)
class Epoch:
    """From a worker: one epoch of each of some trials; `Decide` is to follow."""

    metrics: tuple[EpochMetrics, ...]


@dataclass(frozen=True, slots=True)
class Resumed:
    """From a worker: a trial goes on from its checkpoint; its last epoch is to be decided on again.

    `history` holds every epoch that it had finished.
    """

    trial: int
    history: tuple[EpochMetrics, ...]


@dataclass(frozen=True, slots=True)
class CheckpointRefused:
    """From a worker: a trial's checkpoint cannot be used, and the trial is not being trained."""

    trial: int
    reason: str


@dataclass(frozen=True, slots=True)
class OutOfMemory:
    """From a worker: memory ran out, and these trials are not being trained any more.

    Attributes:
        num_together: How many trials were trained together when it happened.
    """

    trials: tuple[int, ...]
    num_together: int


@dataclass(frozen=True, slots=True)
class Paused:
    """From a worker: a trial is not being trained any more, and may be promoted later.

    It comes after the trial's `Checkpoint`.

    Attributes:
        outcome: The trial's outcome, PRUNED, if it is never promoted.
    """

    outcome: TrialOutcome


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a user should know and that changes nothing, in one line."""

    text: str


@dataclass(frozen=True, slots=True)
class Lost:
    """From the pool: a trial is not being trained any more, and has not ended.

    Attributes:
        failure: What ended its worker, or None if the trial is not to blame.
        failures: All that ended workers of this trial so far, `failure` included if it is counted.
        is_over: Whether the trial has failed; otherwise it is to be submitted again.
        worker: Which of the workers it was, from 0.
    """

    trial: int
    failure: Failure | None
    failures: tuple[Failure, ...]
    is_over: bool
    worker: int


@dataclass(frozen=True, slots=True)
class StudyOpened:
    """To those who watch: the study is open and its workers are starting.

    Attributes:
        study: The study as it was found.
        devices: The device of each worker.
        deadline: Value of `time.monotonic` after which no trial starts, or None.
        sampled: Names of the hyperparameters that are searched.
    """

    study: StudyRecord
    devices: tuple[str, ...]
    deadline: float | None
    sampled: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrialStarted:
    """To those who watch: a trial was submitted, for the first time or again."""

    config: TrialConfig


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
    | StudyOpened
    | TrialStarted
)
"""Every message."""

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
    """A worker's message less what it says of some trials; None if nothing is left of it."""
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
