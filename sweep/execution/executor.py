"""What the driver needs of whatever runs engines, and what it is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sweep.execution.wire import Epoch, WorkerReady
from sweep.records import (
    Checkpoint,
    Decision,
    EpochMetrics,
    Failure,
    Notice,
    Resumed,
    TrialConfig,
    TrialOutcome,
)

__all__ = ["Executor", "Lost", "News"]


@dataclass(frozen=True, slots=True)
class Lost:
    """A trial's worker has gone before the trial ended.

    Attributes:
        trial: The trial's number.
        failure: What ended the worker, or None if another of its trials is to blame.
        worker: Which of the workers it was, from 0, or None if unknown.
    """

    trial: int
    failure: Failure | None
    worker: int | None = None


News = WorkerReady | Epoch | TrialOutcome | Checkpoint | Resumed | Notice | Lost
"""What an executor has to tell."""


class Executor(Protocol):
    """Where trials are trained: submit, take messages, answer with decisions."""

    @property
    def has_room(self) -> bool:
        """Whether a trial can be submitted now."""
        ...

    @property
    def running(self) -> list[int]:
        """Numbers of the trials that were submitted and have no outcome yet."""
        ...

    @property
    def has_empty_worker(self) -> bool:
        """Whether a trial can have a worker to itself now."""
        ...

    @property
    def is_isolating(self) -> bool:
        """Whether a trial has a worker to itself, which will be empty when that trial ends."""
        ...

    def submit(
        self, config: TrialConfig, checkpoint: Checkpoint | None = None, *, alone: bool = False
    ) -> None:
        """Give a trial to a worker. Call it only while there is room.

        It starts when its worker is full, or with `flush`, whichever comes first: trials that
        start together can share their batches.

        Args:
            config: What to train.
            checkpoint: Where to go on.
            alone: Whether to train it on its own in an empty worker.
        """
        ...

    def flush(self) -> None:
        """Start what was submitted; there is nothing more to come for now."""
        ...

    def messages(self, timeout: float) -> list[News]:
        """What happened, after waiting for up to `timeout` seconds."""
        ...

    def save(self) -> list[News]:
        """Have all trials saved, as far as that takes seconds; what happened meanwhile."""
        ...

    def decide(self, metrics: Sequence[EpochMetrics], decisions: Sequence[Decision]) -> None:
        """Answer the epoch that these metrics came with."""
        ...
