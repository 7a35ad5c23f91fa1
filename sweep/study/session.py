"""One driver's view of one Optuna study: open, recover, ask, report and decide, tell.

All names come from Optuna's public interface. A trial keeps its number over any interruption:
one that was under way when its driver ended is taken up again as it is, never copied.
"""

from __future__ import annotations

import optuna
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState as OptunaState

from sweep.records import Decision, EpochMetrics, TrialConfig, TrialOutcome, TrialState
from sweep.space import SearchSpace
from sweep.study.memory import StudyMemory
from sweep.study.pruners import build_pruner
from sweep.study.samplers import build_sampler, derive_seed

__all__ = ["StudySession"]


class StudySession:
    """Opens a study, creating it if need be. Hold the study's lock while it is in use.

    The study is read once, here, and remembered: whatever else writes to it meanwhile is not seen.

    Args:
        storage: Where the study lives.
        name: The study's name.
        space: Its search space.
    """

    def __init__(self, storage: BaseStorage, name: str, space: SearchSpace) -> None:
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
            self._storage = StudyMemory(storage, name)
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
        self._last_epochs: dict[int, int] = {}  # that were reported; see `report`

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
            self._last_epochs[orphan.number] = max(orphan.intermediate_values, default=0)
        return configs

    @property
    def num_started(self) -> int:
        """Trials that have been asked for, whatever became of them."""
        trials = self._study.get_trials(deepcopy=False)
        return sum(trial.state is not OptunaState.WAITING for trial in trials)

    def ask(self) -> TrialConfig:
        """Sample a new trial whole."""
        return self._configure(self._study.ask())

    def report(self, metrics: EpochMetrics) -> Decision:
        """Record the objective of one epoch and decide whether the trial goes on.

        A trial that lost its worker is trained again from its checkpoint, or from its start. For
        epochs before the last one that was reported the decision is known: the trial went on.
        They are passed over, so that the pruner sees each of them once, in the same order as
        without an interruption.
        """
        last = self._last_epochs.get(metrics.trial, 0)
        if metrics.epoch < last:
            return Decision.CONTINUE
        trial = self._open[metrics.trial]
        if metrics.epoch > last:
            trial.report(self._objective.value(metrics), metrics.epoch)
            self._last_epochs[metrics.trial] = metrics.epoch
        return Decision.PRUNE if trial.should_prune() else Decision.CONTINUE

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
        self._last_epochs.pop(outcome.trial, None)

    def _configure(self, trial: optuna.Trial) -> TrialConfig:
        values = self._space.suggest(trial)
        self._open[trial.number] = trial
        seed = derive_seed(self._space.seed, trial.number, "training")
        return TrialConfig(number=trial.number, seed=seed, **values)  # type: ignore[arg-type]
