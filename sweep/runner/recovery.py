"""Trials that were begun and have lost their worker: those of an earlier driver, and our own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sweep.execution import Executor
from sweep.records import Checkpoint, Failure, FailureKind, Notice, StudyRecord, TrialConfig
from sweep.store import Store

__all__ = ["Begun", "Recovery"]

_MAX_RETRIES = 2


@dataclass(frozen=True, slots=True)
class Begun:
    """A trial that was begun.

    Attributes:
        config: The trial.
        checkpoint: Where it goes on, or None for its start.
        alone: Whether it gets a worker to itself: it may have ended the one that it shared.
    """

    config: TrialConfig
    checkpoint: Checkpoint | None
    alone: bool


class Recovery:
    """Keeps trials that were begun until a worker has a place for them.

    Args:
        study: The study's name.
        store: Where it is.
        notify: Is told what became of checkpoints and workers.
    """

    def __init__(self, study: str, store: Store, notify: Callable[[Notice], None]) -> None:
        self._study = study
        self._store = store
        self._notify = notify
        self._waiting: deque[TrialConfig] = deque()
        self._lost: dict[int, tuple[Failure, ...]] = {}

    def take_over(self, orphans: Sequence[TrialConfig], study: StudyRecord) -> None:
        """Take up the trials that an earlier driver left."""
        self._waiting.extend(orphans)
        self._lost = {config.number: study.trials[config.number].lost for config in orphans}

    @property
    def has_trials(self) -> bool:
        """Whether a trial waits for a place."""
        return bool(self._waiting)

    def next(self, executor: Executor) -> Begun | None:
        """A trial for which the executor has a place now, or None."""
        for config in self._waiting:
            alone = bool(self._lost.get(config.number))
            if executor.has_empty_worker if alone else executor.has_room:
                self._waiting.remove(config)
                return Begun(config, self._checkpoint(config.number), alone)
        return None

    def lose(self, config: TrialConfig, failure: Failure | None) -> Failure | None:
        """Decide about a trial whose worker has gone.

        Args:
            config: The trial.
            failure: What ended the worker, or None if another of its trials did.

        Returns:
            Why the trial has failed, or None if it is tried again.
        """
        if failure is None:
            self._waiting.append(config)
            return None
        if failure.kind is not FailureKind.KILLED:
            return failure
        lost = (*self._lost.get(config.number, ()), failure)
        if len(lost) > _MAX_RETRIES:
            return replace(
                failure, reason=f"{failure.reason}, as it did {_MAX_RETRIES} times before"
            )
        self._lost[config.number] = lost
        self._store.write_lost(self._study, config.number, lost)
        self._waiting.append(config)
        self._notify(
            Notice(
                f"trial {config.number}: {failure.reason}; it is tried again, on its own "
                f"({len(lost)} of {_MAX_RETRIES})"
            )
        )
        return None

    def _checkpoint(self, trial: int) -> Checkpoint | None:
        """The newest checkpoint that is whole."""
        damaged = 0
        for checkpoint in self._store.read_checkpoints(self._study, trial):
            if checkpoint is not None:
                if damaged:
                    epochs = f"{checkpoint.epoch} epoch{'' if checkpoint.epoch == 1 else 's'}"
                    self._tell_damaged(trial, f"goes on from the one before, after {epochs}")
                return checkpoint
            damaged += 1
        if damaged:
            self._tell_damaged(trial, "starts again: there is no other")
        return None

    def _tell_damaged(self, trial: int, consequence: str) -> None:
        self._notify(
            Notice(f"trial {trial}: its checkpoint is missing or damaged; the trial {consequence}")
        )
