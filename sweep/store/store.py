"""The store: ordinary Optuna studies in SQLite, and what this project adds to them."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from sweep.codec import to_plain
from sweep.errors import StoreError
from sweep.records import Confirms, StudyRecord, TestReading, confirmation_name
from sweep.store import artifacts
from sweep.store.consistency import require_summary, study_record
from sweep.store.database import Database
from sweep.store.database_file import check_file, database_path
from sweep.store.diagnosis import reading
from sweep.store.digests import checked, with_digest
from sweep.store.lock import is_locked, study_lock
from sweep.store.stored import FORMAT, FORMAT_VERSION, StoredStudy, differences, study_summary
from sweep.store.trials import Trials
from sweep.study import RECORD
from sweep.words import did_you_mean

__all__ = ["Store"]


class Store:
    """The studies of one database file, for one thread. To write to one, hold its lock.

    Args:
        url: `sqlite:///` and a path.
        to_write: Whether the file may be written, and created when it is first needed.
        unchecked: A file to read in its place, whatever its state; for `sweep doctor`.

    Raises:
        StoreError: the file cannot be used.
    """

    def __init__(self, url: str, *, to_write: bool, unchecked: Path | None = None) -> None:
        self.url = url
        self.path = database_path(url)
        self._database = Database(
            unchecked or self.path,
            artifacts.artifacts_root(self.path),
            to_write=to_write,
            exists=unchecked is not None or check_file(self.path, to_write=to_write),
        )

    @property
    def storage(self) -> BaseStorage:
        """Optuna's storage; see `Database.storage`."""
        return self._database.storage

    def transaction(self) -> AbstractContextManager[None]:
        """Commit what is written inside once, at the end; an error rolls all of it back.

        Until then nothing is safe, or seen by other processes. Other writers wait meanwhile: do not
        wait for anything inside. After an error open store and session again: this store refuses to
        go on, because the session remembers writes that are not in the file.

        Raises:
            RuntimeError: a transaction is open already; they do not nest.
            sqlite3.Error: the file cannot be written.
        """
        return self._database.transaction()

    def lock(self, study: str) -> AbstractContextManager[None]:
        """Hold a study against other drivers.

        Raises:
            StudyLockedError: another driver holds it.
        """
        return study_lock(self._folder(study), study)

    def trials(self, study: str) -> Trials:
        """What the store adds to the trials of a study."""
        return Trials(self._database, study, self._folder(study), lambda: self._reading(study))

    # ------------------------------------------------------------ which studies there are

    def all_names(self) -> list[str]:
        """Names of all studies, of sweep or not, in order."""
        if not self._database.exists:
            return []
        what = f"the store {str(self.path)!r}"
        with reading(self.path, what, to_write=self._database.to_write):
            return sorted(optuna.get_all_study_names(self.storage))

    def study_names(self, among: Collection[str] | None = None) -> list[str]:
        """Names of the studies that sweep made, in order; only of some if these are given.

        Raises:
            StoreError: one of them is damaged, or made by another version.
        """
        names = self.all_names() if among is None else sorted(among)
        return [name for name in names if self._stored(name) is not None]

    def has_study(self, name: str) -> bool:
        """Whether there is a study of this name, of sweep or not."""
        return name in self.all_names()

    def require_study(self, name: str) -> StoredStudy:
        """The record of a study of sweep.

        Raises:
            StoreError: there is none of this name, or it is damaged.
        """
        if self.has_study(name):
            stored = self._stored(name)
            if stored is not None:
                return stored
            raise StoreError(
                f"study {name!r} in {str(self.path)!r} was not made by sweep: it has no search "
                "space"
            )
        names = self.study_names()
        there = f"it has {', '.join(names)}" if names else "it has none"
        there += did_you_mean(name, names)
        if not self.path.exists():
            there = "there is no such file"
        raise StoreError(f"no study {name!r} in {str(self.path)!r}: {there}")

    # ------------------------------------------------------------ one study

    def write_study(self, name: str, study: StoredStudy) -> None:
        """Write the record of a study."""
        storage = self.storage
        study_id = storage.get_study_id_from_name(name)
        with self._database.together():
            shown, _ = self._database.study_attributes(study_id)
            missing = differences(study_summary(study), shown)
            self._database.set_user_attributes("study", study_id, missing)
            storage.set_study_system_attr(study_id, RECORD, with_digest([name], to_plain(study)))

    def change_study(self, name: str, **changes: Any) -> None:
        """Change fields of a study's `StoredStudy`."""
        study = self.require_study(name)
        changed = replace(study, **changes)
        if changed != study:
            self.write_study(name, changed)

    def write_test_reading(self, name: str, test_reading: TestReading) -> None:
        """Record an opening of the test split; a second call with its results replaces it."""
        study = self.require_study(name)
        opening = (test_reading.trial, test_reading.opened_at)
        others = (r for r in study.test_readings if (r.trial, r.opened_at) != opening)
        self.write_study(name, replace(study, test_readings=(*others, test_reading)))

    def read_confirms(self, name: str) -> Confirms | None:
        """What a study confirms, or None if it is a search."""
        return self.require_study(name).confirms

    def read_study(self, name: str) -> StudyRecord:
        """Everything about a study; raises what `open_study` raises."""
        return self.open_study(name)[0]

    def open_study(self, name: str) -> tuple[StudyRecord, list[FrozenTrial]]:
        """Everything about a study, and its trials for a `StudySession`, without our records.

        Raises:
            StoreError: there is no such study, or what it holds cannot be understood.
        """
        stored = self.require_study(name)
        bare: list[FrozenTrial] = []
        with self._reading(name):
            study_id = self.storage.get_study_id_from_name(name)
            record = study_record(
                stored,
                name,
                self.storage.get_study_directions(study_id),
                _keep_bare(self._whole_trials(study_id), bare),
                is_locked=is_locked(self._folder(name)),
            )
            return record, bare

    def read_confirmation(self, search: str) -> StudyRecord | None:
        """The study that confirms a search, or None; raises what `open_study` raises."""
        name = confirmation_name(search)
        if not (self.has_study(name) and self.study_names([name])):
            return None
        runs = self.read_study(name)
        return runs if runs.confirms is not None and runs.confirms.study == search else None

    # ------------------------------------------------------------ plumbing

    def _stored(self, name: str) -> StoredStudy | None:
        """The record of a study, or None if another program made the study."""
        with self._reading(name):
            study_id = self.storage.get_study_id_from_name(name)
            shown, system = self._database.study_attributes(study_id)
            self._check_format(name, shown, RECORD in system)
            stored = checked([name], StoredStudy, system)
            if stored is not None:
                require_summary(study_summary(stored), shown)
            elif FORMAT in shown:
                raise ValueError("its record is missing")
            return stored

    def _check_format(self, name: str, shown: dict[str, Any], has_record: bool) -> None:
        version = shown.get(FORMAT, FORMAT_VERSION)
        if FORMAT not in shown and not has_record and any(k.startswith("sweep_") for k in shown):
            version = 1  # which was never written down
        if not isinstance(version, int):
            raise ValueError(f"{FORMAT!r} must be a number; found {version!r}")  # noqa: TRY004
        if version != FORMAT_VERSION:
            age = "a newer" if version > FORMAT_VERSION else "an earlier"
            raise StoreError(
                f"study {name!r} in {str(self.path)!r} was made by {age} version of sweep (format "
                f"{version}; this one reads {FORMAT_VERSION}); use that version, or another store "
                "with --storage"
            )

    def _whole_trials(self, study_id: int) -> Iterator[FrozenTrial]:
        """A study's trials, a few hundred at a time; a `ValueError` if some are missing."""
        num_trials, num_read = self._database.num_trials(study_id), 0
        for trial in self._database.each_trial(study_id):
            num_read += 1
            yield trial
        if num_read < num_trials:  # a driver may have added some meanwhile
            raise ValueError(f"it has {num_trials} trials, of which {num_read} can be found")

    def _reading(self, study: str) -> AbstractContextManager[None]:
        what = f"study {study!r} in {str(self.path)!r}"
        return reading(self.path, what, to_write=self._database.to_write)

    def _folder(self, study: str) -> Path:
        return artifacts.artifacts_folder(self.path, study)


def _keep_bare(trials: Iterable[FrozenTrial], kept: list[FrozenTrial]) -> Iterator[FrozenTrial]:
    """Pass trials on, and keep copies without our records, which are most of their size."""
    for trial in trials:
        lean = copy.copy(trial)
        lean.user_attrs = {}
        lean.system_attrs = {k: v for k, v in trial.system_attrs.items() if k != RECORD}
        kept.append(lean)
        yield trial
