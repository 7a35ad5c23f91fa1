"""Pausing and promoting: asynchronous successive halving (Li et al. 2020, arXiv 1810.05934).

Every trial pauses at each rung, a share of its epochs. While it is among the best of those that
have arrived there, one in so many, it is promoted: it goes on to the next rung. What arrived is
kept with the trials, so that a resumed study decides the same.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Collection, Iterable
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from sweep.records import Decision, EpochMetrics, rung_epochs
from sweep.space import SearchSpace
from sweep.space.strategies import AshaPruner

__all__ = ["Promotion", "Remember"]

_ARRIVED = "sweep:rung:"
"""Followed by the number of a rung: the system attribute that holds a trial's merit there."""
_MOST_KEPT = 100  # paused trials of a rung: each has a checkpoint on disk

Remember = Callable[[int, str, Any], None]
"""Writes a system attribute of a trial, given by its number."""


class Promotion:
    """The schedule of `pruner: {type: asha}` (see `sweep.study.schedules.Schedule`).

    Trials are compared at equal shares of their epochs, where their learning rates have fallen
    alike. One with too few epochs for a rung arrives there with its last.

    Args:
        space: Whose pruner is `asha`.
        trials: The study's, as it is found.
        remember: Writes what a restart must know.
        unpaused: Number of a trial that never pauses.
    """

    def __init__(
        self,
        space: SearchSpace,
        trials: Iterable[FrozenTrial],
        remember: Remember,
        unpaused: int | None = None,
    ) -> None:
        spec = space.pruner
        assert isinstance(spec, AshaPruner)  # noqa: S101 - for the type checker
        self._rungs = space.rungs
        self._factors = spec.reduction_factors
        self._objective = space.trial_objective
        self._remember = remember
        self._unpaused = unpaused
        self._total: int | None = None
        # Merit and number of the trials at each rung, the best first; the end comes last.
        self._arrived: list[list[tuple[float, float, int]]] = [[] for _ in (*self._rungs, None)]
        self._reached: dict[int, int] = {}  # the last rung of each trial
        for trial in trials:
            for rung in range(len(self._arrived)):
                merit = trial.system_attrs.get(f"{_ARRIVED}{rung}")
                if merit is not None:
                    self._arrive(rung, trial.number, merit)

    def plan(self, num_trials: int | None) -> None:
        """Take the study's total number of trials, which says how many can be promoted at most."""
        self._total = num_trials

    def decide(self, trial: optuna.Trial, metrics: EpochMetrics, num_epochs: int) -> Decision:
        """Pause a trial at a rung; prune it if it can never be promoted from there."""
        has_ended = metrics.epoch >= num_epochs
        rungs = rung_epochs(self._rungs, num_epochs)
        if has_ended:
            due = [*range(len(rungs), len(self._arrived))]
        else:
            due = [rung for rung, epoch in enumerate(rungs) if epoch == metrics.epoch]
        for rung in due:
            merit = self._merit(metrics)
            self._remember(trial.number, f"{_ARRIVED}{rung}", merit)
            self._arrive(rung, trial.number, merit)
        if has_ended or not due or trial.number == self._unpaused:
            return Decision.CONTINUE
        kept = self._places(due[0])
        return Decision.PAUSE if trial.number in kept else Decision.PRUNE

    def promote(self, paused: Collection[int], *, at_end: bool) -> int | None:
        """The best paused trial of the highest rung that promotes one.

        If nothing else will arrive, a rung promotes its best even if too few have arrived.
        """
        for rung in reversed(range(len(self._rungs))):
            arrived = self._arrived[rung]
            number = len(arrived) // self._factors[rung]
            if at_end:
                number = max(1, number)
            for *_, trial in arrived[:number]:
                if trial in paused and self._reached[trial] == rung:
                    return trial
        return None

    def hopeless(self, paused: Collection[int]) -> list[int]:
        """Paused trials that can never be promoted, in order."""
        kept = [self._places(rung) for rung in range(len(self._rungs))]
        return sorted(trial for trial in paused if trial not in kept[self._reached[trial]])

    def _places(self, rung: int) -> set[int]:
        """The trials of a rung that are promoted if no better ones and all others arrive there."""
        most = _MOST_KEPT
        if self._total is not None:
            most = min(most, max(1, self._total // self._factors[rung]))
        return {trial for *_, trial in self._arrived[rung][:most]}

    def _merit(self, metrics: EpochMetrics) -> tuple[float, float]:
        """What trials are compared by, the lower the better."""
        value = self._objective.value(metrics)
        loss = metrics.values["validation_loss"]
        return (-value if self._objective.goal == "maximize" else value, loss)

    def _arrive(self, rung: int, trial: int, merit: Iterable[float]) -> None:
        value, loss = merit
        insort(self._arrived[rung], (value, loss, trial))
        self._reached[trial] = max(rung, self._reached.get(trial, 0))
