"""A study in memory, in front of its store.

Sampler and pruner look at all trials again for every trial and every epoch. Optuna's own cache in
front of a database keeps finished trials only: each look reads the trials under way anew, parameter
by parameter and report by report. The driver holds its study's lock, so that what it has read and
written itself is the whole truth: here every read is answered from memory, and every write goes to
the store first. User attributes, which are most of a trial and which no sampler looks at, stay in
the store alone.

A trial that is paused is RUNNING in the store, and here to whoever asks for it by its id. Among all
trials it is shown as PRUNED: TPE takes a RUNNING trial for a bad one, and forgets what it reported.
"""

from __future__ import annotations

import copy
from collections.abc import Container, Iterable, Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweep.errors import SweepFailedError

__all__ = ["StudyMemory"]


class StudyMemory(BaseStorage):
    """One study of a store as a storage for Optuna, with ids of its own.

    Composed rather than derived from Optuna's storage in memory, whose methods may call each other:
    each write must reach the store once.

    Args:
        store: Where the study lives.
        name: Its name.
        trials: Its trials, for a store that can read them better than all at once: they are read
            here, and only once.
    """

    def __init__(
        self, store: BaseStorage, name: str, trials: Iterable[FrozenTrial] | None = None
    ) -> None:
        self._store = store
        self._store_study = store.get_study_id_from_name(name)
        self._store_trials: dict[int, int] = {}  # the store's ids of trials under way, by ours
        self._paused: dict[int, FrozenTrial] = {}  # as they are shown, by number
        self._memory = InMemoryStorage()
        directions = store.get_study_directions(self._store_study)
        self._study = self._memory.create_new_study(directions, name)
        for key, value in store.get_study_system_attrs(self._store_study).items():
            self._memory.set_study_system_attr(self._study, key, value)
        if trials is None:
            trials = store.get_all_trials(self._store_study, deepcopy=False)
        for trial in trials:
            lean = copy.copy(trial)
            lean.user_attrs = {}
            self._memory.create_new_trial(self._study, lean)

    # ------------------------------------------------------------ writes: the store first

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Make a trial.

        Raises:
            SweepFailedError: another program has added trials to the study.
        """
        store_trial = self._store.create_new_trial(self._store_study, template_trial)
        trial_id = self._memory.create_new_trial(study_id, template_trial)
        if self._store_trial(trial_id) != store_trial:
            number = self._memory.get_trial_number_from_id(trial_id)
            name = self._memory.get_study_name_from_id(study_id)
            raise SweepFailedError(
                f"trial {number} of study {name!r} was made by another program while this driver "
                f"works on the study; stop that program, then resume the study"
            )
        return trial_id

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """Set a parameter of a trial."""
        value = (param_name, param_value_internal, distribution)
        self._store.set_trial_param(self._store_trial(trial_id), *value)
        self._memory.set_trial_param(trial_id, *value)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Set state and value of a trial."""
        store_trial = self._store_trial(trial_id)
        if not self._store.set_trial_state_values(store_trial, state, values):
            return False
        if state.is_finished():
            del self._store_trials[trial_id]
        return self._memory.set_trial_state_values(trial_id, state, values)

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        """Set what a trial reports of one step."""
        store_trial = self._store_trial(trial_id)
        self._store.set_trial_intermediate_value(store_trial, step, intermediate_value)
        self._memory.set_trial_intermediate_value(trial_id, step, intermediate_value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set a user attribute of a trial in the store alone."""
        self._store.set_trial_user_attr(self._store_trial(trial_id), key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set what sampler or pruner remember of a trial."""
        self._store.set_trial_system_attr(self._store_trial(trial_id), key, value)
        self._memory.set_trial_system_attr(trial_id, key, value)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set a user attribute of the study in the store alone."""
        self._store.set_study_user_attr(self._store_study, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set what sampler or pruner remember of the study."""
        self._store.set_study_system_attr(self._store_study, key, value)
        self._memory.set_study_system_attr(study_id, key, value)

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        """Refuse: this is one study."""
        raise NotImplementedError

    def delete_study(self, study_id: int) -> None:
        """Refuse: this is one study."""
        raise NotImplementedError

    # ------------------------------------------------------------ paused trials

    @property
    def paused(self) -> list[int]:
        """Numbers of the paused trials, in order."""
        return sorted(self._paused)

    def pause(self, trial_id: int) -> None:
        """Show a trial under way as PRUNED from now on."""
        shown = copy.copy(self._memory.get_trial(trial_id))
        shown.state = TrialState.PRUNED
        shown.datetime_complete = shown.datetime_start
        if shown.last_step is not None:  # what Optuna says of a pruned trial
            shown.values = [shown.intermediate_values[shown.last_step]]
        self._paused[shown.number] = shown

    def unpause(self, trial_id: int) -> None:
        """Show a paused trial as RUNNING again."""
        del self._paused[self._memory.get_trial_number_from_id(trial_id)]

    def _store_trial(self, trial_id: int) -> int:
        """The store's id of a trial."""
        if trial_id not in self._store_trials:
            number = self._memory.get_trial_number_from_id(trial_id)
            self._store_trials[trial_id] = self._store.get_trial_id_from_study_id_trial_number(
                self._store_study, number
            )
        return self._store_trials[trial_id]

    # ------------------------------------------------------------ reads: from memory

    def get_study_id_from_name(self, study_name: str) -> int:
        """This storage's id of the study."""
        return self._memory.get_study_id_from_name(study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        """The study's name."""
        return self._memory.get_study_name_from_id(study_id)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Whether the study maximises or minimises."""
        return self._memory.get_study_directions(study_id)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """The study's user attributes, from the store."""
        return self._store.get_study_user_attrs(self._store_study)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """What sampler and pruner remember of the study."""
        return self._memory.get_study_system_attrs(study_id)

    def get_all_studies(self) -> list[Any]:
        """The one study."""
        return self._memory.get_all_studies()

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        """This storage's id of a trial."""
        return self._memory.get_trial_id_from_study_id_trial_number(study_id, trial_number)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """A trial without its user attributes."""
        return self._memory.get_trial(trial_id)

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """All trials, without their user attributes, in the order of their numbers."""
        if not self._paused:
            return self._memory.get_all_trials(study_id, deepcopy, states)
        trials = self._memory.get_all_trials(study_id, deepcopy=False)
        shown = [self._paused.get(trial.number, trial) for trial in trials]
        if states is not None:
            shown = [trial for trial in shown if trial.state in states]
        return copy.deepcopy(shown) if deepcopy else shown
