"""The store: ordinary Optuna studies in SQLite, and what this project adds to them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from sweep.codec import to_plain
from sweep.data.arrays import GivenArrays
from sweep.definitions import read_model
from sweep.errors import ForeignStudyError, StoreError
from sweep.records import (
    Confirms,
    StudyRecord,
    TestReading,
    baseline_runs,
    candidate_runs,
    confirmation_name,
)
from sweep.space import are_all_same, baseline_parameters
from sweep.store import artifacts, kept_data
from sweep.store.consistency import study_record
from sweep.store.database import Database
from sweep.store.database_file import check_file, database_path, real_path
from sweep.store.diagnosis import reading
from sweep.store.digests import checked, with_digest
from sweep.store.lock import is_locked, making_lock, study_lock
from sweep.store.stored import FORMAT, FORMAT_VERSION, StoredStudy, differences, study_summary
from sweep.store.trials import Trials
from sweep.study import RECORD, left_out
from sweep.words import command_words, did_you_mean

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
        self._file = real_path(self.path)
        self._artifacts = artifacts.artifacts_root(self._file)
        self._database = Database(
            unchecked or self._file,
            self._artifacts,
            to_write=to_write,
            exists=unchecked is not None or check_file(self.path, to_write=to_write),
        )

    @property
    def storage(self) -> BaseStorage:
        """Optuna's storage; see `Database.storage`."""
        return self._database.storage

    def kept_data(self, sha256: str) -> Path:
        """The file with these arrays from Python, which may be missing or another store's."""
        return kept_data.find_file(self._artifacts, sha256)

    def orphaned_folders(self, study: str) -> list[Path]:
        """Folders that the store may have had for a study before it was renamed."""
        return artifacts.orphaned_folders(self._file, study)

    def data_file(self, sha256: str) -> Path:
        """The file in which this store keeps these arrays from Python."""
        return kept_data.own_file(self._artifacts, sha256)

    @contextmanager
    def keeping(self, given: GivenArrays | None) -> Iterator[None]:
        """Keep arrays beside the store while a study that names them is written."""
        if given is None:
            yield
            return
        with making_lock(kept_data.data_folder(self._artifacts)):
            kept_data.write_kept(self._artifacts, given)
            yield

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
            return sorted(self._database.study_names())

    def has_study(self, name: str) -> bool:
        """Whether there is a study of this name, of sweep or not."""
        return name in self.all_names()

    def require_study(self, name: str) -> StoredStudy:
        """The record of a study of sweep.

        Raises:
            ForeignStudyError: another program made it, or copied it under this name.
            StoreError: there is none of this name, or it is damaged.
        """
        names = self.all_names()
        if name in names:
            return self._stored(name)
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
            record = with_digest([study.identity, name], to_plain(study))
            storage.set_study_system_attr(study_id, RECORD, record)

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
        """Everything about a study.

        Raises:
            ForeignStudyError: another program made it, or copied it under this name.
            StoreError: there is no such study, or what it holds cannot be understood.
        """
        return self._read(name, lambda trials: trials)

    def open_study(self, name: str) -> tuple[StudyRecord, list[FrozenTrial]]:
        """A study, and its trials for a `StudySession`, without our records.

        Raises what `read_study` raises.
        """
        bare: list[FrozenTrial] = []
        record = self._read(name, lambda trials: _keep_bare(trials, bare))
        own = {trial.number: trial.state.name for trial in record.trials}
        for number, trial in enumerate(bare):
            is_foreign = number not in own
            if is_foreign or (own[number] == "FAIL" != trial.state.name):
                bare[number] = left_out(number, is_foreign=is_foreign)
        return record, bare

    def read_confirmation(self, search: StudyRecord) -> tuple[StudyRecord | None, str | None]:
        """The study that confirms a search, and why a study of its name is not used.

        Names alone prove nothing: another search may have had this one's.

        Raises:
            StoreError: what `read_study` raises.
        """
        name = confirmation_name(search.name)
        if not self.has_study(name):
            return None, None
        try:
            runs = self.read_study(name)
        except ForeignStudyError as error:
            return None, f"{error}; it is not used"
        confirms = runs.confirms
        if confirms is None:
            return None, f"study {name!r} is a search of its own, and confirms nothing"
        if confirms.study != search.name:
            return None, f"study {name!r} confirms study {confirms.study!r}"
        if confirms.identity != search.identity:
            return None, (
                f"study {name!r} confirms an earlier study named {search.name!r}, not this one; it "
                f"is not used, and `{command_words('delete', name, self.url)}` deletes it"
            )
        if runs.data.fingerprint != search.data.fingerprint:
            return None, (
                f"study {name!r} was trained on other data than study {search.name!r}; it is not "
                f"used, and `{command_words('delete', name, self.url)}` deletes it"
            )
        if not _repeats(runs, search):
            return None, (
                f"study {name!r} repeats other configurations than study {search.name!r} has; it "
                "is not used"
            )
        return runs, None

    def require_own(self, name: str) -> None:
        """Raise a `StoreError` unless there is a study with anything that sweep writes."""
        if self.has_study(name):
            with self._reading(name):
                study_id = self.storage.get_study_id_from_name(name)
                shown, system = self._database.study_attributes(study_id)
            if RECORD in system or any(key.startswith("sweep_") for key in shown):
                return
        self.require_study(name)

    def delete_studies(self, names: Collection[str]) -> None:
        """Delete studies, all or none, with what `data_files` names. Hold their locks."""
        with ExitStack() as held:
            if self.data_files(names):
                held.enter_context(making_lock(kept_data.data_folder(self._artifacts)))
            files = self.data_files(names)
            with self.transaction():
                for name in names:
                    self.storage.delete_study(self.storage.get_study_id_from_name(name))
            artifacts.delete_files(iter(files))

    def data_files(self, names: Collection[str]) -> list[Path]:
        """Files of arrays from Python that these studies use, and no other one does or may do."""
        used, others = set[str | None](), set[str | None]()
        for name in self.all_names():
            try:
                (used if name in names else others).add(self.data_of(name))
            except StoreError:  # it is damaged
                if name not in names:
                    return []
        return [
            file
            for file in kept_data.kept_files(self._artifacts)
            if file.stem in used and file.stem not in others
        ]

    def data_of(self, name: str) -> str | None:
        """SHA-256 of a study's arrays from Python; None for other data, or another program's.

        Raises:
            StoreError: the study is damaged.
        """
        try:
            return kept_data.named_arrays(self.require_study(name).space)
        except ForeignStudyError:
            return None

    def changed_attributes(self, name: str) -> list[str]:
        """Keys of the user attributes of a study that do not repeat what its record says."""
        study_id = self.storage.get_study_id_from_name(name)
        shown, _ = self._database.study_attributes(study_id)
        return sorted(differences(study_summary(self.require_study(name)), shown))

    # ------------------------------------------------------------ plumbing

    def _read(
        self, name: str, seen: Callable[[Iterator[FrozenTrial]], Iterator[FrozenTrial]]
    ) -> StudyRecord:
        """A study, whose trials pass through `seen`."""
        stored = self.require_study(name)
        with self._reading(name):
            study_id = self.storage.get_study_id_from_name(name)
            return study_record(
                stored,
                name,
                self.storage.get_study_directions(study_id),
                seen(self._whole_trials(study_id)),
                is_locked=is_locked(self._folder(name)),
            )

    def _stored(self, name: str) -> StoredStudy:
        with self._reading(name):
            study_id = self.storage.get_study_id_from_name(name)
            shown, system = self._database.study_attributes(study_id)
            self._check_format(name, shown, RECORD in system)
            found = checked(StoredStudy, system)
            if found is None and FORMAT in shown:
                raise ValueError("its record is missing")
        if found is None:
            raise ForeignStudyError(
                f"study {name!r} in {str(self.path)!r} was not made by sweep: it has no search "
                "space"
            )
        (_, original), stored = found
        if original != name:
            raise ForeignStudyError(
                f"study {name!r} in {str(self.path)!r} is a copy of study {original!r} that "
                f"another program made; sweep leaves it out: use {original!r} or, if that is gone, "
                f"give the copy its name with optuna.copy_study"
            )
        return stored

    def _check_format(self, name: str, shown: dict[str, Any], has_record: bool) -> None:
        version = shown.get(FORMAT, FORMAT_VERSION)
        if FORMAT not in shown and not has_record and any(k.startswith("sweep_") for k in shown):
            version = 1  # which was never written down
        if not isinstance(version, int):
            raise ValueError(f"{FORMAT!r} must be a number; found {version!r}")  # noqa: TRY004
        if version != FORMAT_VERSION:
            age = "a newer" if version > FORMAT_VERSION else "an earlier"
            raise ForeignStudyError(
                f"study {name!r} in {str(self.path)!r} was made by {age} version of sweep (format "
                f"{version}; this one reads {FORMAT_VERSION}); use that version"
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
        return artifacts.artifacts_folder(self._file, study)


def _keep_bare(trials: Iterable[FrozenTrial], kept: list[FrozenTrial]) -> Iterator[FrozenTrial]:
    """Pass trials on, and keep copies without our records, which are most of their size.

    Equal distributions become one object: those of 10,000 trials would take 17 MB.
    """
    known: dict[str, BaseDistribution] = {}
    for trial in trials:
        lean = copy.copy(trial)
        lean.distributions = {
            name: shared if (shared := known.setdefault(name, found)) == found else found
            for name, found in trial.distributions.items()
        }
        lean.user_attrs = {}
        lean.system_attrs = {k: v for k, v in trial.system_attrs.items() if k != RECORD}
        kept.append(lean)
        yield trial


def _repeats(runs: StudyRecord, search: StudyRecord) -> bool:
    """Whether each run of a confirmation has the configuration that it repeats, up to rounding."""
    params = {trial.number: trial.params for trial in search.trials}
    baselines = baseline_parameters(read_model(search.space["model"]))
    repeated = [
        *((params.get(trial, {}), own) for trial, own in candidate_runs(runs).items()),
        *((baselines.get(name, {}), own) for name, own in baseline_runs(runs).items()),
    ]
    return all(
        not run.params or are_all_same(run.params, wanted)
        for wanted, own in repeated
        for run in own
    )
