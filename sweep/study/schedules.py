"""What decides after each report whether a trial goes on, and which paused trials do later."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import optuna

from sweep.records import Decision
from sweep.space import SearchSpace

__all__ = ["Schedule", "build_schedule"]


class Schedule(Protocol):
    """Decides about trials by what the study says of them, and remembers nothing itself.

    So a driver that takes up the study decides as its predecessor would have.
    """

    @property
    def rungs(self) -> tuple[int, ...]:
        """Epochs after which it may pause trials."""
        ...

    def decide(self, trial: optuna.Trial) -> Decision:
        """Whether a trial goes on after the epoch that it has just reported."""
        ...

    def promote(self, study: optuna.Study, paused: Collection[int]) -> int | None:
        """The paused trial that goes on now, or None.

        Args:
            study: The study; it shows paused trials as PRUNED.
            paused: Numbers of the paused trials.
        """
        ...


def build_schedule(_space: SearchSpace) -> Schedule:
    """The schedule that a search space names."""
    return _Pruning()


class _Pruning:
    """Ends trials as the study's pruner says, and never pauses one."""

    rungs: tuple[int, ...] = ()

    def decide(self, trial: optuna.Trial) -> Decision:
        return Decision.PRUNE if trial.should_prune() else Decision.CONTINUE

    def promote(self, _study: optuna.Study, _paused: Collection[int]) -> int | None:
        return None
