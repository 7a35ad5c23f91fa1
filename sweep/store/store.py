"""The store: an ordinary Optuna study in SQLite, and what this project adds to it.

Additions are user attributes, so that stock Optuna reads the file: on a study its search space,
budget, data fingerprint and readings of the test split; on a trial its configuration and, before
it is told to Optuna, its outcome.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import nullcontext as nothing
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial
from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from sweep.codec import from_plain, to_plain
from sweep.errors import StoreError
from sweep.records import (
    DataFacts,
    Objective,
    StudyRecord,
    StudyState,
    TestReading,
    TrialConfig,
    TrialOutcome,
    TrialRecord,
    TrialState,
)
from sweep.store import artifacts
from sweep.store.connection import BatchConnection
from sweep.store.lock import is_locked, making_lock, study_lock
from sweep.store.url import check_file, database_path
from sweep.study import each_trial

__all__ = ["STORE_FAILURES", "Store"]

STORE_FAILURES = (OSError, sqlite3.Error, SQLAlchemyError, StorageInternalError)
"""What a store raises when it can no longer be read or written: a full disk, a lost folder."""

_SPACE = "sweep_space"
_BUDGET = "sweep_budget"
_DATA = "sweep_data"
_FINISHED = "sweep_finished"
_READINGS = "sweep_test_readings"
_CONFIG = "sweep_config"
_OUTCOME = "sweep_outcome"
_WEIGHTS = "sweep_weights_sha256"

_LOCK_WAIT_SECONDS = 60


class Store:
    """The studies of one database file, for one thread.

    Args:
        url: `sqlite:///` and a path.
        to_write: Whether the file may be written, and made when it is first needed.

    Raises:
        StoreError: the file cannot be used.
    """

    def __init__(self, url: str, *, to_write: bool) -> None:
        self.url = url
        self.path = database_path(url)
        self._to_write = to_write
        self._exists = check_file(self.path, to_write=to_write)
        self._kept: dict[Path, set[int]] = {}  # weights to keep, by folder; see `write_outcome`
        self._trial_ids: dict[tuple[str, int], int] = {}  # of trials that are written now

    @cached_property
    def storage(self) -> BaseStorage:
        """Optuna's storage; makes the tables where there are none.

        Raises:
            StoreError: the file is not one that this version of Optuna can use.
        """
        try:
            # Two processes that make the tables at the same time fail both.
            makes = self._to_write and not self._exists
            with making_lock(artifacts.artifacts_root(self.path)) if makes else nothing():
                storage = RDBStorage(
                    self._engine_url(),
                    engine_kwargs={
                        "creator": lambda: self._connection,
                        "poolclass": StaticPool,  # one connection has one transaction
                    },
                )
        except (RuntimeError, SQLAlchemyError) as error:
            reason = str(error).splitlines()[0]
            raise StoreError(f"the store {str(self.path)!r} cannot be used: {reason}") from None
        self._exists = True
        return storage

    @cached_property
    def _connection(self) -> BatchConnection:
        return sqlite3.connect(self.path, timeout=_LOCK_WAIT_SECONDS, factory=BatchConnection)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is written inside once, at the end; an error takes all of it back.

        Nothing that is written inside is safe, or seen by other processes, before the end. Other
        writers of the file wait meanwhile: do not wait for anything inside. After an error this
        store refuses to go on, because the study's session remembers writes that are not there;
        what opens store and session again finds the truth.

        Raises:
            RuntimeError: a transaction is open already; they do not nest.
            sqlite3.Error: the file cannot be written.
        """
        _ = self.storage  # connects, and makes the tables where there are none
        with self._connection.batch():
            yield
        self._delete_weights()

    # ------------------------------------------------------------ studies

    def study_names(self) -> list[str]:
        """Names of the studies that this project made, in order."""
        if not self._exists:
            return []
        return sorted(
            name
            for name in optuna.get_all_study_names(self.storage)
            if _SPACE in self._study_attributes(name)
        )

    def has_study(self, name: str) -> bool:
        """Whether there is a study of this name, whoever made it."""
        return self._exists and name in optuna.get_all_study_names(self.storage)

    def require_study(self, name: str) -> None:
        """Check that this project made a study of this name.

        Raises:
            StoreError: it did not.
        """
        names = self.study_names()
        if name in names:
            return
        if self.has_study(name):
            raise StoreError(
                f"study {name!r} in {str(self.path)!r} was not made by sweep: it has no search "
                "space"
            )
        there = f"it has {', '.join(names)}" if names else "it has none"
        if not self.path.exists():
            there = "there is no such file"
        raise StoreError(f"no study {name!r} in {str(self.path)!r}: {there}")

    @contextmanager
    def lock(self, study: str) -> Iterator[None]:
        """Hold a study against other drivers.

        Raises:
            StudyLockedError: another driver holds it.
        """
        with study_lock(artifacts.artifacts_folder(self.path, study), study):
            yield

    def write_study(self, name: str, *, space: dict[str, Any], data: DataFacts) -> None:
        """Record what a new study searches, and on which data."""
        self._set(name, _DATA, to_plain(data))
        self._set(name, _SPACE, space)  # last: a study with a space is complete

    def write_budget(
        self, name: str, num_trials: int | None, timeout_seconds: float | None
    ) -> None:
        """Record the budget of the command that works on the study now."""
        self._set(name, _BUDGET, {"trials": num_trials, "timeout": timeout_seconds})

    def write_finished(self, name: str, reason: str | None) -> None:
        """Record that the budget is used up and by what, or, with None, that work goes on."""
        if self._study_attributes(name).get(_FINISHED) != reason:
            self._set(name, _FINISHED, reason)

    def read_space(self, name: str) -> dict[str, Any]:
        """The search space of a study as plain data.

        Raises:
            StoreError: there is no such study.
        """
        self.require_study(name)
        space: dict[str, Any] = self._study_attributes(name)[_SPACE]
        return space

    def read_data(self, name: str) -> DataFacts:
        """What the study remembers of its data."""
        return from_plain(DataFacts, self._study_attributes(name)[_DATA])

    def read_study(self, name: str) -> StudyRecord:
        """Everything about a study.

        Raises:
            StoreError: there is no such study, or what it holds cannot be understood.
        """
        self.require_study(name)
        attributes = self._study_attributes(name)
        try:
            study_id = self.storage.get_study_id_from_name(name)
            trials = tuple(map(_trial_record, each_trial(self.storage, study_id)))
            space = attributes[_SPACE]
            budget = attributes.get(_BUDGET, {"trials": None, "timeout": None})
            return StudyRecord(
                name=name,
                state=self._state(name, finished=attributes.get(_FINISHED) is not None),
                space=space,
                objective=Objective(**space["objective"]),
                num_trials=budget["trials"],
                timeout_seconds=budget["timeout"],
                data=self.read_data(name),
                trials=trials,
                test_readings=_readings(attributes),
                finished_by=attributes.get(_FINISHED),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(
                f"study {name!r} in {str(self.path)!r} cannot be understood: {error}; it is "
                "damaged or was made by another version"
            ) from None

    # ------------------------------------------------------------ trials

    def write_config(self, name: str, config: TrialConfig) -> None:
        """Record a trial's whole configuration, fixed parameters and seed included."""
        self._set_trial(name, config.number, _CONFIG, to_plain(config))

    def write_outcome(self, name: str, outcome: TrialOutcome, *, keep: set[int]) -> None:
        """Record how a trial ended. Call it before the trial is told to Optuna.

        Weights are on disk before the record that names them; weights that are not kept any more
        are deleted after it.

        Args:
            name: The study.
            outcome: How the trial ended.
            keep: The trials whose weights are kept.
        """
        folder = artifacts.artifacts_folder(self.path, name)
        if outcome.weights is not None and outcome.trial in keep:
            sha256 = artifacts.write_weights(folder, outcome.trial, outcome.weights)
            self._set_trial(name, outcome.trial, _WEIGHTS, sha256)
        self._set_trial(name, outcome.trial, _OUTCOME, to_plain(replace(outcome, weights=None)))
        del self._trial_ids[name, outcome.trial]
        self._kept[folder] = keep
        if not self._connection.is_in_batch:
            self._delete_weights()

    def read_weights(self, name: str, trial: int) -> bytes | None:
        """A trial's weights as a safetensors file, or None if they are not there any more."""
        sha256 = self._frozen(name, trial).user_attrs.get(_WEIGHTS)
        if not isinstance(sha256, str):
            return None
        return artifacts.read_weights(artifacts.artifacts_folder(self.path, name), trial, sha256)

    def read_config(self, name: str, trial: int) -> TrialConfig:
        """The whole configuration of a trial."""
        return from_plain(TrialConfig, self._frozen(name, trial).user_attrs[_CONFIG])

    # ------------------------------------------------------------ the test split

    def write_test_reading(self, name: str, reading: TestReading) -> None:
        """Record an opening of the test split; a second call with its results replaces it."""
        readings = [
            earlier
            for earlier in _readings(self._study_attributes(name))
            if (earlier.trial, earlier.opened_at) != (reading.trial, reading.opened_at)
        ]
        self._set(name, _READINGS, [to_plain(r) for r in [*readings, reading]])

    # ------------------------------------------------------------ plumbing

    def _delete_weights(self) -> None:
        while self._kept:
            artifacts.keep_weights(*self._kept.popitem())

    def _engine_url(self) -> str:
        """The URL in which SQLAlchemy and Optuna, which formats it, find this very path."""
        url = URL.create("sqlite", database=str(self.path)).render_as_string()
        return url.replace("{", "{{").replace("}", "}}")

    def _state(self, name: str, *, finished: bool) -> StudyState:
        if is_locked(artifacts.artifacts_folder(self.path, name)):
            return StudyState.RUNNING
        return StudyState.FINISHED if finished else StudyState.INTERRUPTED

    def _study_attributes(self, name: str) -> dict[str, Any]:
        return self.storage.get_study_user_attrs(self.storage.get_study_id_from_name(name))

    def _set(self, name: str, key: str, value: Any) -> None:
        study_id = self.storage.get_study_id_from_name(name)
        self.storage.set_study_user_attr(study_id, key, value)

    def _trial_id(self, name: str, trial: int) -> int:
        return self.storage.get_trial_id_from_study_id_trial_number(
            self.storage.get_study_id_from_name(name), trial
        )

    def _frozen(self, name: str, trial: int) -> FrozenTrial:
        return self.storage.get_trial(self._trial_id(name, trial))

    def _set_trial(self, name: str, trial: int, key: str, value: Any) -> None:
        where = (name, trial)
        if where not in self._trial_ids:
            self._trial_ids[where] = self._trial_id(name, trial)
        self.storage.set_trial_user_attr(self._trial_ids[where], key, value)


def _trial_record(trial: FrozenTrial) -> TrialRecord:
    config, outcome = trial.user_attrs.get(_CONFIG), trial.user_attrs.get(_OUTCOME)
    state = TrialState[trial.state.name]
    return TrialRecord(
        number=trial.number,
        state=state,
        params=from_plain(TrialConfig, config).params if config else {},
        reports=dict(sorted(trial.intermediate_values.items())),
        outcome=(
            from_plain(TrialOutcome, outcome)
            if outcome and state not in (TrialState.RUNNING, TrialState.WAITING)
            else None
        ),
    )


def _readings(attributes: dict[str, Any]) -> tuple[TestReading, ...]:
    return tuple(from_plain(TestReading, reading) for reading in attributes.get(_READINGS, []))
