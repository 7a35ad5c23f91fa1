"""The store: an ordinary Optuna study in SQLite, and what this project adds to it.

Additions are user attributes, so that stock Optuna reads the file: on a study its search space,
budget, data fingerprint and readings of the test split; on a trial its configuration and, before
it is told to Optuna, its outcome.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
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
    Checkpoint,
    DataFacts,
    Failure,
    Objective,
    StudyRecord,
    StudyState,
    TestReading,
    TrialConfig,
    TrialOutcome,
)
from sweep.store import artifacts, attributes
from sweep.store.connection import BatchConnection
from sweep.store.lock import is_locked, making_lock, study_lock
from sweep.store.url import check_file, database_path
from sweep.study import each_trial

__all__ = ["STORE_FAILURES", "Store"]

STORE_FAILURES = (OSError, sqlite3.Error, SQLAlchemyError, StorageInternalError)
"""What a store raises when it can no longer be read or written: a full disk, a lost folder."""

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
        self._tidying: list[Callable[[], None]] = []  # what the next commit makes superfluous
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
        self._tidy()

    # ------------------------------------------------------------ studies

    def study_names(self) -> list[str]:
        """Names of the studies that this project made, in order."""
        if not self._exists:
            return []
        return sorted(
            name
            for name in optuna.get_all_study_names(self.storage)
            if attributes.SPACE in self._study_attributes(name)
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
        with study_lock(self._folder(study), study):
            yield

    def write_study(self, name: str, *, space: dict[str, Any], data: DataFacts) -> None:
        """Record what a new study searches, and on which data."""
        self._set(name, attributes.DATA, to_plain(data))
        self._set(name, attributes.SPACE, space)  # last: a study with a space is complete

    def write_budget(
        self, name: str, num_trials: int | None, timeout_seconds: float | None
    ) -> None:
        """Record the budget of the command that works on the study now."""
        self._set(name, attributes.BUDGET, {"trials": num_trials, "timeout": timeout_seconds})

    def write_finished(self, name: str, reason: str | None) -> None:
        """Record that the budget is used up and by what, or, with None, that work goes on."""
        if self._study_attributes(name).get(attributes.FINISHED) != reason:
            self._set(name, attributes.FINISHED, reason)

    def read_space(self, name: str) -> dict[str, Any]:
        """The search space of a study as plain data.

        Raises:
            StoreError: there is no such study.
        """
        self.require_study(name)
        space: dict[str, Any] = self._study_attributes(name)[attributes.SPACE]
        return space

    def read_data(self, name: str) -> DataFacts:
        """What the study remembers of its data."""
        return from_plain(DataFacts, self._study_attributes(name)[attributes.DATA])

    def read_study(self, name: str) -> StudyRecord:
        """Everything about a study.

        Raises:
            StoreError: there is no such study, or what it holds cannot be understood.
        """
        self.require_study(name)
        found = self._study_attributes(name)
        try:
            study_id = self.storage.get_study_id_from_name(name)
            trials = tuple(map(attributes.trial_record, each_trial(self.storage, study_id)))
            space = found[attributes.SPACE]
            budget = found.get(attributes.BUDGET, {"trials": None, "timeout": None})
            return StudyRecord(
                name=name,
                state=self._state(name, finished=found.get(attributes.FINISHED) is not None),
                space=space,
                objective=Objective(**space["objective"]),
                num_trials=budget["trials"],
                timeout_seconds=budget["timeout"],
                data=self.read_data(name),
                trials=trials,
                test_readings=attributes.test_readings(found),
                finished_by=found.get(attributes.FINISHED),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(
                f"study {name!r} in {str(self.path)!r} cannot be understood: {error}; it is "
                "damaged or was made by another version"
            ) from None

    # ------------------------------------------------------------ trials

    def write_config(self, name: str, config: TrialConfig) -> None:
        """Record a trial's whole configuration, fixed parameters and seed included."""
        self._set_trial(name, config.number, attributes.CONFIG, to_plain(config))

    def write_outcome(self, name: str, outcome: TrialOutcome, *, keep: set[int]) -> None:
        """Record how a trial ended. Call it before the trial is told to Optuna.

        Weights are on disk before the record that names them; weights that are not kept any more
        are deleted after it.

        Args:
            name: The study.
            outcome: How the trial ended.
            keep: The trials whose weights are kept.
        """
        folder = self._folder(name)
        if outcome.weights is not None and outcome.trial in keep:
            file = artifacts.weights_file(folder, outcome.trial)
            artifacts.write_file(file, outcome.weights)
            sha256 = hashlib.sha256(outcome.weights).hexdigest()
            self._set_trial(name, outcome.trial, attributes.WEIGHTS, sha256)
        plain = to_plain(replace(outcome, weights=None))
        self._set_trial(name, outcome.trial, attributes.OUTCOME, plain)
        del self._trial_ids[name, outcome.trial]
        self._tidy_later(artifacts.checkpoint_files(folder, outcome.trial), keep=[])
        kept = [artifacts.weights_file(folder, trial) for trial in keep]
        self._tidy_later(artifacts.weights_files(folder), keep=kept)

    def write_checkpoints(self, name: str, checkpoints: Sequence[Checkpoint]) -> None:
        """Record where trials under way are. Their last two checkpoints are kept."""
        folder = self._folder(name)
        for checkpoint in checkpoints:
            sha256 = hashlib.sha256(checkpoint.state).hexdigest()
            artifacts.write_file(
                artifacts.checkpoint_file(folder, checkpoint.trial, sha256), checkpoint.state
            )
            frozen = self._frozen(name, checkpoint.trial)
            former = [
                entry
                for entry in frozen.user_attrs.get(attributes.CHECKPOINTS, [])
                if entry["sha256"] != sha256
            ]
            entries = [{"epoch": checkpoint.epoch, "sha256": sha256}, *former[:1]]
            self._set_trial(name, checkpoint.trial, attributes.CHECKPOINTS, entries)
            self._tidy_later(
                artifacts.checkpoint_files(folder, checkpoint.trial),
                keep=[
                    artifacts.checkpoint_file(folder, checkpoint.trial, entry["sha256"])
                    for entry in entries
                ],
            )

    def read_checkpoints(self, name: str, trial: int) -> list[Checkpoint | None]:
        """A trial's recorded checkpoints, newest first; None for one that is missing or damaged."""
        folder = self._folder(name)
        found: list[Checkpoint | None] = []
        for entry in self._frozen(name, trial).user_attrs.get(attributes.CHECKPOINTS, []):
            file = artifacts.checkpoint_file(folder, trial, entry["sha256"])
            state = artifacts.read_file(file, entry["sha256"])
            found.append(None if state is None else Checkpoint(trial, entry["epoch"], state))
        return found

    def delete_strays(self, name: str, running: Collection[int]) -> None:
        """Delete what a crash left: files half-written, and checkpoints that no record names.

        Args:
            name: The study, whose lock is held.
            running: Its trials under way.
        """
        folder = self._folder(name)
        recorded = [
            artifacts.checkpoint_file(folder, trial, entry["sha256"])
            for trial in running
            for entry in self._frozen(name, trial).user_attrs.get(attributes.CHECKPOINTS, [])
        ]
        artifacts.delete_files(artifacts.checkpoint_files(folder), keep=recorded)
        artifacts.delete_files(folder.glob("*.tmp"))

    def write_retry(self, name: str, trial: int, retry_of: int) -> None:
        """Record that a trial that waits repeats a failed one."""
        self._set_trial(name, trial, attributes.RETRY_OF, retry_of)

    def write_lost(self, name: str, trial: int, lost: Sequence[Failure]) -> None:
        """Record what ended the workers that had a trial before."""
        self._set_trial(name, trial, attributes.LOST, [to_plain(failure) for failure in lost])

    def read_weights(self, name: str, trial: int) -> bytes | None:
        """A trial's weights as a safetensors file, or None if they are not there any more."""
        sha256 = self._frozen(name, trial).user_attrs.get(attributes.WEIGHTS)
        if not isinstance(sha256, str):
            return None
        return artifacts.read_file(artifacts.weights_file(self._folder(name), trial), sha256)

    def read_config(self, name: str, trial: int) -> TrialConfig:
        """The whole configuration of a trial."""
        return from_plain(TrialConfig, self._frozen(name, trial).user_attrs[attributes.CONFIG])

    # ------------------------------------------------------------ the test split

    def write_test_reading(self, name: str, reading: TestReading) -> None:
        """Record an opening of the test split; a second call with its results replaces it."""
        readings = [
            earlier
            for earlier in attributes.test_readings(self._study_attributes(name))
            if (earlier.trial, earlier.opened_at) != (reading.trial, reading.opened_at)
        ]
        self._set(name, attributes.READINGS, [to_plain(r) for r in [*readings, reading]])

    # ------------------------------------------------------------ plumbing

    def _tidy_later(self, files: Iterator[Path], *, keep: Sequence[Path]) -> None:
        """Delete files once what was written is safe: at the end of a transaction."""
        self._tidying.append(lambda: artifacts.delete_files(files, keep=keep))
        if not self._connection.is_in_batch:
            self._tidy()

    def _tidy(self) -> None:
        while self._tidying:
            self._tidying.pop()()

    def _folder(self, study: str) -> Path:
        return artifacts.artifacts_folder(self.path, study)

    def _engine_url(self) -> str:
        """The URL in which SQLAlchemy and Optuna, which formats it, find this very path."""
        url = URL.create("sqlite", database=str(self.path)).render_as_string()
        return url.replace("{", "{{").replace("}", "}}")

    def _state(self, name: str, *, finished: bool) -> StudyState:
        if is_locked(self._folder(name)):
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
