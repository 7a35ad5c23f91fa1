"""One driver's view of one Optuna study: open, recover, ask, report and decide, promote, tell.

Uses Optuna's public interface only. A trial keeps its number over any interruption.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from sweep.definitions import Params, Recipe, view
from sweep.errors import SweepFailedError
from sweep.quiet import without_optuna_messages
from sweep.records import (
    Decision,
    EpochMetrics,
    StartingPoint,
    TrialConfig,
    TrialOutcome,
    TrialState,
)
from sweep.space import SearchSpace
from sweep.study import schedules
from sweep.study.forecast import Forecast
from sweep.study.mirror import StudyMirror
from sweep.study.samplers import build_sampler, derive_seed
from sweep.study.schedules import Audits, build_pruner
from sweep.words import params_words

__all__ = ["PRUNED", "StudySession"]

PRUNED = "sweep:pruned"  # the epoch after which a trial was pruned, before its outcome is there
_PAUSED = "sweep:paused"  # the epoch after which it was told to pause; None once it is promoted


class StudySession:
    """Opens a study, or creates it. Hold the study's lock while it is in use.

    The study is read once, here: of what other programs write later, only the numbers of their
    trials are seen. If `trials` is given, they replace reading all at once; nothing is taken from
    it before the study exists. The first trials are those that the space enqueues, then those of
    `starting`. The trials take turns with `num_orders` orders of the training examples.
    """

    def __init__(
        self,
        storage: BaseStorage,
        name: str,
        space: SearchSpace,
        trials: Iterable[FrozenTrial] | None = None,
        *,
        starting: Sequence[StartingPoint] = (),
        num_orders: int = 1,
    ) -> None:
        assert space.limits.are_known, "see SearchSpace.on_data"  # noqa: S101
        self._space = space
        self._given = [*space.enqueue, *(point.params for point in starting)]
        self._num_orders = num_orders
        self._objective = space.trial_objective
        self._forecast = Forecast(self._objective, self._epochs_of, space.rungs)
        with without_optuna_messages(logging.WARNING):  # or a new study would be logged
            optuna.create_study(
                study_name=name,
                storage=storage,
                direction=StudyDirection[self._objective.goal.upper()],
                load_if_exists=True,
            )
            self._storage = StudyMirror(storage, name, trials)
        self._study_id = self._storage.get_study_id_from_name(name)
        known = self._storage.get_all_trials(self._study_id, deepcopy=False)
        self._study = optuna.load_study(
            study_name=name,
            storage=self._storage,
            sampler=build_sampler(space, known, self._forecast),
            pruner=build_pruner(space),
        )
        # What is probably good is soon complete, and the others have something to beat.
        unpaused = len(space.enqueue) if starting else None
        self._schedule = schedules.build_schedule(space, known, self._remember, unpaused)
        self._open: dict[int, optuna.Trial] = {}
        self._num_epochs: dict[int, int] = {}  # of the open trials
        # The last epoch that was reported of a trial, and what was decided; see `report`.
        self._decided: dict[int, tuple[int, Decision]] = {}
        self._audits = Audits(0, None, {})

    def enqueue(self) -> None:
        """Enqueue the given configurations that are not in the study yet: its first trials."""
        for configuration in self._given[len(self._trials) :]:
            self._study.enqueue_trial(configuration)

    def enqueue_again(self, params: dict[str, int | float | str]) -> int:
        """Enqueue a configuration once more; returns the number of its trial."""
        names = self._space.sampled
        self._study.enqueue_trial({k: v for k, v in params.items() if k in names})
        return self._trials[-1].number

    def recover(self, paused: Collection[int] = ()) -> list[TrialConfig]:
        """Take up the trials that an earlier driver left RUNNING; returns their configurations.

        The lock proves that driver dead, so each one that is not paused is an orphan. Those whose
        numbers are in `paused` stay paused.
        """
        for number in paused:
            self._storage.pause(self._trial_id(number))
        orphans = self._study.get_trials(deepcopy=False, states=[OptunaState.RUNNING])
        return [self._take_up(orphan) for orphan in orphans]

    @property
    def paused(self) -> list[int]:
        """Numbers of the paused trials, in order."""
        return self._storage.paused

    def pause(self, trial: int) -> None:
        """Record that a trial, told to pause, has stopped."""
        self._storage.pause(self._trial_id(trial))
        self._close(trial)

    def promotable(self, *, at_end: bool) -> int | None:
        """Number of the paused trial that continues now, or None.

        `at_end` says that no trial is under way and none will start.
        """
        return self._schedule.promote(self._storage.paused, at_end=at_end)

    @property
    def hopeless(self) -> list[int]:
        """Numbers of the paused trials that will never be promoted, in order."""
        return self._schedule.hopeless(self._storage.paused)

    def promote(self, trial: int) -> TrialConfig:
        """Let a paused trial go on; raises a `KeyError` if it is not paused."""
        trial_id = self._trial_id(trial)
        self._storage.unpause(trial_id)
        self._storage.set_trial_system_attr(trial_id, _PAUSED, None)
        return self._take_up(self._storage.get_trial(trial_id))

    @property
    def num_started(self) -> int:
        """How many trials have been asked for, ended or not."""
        started = sum(trial.state is not OptunaState.WAITING for trial in self._trials)
        return started - len(self.foreign)

    @property
    def foreign(self) -> list[int]:
        """Numbers of another program's trials, as far as they are known."""
        return self._storage.foreign

    @property
    def num_promised(self) -> int:
        """How many trials count against the budget: those that were started, and repetitions."""
        waiting = (t.number for t in self._trials if t.state is OptunaState.WAITING)
        # What was given comes first; whatever else waits repeats a failed trial.
        return self.num_started + sum(number >= len(self._given) for number in waiting)

    @property
    def num_repetitions(self) -> int:
        """How many trials repeat failed ones, ended or not."""
        # What was given comes first; whatever else was enqueued repeats a failed trial.
        own = len(self._given)
        return sum(t.number >= own and "fixed_params" in t.system_attrs for t in self._trials)

    def plan(self, num_trials: int | None, audited: Mapping[int, int]) -> None:
        """Take the total number of trials before the first report; plan audits (see `Audits`)."""
        self._schedule.plan(num_trials)
        self._audits = Audits(self._space.budget.audit, num_trials, audited)

    def audited_after(self, trial: int) -> int | None:
        """The epoch after which the trial would have ended, or None if it is not audited."""
        return self._audits.epoch(trial)

    def ask(self) -> TrialConfig:
        """Sample a new trial whole.

        Raises:
            SweepFailedError: no configuration was found that meets the constraints.
        """
        config = self._configure(self._study.ask())
        if broken := self._space.limits.broken(config.params):
            raise SweepFailedError(
                f"trial {config.number} was enqueued with values that do not meet the constraint "
                f"{broken[0]!r}: {params_words(config.params)}; delete it, or run the search under "
                "another name with --study"
            )
        return config

    def report(self, metrics: EpochMetrics) -> Decision:
        """Record the objective of one epoch and decide whether the trial continues.

        Call it in a transaction: epoch and decision belong together. A trial that lost its worker
        repeats epochs, for which the pruner is not asked again: some pruners would answer
        differently.
        """
        last, decision = self._decided.get(metrics.trial, (0, Decision.CONTINUE))
        if metrics.epoch < last:
            return Decision.CONTINUE
        if metrics.epoch == last:
            return decision
        trial = self._open[metrics.trial]
        trial.report(self._objective.value(metrics), metrics.epoch)
        decision = self._decide(trial, metrics)
        if decision is not Decision.CONTINUE:
            key = PRUNED if decision is Decision.PRUNE else _PAUSED
            self._storage.set_trial_system_attr(self._trial_id(trial.number), key, metrics.epoch)
        self._decided[metrics.trial] = (metrics.epoch, decision)
        return decision

    def last_epoch(self, trial: int) -> int:
        """The last epoch that a trial under way has reported, or 0."""
        return self._decided.get(trial, (0, Decision.CONTINUE))[0]

    def tell(self, outcome: TrialOutcome) -> None:
        """Finish a trial that is under way or paused. Write its outcome to the store first."""
        if outcome.trial in self._storage.paused:
            self._storage.unpause(self._trial_id(outcome.trial))
        state = {
            TrialState.COMPLETE: OptunaState.COMPLETE,
            TrialState.PRUNED: OptunaState.PRUNED,
            TrialState.FAIL: OptunaState.FAIL,
        }[outcome.state]
        best = outcome.best
        value = self._objective.value(best) if best else None
        self._study.tell(
            outcome.trial, value if state is OptunaState.COMPLETE else None, state=state
        )
        self._close(outcome.trial)

    def copy(self, trial: int, original: int) -> None:
        """Finish a trial that was just asked for with the value of a COMPLETE one."""
        self._study.tell(trial, self._trials[original].value)
        self._close(trial)

    @property
    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _decide(self, trial: optuna.Trial, metrics: EpochMetrics) -> Decision:
        """The schedule's decision; an audited trial continues.

        The schedule is asked after the last epoch, too, because pruners remember what they saw, but
        the trial is complete whatever it says.
        """
        if self._audits.epoch(trial.number) is not None:
            return Decision.CONTINUE
        num_epochs = self._num_epochs[trial.number]
        decision = self._schedule.decide(trial, metrics, num_epochs)
        if metrics.epoch >= num_epochs:
            return Decision.CONTINUE
        if decision is Decision.PRUNE and self._audits.take(trial.number, metrics.epoch):
            return Decision.CONTINUE
        return decision

    def _remember(self, trial: int, key: str, value: Any) -> None:
        self._storage.set_trial_system_attr(self._trial_id(trial), key, value)

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def _take_up(self, trial: FrozenTrial) -> TrialConfig:
        """Go on with a trial, and with the decision on its last epoch."""
        decision = Decision.CONTINUE
        if PRUNED in trial.system_attrs:
            decision = Decision.PRUNE
        elif trial.system_attrs.get(_PAUSED) is not None:
            decision = Decision.PAUSE
        self._decided[trial.number] = (max(trial.intermediate_values, default=0), decision)
        return self._configure(optuna.Trial(self._study, self._trial_id(trial.number)))

    def _epochs_of(self, params: Params) -> int:
        values = self._space.suggest(optuna.trial.FixedTrial(dict(params)))
        return view(Recipe, values).epochs

    def _shown_to_sampler(self) -> dict[int, FrozenTrial]:
        """In the place of stopped trials; `gp` takes the curves themselves."""
        is_gp = self._space.sampler.type == "gp"
        return {} if is_gp else self._forecast.finished(self._trials)

    def _close(self, trial: int) -> None:
        self._open.pop(trial, None)
        self._num_epochs.pop(trial, None)
        self._decided.pop(trial, None)

    def _configure(self, trial: optuna.Trial) -> TrialConfig:
        with self._storage.showing(self._shown_to_sampler()):
            values = self._space.suggest(trial)
        self._open[trial.number] = trial
        seed = derive_seed(self._space.seed, trial.number, "training")
        config = TrialConfig(trial.number, seed, values, trial.number % self._num_orders)
        self._num_epochs[trial.number] = view(Recipe, values).epochs
        return config
