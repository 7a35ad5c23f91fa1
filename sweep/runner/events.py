"""What happens in a sweep, for whoever watches it."""

from __future__ import annotations

from dataclasses import dataclass

from sweep.execution import Placement
from sweep.records import EpochMetrics, Notice, StudyRecord, TrialConfig, TrialOutcome

__all__ = [
    "EpochFinished",
    "Event",
    "Notice",
    "StudyOpened",
    "TrialFinished",
    "TrialResumed",
    "TrialStarted",
]


@dataclass(frozen=True, slots=True)
class StudyOpened:
    """The study is open and its workers are starting.

    Attributes:
        study: The study as it was found.
        placements: Where the workers run.
        deadline: Value of `time.monotonic` after which no trial starts, or None.
    """

    study: StudyRecord
    placements: tuple[Placement, ...]
    deadline: float | None


@dataclass(frozen=True, slots=True)
class TrialStarted:
    """A trial was handed to a worker."""

    config: TrialConfig


@dataclass(frozen=True, slots=True)
class TrialResumed:
    """A trial that was handed to a worker goes on from its checkpoint.

    Attributes:
        config: The trial.
        epochs: Epochs that it had finished.
    """

    config: TrialConfig
    epochs: int


@dataclass(frozen=True, slots=True)
class EpochFinished:
    """A trial measured an epoch."""

    metrics: EpochMetrics
    value: float


@dataclass(frozen=True, slots=True)
class TrialFinished:
    """A trial ended and is in the store."""

    config: TrialConfig
    outcome: TrialOutcome
    value: float | None


Event = StudyOpened | TrialStarted | TrialResumed | EpochFinished | TrialFinished | Notice
