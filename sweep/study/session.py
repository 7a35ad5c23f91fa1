"""One driver's view of one Optuna study: open, recover, ask, report and decide, tell.

All names come from Optuna's public interface. A trial keeps its number over any interruption:
one that was under way when its driver ended is taken up again as it is, never copied.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import optuna
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from sweep.records import Decision, EpochMetrics, TrialConfig, TrialOutcome, TrialState
from sweep.space import SearchSpace
from sweep.study.audits import Audits
from sweep.study.memory import StudyMemory
from sweep.study.pruners import build_pruner
from sweep.study.samplers import build_sampler, derive_seed

__all__ = ["PRUNED", "StudySession"]

PRUNED = "sweep:pruned"  # the epoch after which a trial was pruned, before its outcome is there


class StudySession:
    """Opens a study, creating it if need be. Hold the study's lock while it is in use.

    The study is read once, here, and remembered: whatever else writes to it meanwhile is not seen.

    Args:
        storage: Where the study lives.
        name: The study's name.
        space: Its search space.
        trials: Its trials as they are in the storage, for one that can read them better than all at
            once; nothing is taken from here before the study has been made.
    """

    def __init__(
        self,
        storage: BaseStorage,
        name: str,
        space: SearchSpace,
        trials: Iterable[FrozenTrial] | None = None,
    ) -> None:
        self._space = space
        self._objective = space.trial_objective
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # a new study is no news to log
        try:
            optuna.create_study(
                study_name=name,
                storage=storage,
                direction=StudyDirection[self._objective.goal.upper()],
                load_if_exists=True,
            )
            self._storage = StudyMemory(storage, name, trials)
        finally:
            optuna.logging.set_verbosity(verbosity)
        self._study = optuna.load_study(
            study_name=name,
            storage=self._storage,
            sampler=build_sampler(space),
            pruner=build_pruner(space),
        )
        self._study_id = self._storage.get_study_id_from_name(name)
        self._open: dict[int, optuna.Trial] = {}
        self._num_epochs: dict[int, int] = {}  # of the open trials
        # The last epoch that was reported of a trial, and what was decided; see `report`.
        self._decided: dict[int, tuple[int, Decision]] = {}
        self._audits = Audits(0, None, {})

    def enqueue(self) -> None:
        """Enqueue the space's configurations that are not in the study yet.

        They are its first trials, and none is asked for before all are there: the number of
        trials tells where an interrupted enqueuing stopped.
        """
        existing = len(self._study.get_trials(deepcopy=False))
        for configuration in self._space.enqueue[existing:]:
            self._study.enqueue_trial(configuration)

    def enqueue_again(self, params: dict[str, int | float | str]) -> int:
        """Enqueue a configuration once more; the number of its trial."""
        number = len(self._study.get_trials(deepcopy=False))
        names = self._space.sampled
        self._study.enqueue_trial({k: v for k, v in params.items() if k in names})
        return number

    def recover(self) -> list[TrialConfig]:
        """Take up the trials that an earlier driver left RUNNING.

        The lock proves that driver dead, so each of them is an orphan.

        Returns:
            Their configurations, in the order of their numbers.
        """
        orphans = self._study.get_trials(deepcopy=False, states=[OptunaState.RUNNING])
        configs = []
        for orphan in orphans:
            trial_id = self._storage.get_trial_id_from_study_id_trial_number(
                self._study_id, orphan.number
            )
            configs.append(self._configure(optuna.Trial(self._study, trial_id)))
            last = max(orphan.intermediate_values, default=0)
            pruned = PRUNED in orphan.system_attrs
            self._decided[orphan.number] = (last, Decision.PRUNE if pruned else Decision.CONTINUE)
        return configs

    @property
    def num_started(self) -> int:
        """Trials that have been asked for, whatever became of them."""
        trials = self._study.get_trials(deepcopy=False)
        return sum(trial.state is not OptunaState.WAITING for trial in trials)

    @property
    def num_promised(self) -> int:
        """Trials that a budget cannot take back: those that were started, and repetitions."""
        trials = self._study.get_trials(deepcopy=False)
        waiting = (t.number for t in trials if t.state is OptunaState.WAITING)
        # What the space enqueues comes first; whatever else waits repeats a failed trial.
        return self.num_started + sum(number >= len(self._space.enqueue) for number in waiting)

    @property
    def num_repetitions(self) -> int:
        """Trials that repeat failed ones, whatever became of them."""
        trials = self._study.get_trials(deepcopy=False)
        # What the space enqueues comes first; whatever else was enqueued repeats a failed trial.
        own = len(self._space.enqueue)
        return sum(t.number >= own and "fixed_params" in t.system_attrs for t in trials)

    def plan_audits(self, num_trials: int | None, audited: Mapping[int, int]) -> None:
        """Spread the budget's audits over the study. Call it before the first report.

        Args:
            num_trials: The study's total number of trials.
            audited: The trials that were audited so far: the epoch after which each would have
                ended.
        """
        self._audits = Audits(self._space.budget.audit, num_trials, audited)

    def audited_after(self, trial: int) -> int | None:
        """The epoch after which an audited trial would have ended, or None of others."""
        return self._audits.epoch(trial)

    def ask(self) -> TrialConfig:
        """Sample a new trial whole."""
        return self._configure(self._study.ask())

    def report(self, metrics: EpochMetrics) -> Decision:
        """Record the objective of one epoch and decide whether the trial goes on.

        A trial that lost its worker is trained again from its checkpoint, or from its start. What
        was decided about epochs that were reported before is not asked again: the pruner sees each
        epoch once, in the same order as without an interruption, and some pruners answer a second
        question otherwise than the first. Of an audited trial it is not asked any more. Call it in
        a transaction: epoch and decision belong together.
        """
        last, decision = self._decided.get(metrics.trial, (0, Decision.CONTINUE))
        if metrics.epoch < last:
            return Decision.CONTINUE
        if metrics.epoch == last:
            return decision
        trial = self._open[metrics.trial]
        trial.report(self._objective.value(metrics), metrics.epoch)
        decision = Decision.PRUNE if self._ends(trial, metrics.epoch) else Decision.CONTINUE
        if decision is Decision.PRUNE:
            trial_id = self._storage.get_trial_id_from_study_id_trial_number(
                self._study_id, metrics.trial
            )
            self._storage.set_trial_system_attr(trial_id, PRUNED, metrics.epoch)
        self._decided[metrics.trial] = (metrics.epoch, decision)
        return decision

    def tell(self, outcome: TrialOutcome) -> None:
        """Finish a trial. Write its outcome to the store first."""
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
        self._open.pop(outcome.trial, None)
        self._num_epochs.pop(outcome.trial, None)
        self._decided.pop(outcome.trial, None)

    def _ends(self, trial: optuna.Trial, epoch: int) -> bool:
        """Whether the pruner ends a trial; one that is audited, from now on or before, goes on.

        After its last epoch a trial is asked for too, because pruners remember what they saw, but
        it is complete whatever they say: nothing is left to save.
        """
        if self._audits.epoch(trial.number) is not None or not trial.should_prune():
            return False
        if epoch >= self._num_epochs[trial.number]:
            return False
        return not self._audits.take(trial.number, epoch)

    def _configure(self, trial: optuna.Trial) -> TrialConfig:
        values = self._space.suggest(trial)
        self._open[trial.number] = trial
        seed = derive_seed(self._space.seed, trial.number, "training")
        config = TrialConfig(number=trial.number, seed=seed, **values)  # type: ignore[arg-type]
        self._num_epochs[trial.number] = config.epochs
        return config
