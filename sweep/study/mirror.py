"""A study in memory, in front of its store: reads are answered here, writes go to the store first.

Sampler and pruner read all trials for every trial and epoch, and Optuna's own cache keeps finished
trials only. The driver holds its study's lock, so that nothing else changes the study.
"""

from __future__ import annotations

import copy
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from sweep.errors import SweepFailedError

__all__ = ["FOREIGN", "RECORD", "StudyMirror", "left_out"]

RECORD = "sweep:record"
"""The system attribute in which the store keeps its record of a study or a trial."""

FOREIGN = "sweep:foreign"
"""The system attribute that marks another program's trials, in memory only."""


def left_out(number: int, *, is_foreign: bool) -> FrozenTrial:
    """A trial that holds a number, and from which nothing is learnt."""
    return FrozenTrial(
        number=number,
        trial_id=-1,
        state=TrialState.FAIL,
        value=None,
        datetime_start=None,
        datetime_complete=datetime.now(),
        params={},
        distributions={},
        user_attrs={},
        system_attrs={FOREIGN: True} if is_foreign else {},
        intermediate_values={},
    )


class StudyMirror(InMemoryStorage):
    """One study of a store as a storage for Optuna, with its own ids.

    User attributes and the store's records, which are most of a trial's size and which no sampler
    reads, stay in the store.

    A paused trial is RUNNING in the store, and here if it is read by its id. Among all trials it is
    PRUNED: TPE takes a RUNNING trial for a bad one, and ignores its reports. A sampler may be shown
    trials in another form again (see `showing`).

    If `trials` is given, they are read once, here; otherwise all at once, from the store.
    """

    def __init__(
        self, store: BaseStorage, name: str, trials: Iterable[FrozenTrial] | None = None
    ) -> None:
        super().__init__()
        self._store = store
        self._store_study = store.get_study_id_from_name(name)
        self._store_ids: dict[int, int] = {}  # of trials under way, by ours
        self._paused: dict[int, FrozenTrial] = {}  # as they are shown, by number
        self._shown: dict[int, FrozenTrial] = {}  # in the place of others, by number
        self._foreign: list[int] = []
        self._distributions: dict[str, BaseDistribution] = {}
        study_id = self.create_new_study(store.get_study_directions(self._store_study), name)
        for key, value in _without_record(store.get_study_system_attrs(self._store_study)).items():
            super().set_study_system_attr(study_id, key, value)
        if trials is None:
            trials = store.get_all_trials(self._store_study, deepcopy=False)
        for trial in trials:
            lean = copy.copy(trial)
            lean.user_attrs = {}
            lean.system_attrs = _without_record(trial.system_attrs)
            lean.distributions = {}
            trial_id = super().create_new_trial(study_id, lean)
            self.get_trial(trial_id).distributions = {
                name: self._shared(name, found) for name, found in trial.distributions.items()
            }
            if FOREIGN in lean.system_attrs:
                self._foreign.append(trial.number)

    # ------------------------------------------------------------ writes: the store first

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Create a trial, after those that another program has added meanwhile."""
        store_id = self._store.create_new_trial(self._store_study, template_trial)
        number = len(super().get_all_trials(study_id, deepcopy=False))
        while self._store_id_of(number) != store_id:
            super().create_new_trial(study_id, left_out(number, is_foreign=True))
            self._foreign.append(number)
            number += 1
        return super().create_new_trial(study_id, template_trial)

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """Set a parameter of a trial.

        Raises:
            SweepFailedError: another program's trial samples it in another way.
        """
        value = (param_name, param_value_internal, distribution)
        try:
            self._store.set_trial_param(self._store_id(trial_id), *value)
        except ValueError as error:
            raise SweepFailedError(
                f"another program uses {param_name!r} in this study in another way, which Optuna "
                f"does not allow ({error}); run the search under another name with --study"
            ) from None
        shared = self._shared(param_name, distribution)
        super().set_trial_param(trial_id, param_name, param_value_internal, shared)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Set state and value of a trial."""
        # An enqueued trial that another program has asked for is this driver's all the same.
        self._store.set_trial_state_values(self._store_id(trial_id), state, values)
        if state.is_finished():
            del self._store_ids[trial_id]
        return super().set_trial_state_values(trial_id, state, values)

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        """Set what a trial reports for one step."""
        self._store.set_trial_intermediate_value(self._store_id(trial_id), step, intermediate_value)
        super().set_trial_intermediate_value(trial_id, step, intermediate_value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set what sampler or pruner remember about a trial."""
        self._store.set_trial_system_attr(self._store_id(trial_id), key, value)
        super().set_trial_system_attr(trial_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set what sampler or pruner remember about the study."""
        self._store.set_study_system_attr(self._store_study, key, value)
        super().set_study_system_attr(study_id, key, value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set a user attribute of a trial, in the store alone."""
        self._store.set_trial_user_attr(self._store_id(trial_id), key, value)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set a user attribute of the study, in the store alone."""
        self._store.set_study_user_attr(self._store_study, key, value)

    def _shared(self, name: str, distribution: BaseDistribution) -> BaseDistribution:
        """One object for all trials: theirs would be a third of the memory."""
        shared = self._distributions.setdefault(name, distribution)
        return shared if shared == distribution else distribution

    def _store_id(self, trial_id: int) -> int:
        if trial_id not in self._store_ids:
            self._store_ids[trial_id] = self._store_id_of(self.get_trial_number_from_id(trial_id))
        return self._store_ids[trial_id]

    def _store_id_of(self, number: int) -> int:
        return self._store.get_trial_id_from_study_id_trial_number(self._store_study, number)

    @property
    def foreign(self) -> list[int]:
        """Numbers of another program's trials, as far as they are known."""
        return list(self._foreign)

    # ------------------------------------------------------------ paused trials

    @property
    def paused(self) -> list[int]:
        """Numbers of the paused trials, in order."""
        return sorted(self._paused)

    def pause(self, trial_id: int) -> None:
        """Show a trial under way as PRUNED from now on."""
        shown = copy.copy(self.get_trial(trial_id))
        shown.state = TrialState.PRUNED
        shown.datetime_complete = shown.datetime_start
        if shown.last_step is not None:  # as Optuna does for a pruned trial
            shown.values = [shown.intermediate_values[shown.last_step]]
        self._paused[shown.number] = shown

    def unpause(self, trial_id: int) -> None:
        """Show a paused trial as RUNNING again."""
        del self._paused[self.get_trial_number_from_id(trial_id)]

    @contextmanager
    def showing(self, instead: Mapping[int, FrozenTrial]) -> Iterator[None]:
        """Show these in the place of the trials with their numbers, where all trials are read."""
        self._shown = dict(instead)
        try:
            yield
        finally:
            self._shown = {}

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """All trials in the order of their numbers."""
        instead = self._paused | self._shown
        if not instead:
            return super().get_all_trials(study_id, deepcopy, states)
        trials = super().get_all_trials(study_id, deepcopy=False)
        shown = [instead.get(trial.number, trial) for trial in trials]
        if states is not None:
            shown = [trial for trial in shown if trial.state in states]
        return copy.deepcopy(shown) if deepcopy else shown


def _without_record(attributes: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in attributes.items() if key != RECORD}
