"""Decides after each report whether a trial continues, and later which paused trials do.

Pruners by name, and audits: some trials that the pruner would end run on, to show what it misses.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Protocol

import optuna
from optuna import pruners
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial

from sweep.quiet import without_warnings
from sweep.records import Decision, EpochMetrics
from sweep.space import SearchSpace
from sweep.space.strategies import AshaPruner, PatientPruner
from sweep.study.promotion import Promotion, Remember

__all__ = ["Audits", "Schedule", "build_pruner", "build_schedule"]


class Schedule(Protocol):
    """Decides by what the study records: a resumed study decides the same."""

    def plan(self, num_trials: int | None) -> None:
        """Take the study's total number of trials, None if only time limits it."""
        ...

    def decide(self, trial: optuna.Trial, metrics: EpochMetrics, num_epochs: int) -> Decision:
        """Whether a trial of so many epochs continues after the one that it has just reported."""
        ...

    def promote(self, paused: Collection[int], *, at_end: bool) -> int | None:
        """The paused trial that continues now, or None; `at_end` if nothing else is to come."""
        ...

    def hopeless(self, paused: Collection[int]) -> list[int]:
        """Paused trials that can never be promoted, in order."""
        ...


def build_schedule(
    space: SearchSpace,
    trials: Iterable[FrozenTrial],
    remember: Remember,
    unpaused: int | None = None,
) -> Schedule:
    """The schedule of a search space, for a study that has these trials (see `Promotion`)."""
    if isinstance(space.pruner, AshaPruner):
        return Promotion(space, trials, remember, unpaused)
    return _Pruning()


class _Pruning:
    """Follows the study's pruner, and never pauses a trial."""

    def plan(self, num_trials: int | None) -> None:
        """Pruners compare with the past alone."""

    def decide(self, trial: optuna.Trial, _metrics: EpochMetrics, _num_epochs: int) -> Decision:
        return Decision.PRUNE if trial.should_prune() else Decision.CONTINUE

    def promote(self, _paused: Collection[int], *, at_end: bool) -> int | None:
        del at_end
        return None

    def hopeless(self, _paused: Collection[int]) -> list[int]:
        return []


class Audits:
    """Chooses the trials that are audited, and remembers them.

    The trial numbers of the budget are cut into equal slices, one per audit; of each slice the
    first trial that the pruner wants to end is audited. This spreads them over the study, and an
    interrupted study audits the same trials.

    Args:
        num_planned: How many there may be in all.
        num_trials: The study's total number of trials; without one nothing is audited.
        audited: Earlier ones, with the epoch after which each would have ended.
    """

    def __init__(
        self, num_planned: int, num_trials: int | None, audited: Mapping[int, int]
    ) -> None:
        self._num_planned = num_planned if num_trials else 0
        self._num_trials = num_trials or 1
        self._epochs = dict(audited)
        self._taken = {self._slice(trial) for trial in self._epochs} if self._num_planned else set()

    def epoch(self, trial: int) -> int | None:
        """The epoch after which the pruner would have ended the trial, or None if not audited."""
        return self._epochs.get(trial)

    def take(self, trial: int, epoch: int) -> bool:
        """Audit a trial that would end after this epoch, if its slice has none; whether it did."""
        if len(self._epochs) >= self._num_planned or self._slice(trial) in self._taken:
            return False
        self._taken.add(self._slice(trial))
        self._epochs[trial] = epoch
        return True

    def _slice(self, trial: int) -> int:
        # Repetitions of failed trials may have numbers beyond the total: the last slice is theirs.
        return min(trial * self._num_planned // self._num_trials, self._num_planned - 1)


class _Hyperband(pruners.HyperbandPruner):
    """Optuna's, which hashes the names of all trials anew for every decision.

    If another Optuna does not call this method, nothing but time is lost.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._brackets: dict[int, int] = {}  # by trial; the pruner serves one study

    def _get_bracket_id(self, study: optuna.Study, trial: FrozenTrial) -> int:
        if not self._pruners:
            # Optuna's waits for a decision: a study that goes on would sample from all brackets.
            self._try_initialization(study)
        number = trial.number
        if number not in self._brackets:
            self._brackets[number] = super()._get_bracket_id(study, trial)
        return self._brackets[number]


_BUILDERS: dict[str, Callable[..., pruners.BasePruner]] = {
    "none": pruners.NopPruner,
    "asha": pruners.NopPruner,  # a schedule of ours, which Optuna's pruners cannot express
    "hyperband": _Hyperband,
    "successive_halving": pruners.SuccessiveHalvingPruner,
    "median": pruners.MedianPruner,
    "percentile": pruners.PercentilePruner,
    "threshold": pruners.ThresholdPruner,
}


def build_pruner(space: SearchSpace) -> pruners.BasePruner:
    """The pruner that a search space names. One step is one epoch, counted from 1."""
    spec = space.pruner
    if isinstance(spec, PatientPruner):
        wrapped = None if spec.pruner.type == "none" else _build(spec.pruner, space.max_epochs)
        # The user chose the pruner by name; that it is experimental need not be said.
        with without_warnings(ExperimentalWarning):
            return pruners.PatientPruner(wrapped, spec.patience, spec.min_delta)
    return _build(spec, space.max_epochs)


def _build(spec: Any, max_epochs: int) -> pruners.BasePruner:
    options = {} if spec.type == "asha" else spec.model_dump(exclude={"type"})
    if spec.type == "hyperband":
        options["max_resource"] = max_epochs
    return _BUILDERS[spec.type](**options)
