"""The store: an ordinary Optuna study in SQLite, and what this project adds to it.

Additions are user attributes, so that stock Optuna reads the file: on a study its search space,
budget, data fingerprint and readings of the test split; on a trial its configuration and, before
it is told to Optuna, its outcome.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from sweep.codec import from_plain, to_plain
from sweep.errors import StoreError
from sweep.records import (
    Checkpoint,
    Confirms,
    DataFacts,
    Failure,
    Objective,
    StudyRecord,
    TestReading,
    TrialConfig,
    TrialOutcome,
    TrialRecord,
    WorkerChoices,
    confirmation_name,
)
from sweep.store import artifacts, attributes
from sweep.store.database import Database
from sweep.store.failures import reading
from sweep.store.lock import is_locked, study_lock
from sweep.store.sealed import SealedAttributes
from sweep.store.url import check_file, database_path

__all__ = ["Store"]


class Store:
    """The studies of one database file, for one thread.

    Args:
        url: `sqlite:///` and a path.
        to_write: Whether the file may be written, and made when it is first needed.
        unchecked: A file to look at in its place, whatever its state; for the doctor.

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
        self._tidying: list[Callable[[], None]] = []  # what the next commit makes superfluous
        self._attributes = SealedAttributes(self._database, self.path)

    @property
    def storage(self) -> BaseStorage:
        """Optuna's storage; makes the tables where there are none.

        Raises:
            StoreError: the file is not one that this version of Optuna can use.
        """
        return self._database.storage

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
        with self._database.transaction():
            yield
        self._tidy()

    # ------------------------------------------------------------ studies

    def all_names(self) -> list[str]:
        """Names of all studies, whoever made them, in order."""
        if not self._database.exists:
            return []
        what = f"the store {str(self.path)!r}"
        with reading(self.path, what, to_write=self._database.to_write):
            return sorted(optuna.get_all_study_names(self.storage))

    def study_names(self, among: Collection[str] | None = None) -> list[str]:
        """Names of the studies that this project made, in order.

        Args:
            among: Only of these; all if None.

        Raises:
            StoreError: it cannot be told for one of them.
        """
        names = self.all_names() if among is None else sorted(among)
        return [name for name in names if self._is_ours(name)]

    def has_study(self, name: str) -> bool:
        """Whether there is a study of this name, whoever made it."""
        return name in self.all_names()

    def require_study(self, name: str) -> None:
        """Check that this project made a study of this name.

        Raises:
            StoreError: it did not, or the study is damaged.
        """
        if self.has_study(name):
            if self._is_ours(name):
                return
            raise StoreError(
                f"study {name!r} in {str(self.path)!r} was not made by sweep: it has no search "
                "space"
            )
        names = self.study_names()
        there = f"it has {', '.join(names)}" if names else "it has none"
        if not self.path.exists():
            there = "there is no such file"
        raise StoreError(f"no study {name!r} in {str(self.path)!r}: {there}")

    def lock(self, study: str) -> AbstractContextManager[None]:
        """Hold a study against other drivers.

        Raises:
            StudyLockedError: another driver holds it.
        """
        return study_lock(self._folder(study), study)

    def write_study(
        self,
        name: str,
        *,
        space: dict[str, Any],
        data: DataFacts,
        confirms: Confirms | None = None,
    ) -> None:
        """Record what a new study searches or confirms, and on which data."""
        self._attributes.set_format(name)
        self._attributes.set_of_study(name, attributes.DATA, to_plain(data))
        if confirms is not None:
            self._attributes.set_of_study(name, attributes.CONFIRMS, to_plain(confirms))
        # Last: a study with a space is complete.
        self._attributes.set_of_study(name, attributes.SPACE, space)

    def write_budget(
        self,
        name: str,
        num_trials: int | None,
        timeout_seconds: float | None,
        keep_weights: int | None = None,
        num_audits: int = 0,
    ) -> None:
        """Record the budget of the command that works on the study now.

        What is recorded of `keep_weights` stays if it is None.
        """
        former = self._attributes.of_study(name).get(attributes.BUDGET, {})
        keep_weights = keep_weights or former.get("keep_weights")
        budget = {"trials": num_trials, "timeout": timeout_seconds, "keep_weights": keep_weights}
        self._attributes.set_of_study(name, attributes.BUDGET, {**budget, "audit": num_audits})

    def write_workers(self, name: str, workers: WorkerChoices) -> None:
        """Record how the study is trained from now on."""
        self._attributes.set_of_study(name, attributes.WORKERS, to_plain(workers))

    def write_finished(self, name: str, reason: str | None) -> None:
        """Record that the budget is used up and by what, or, with None, that work goes on."""
        if self._attributes.of_study(name).get(attributes.FINISHED) != reason:
            self._attributes.set_of_study(name, attributes.FINISHED, reason)

    def read_confirms(self, name: str) -> Confirms | None:
        """What a study confirms, or None if it is a search."""
        with self._attributes.reading(name):
            return attributes.confirms_of(self._attributes.of_study(name), name)

    def read_study(self, name: str) -> StudyRecord:
        """Everything about a study.

        Raises:
            StoreError: there is no such study, or what it holds cannot be understood.
        """
        return self.open_study(name)[0]

    def open_study(self, name: str) -> tuple[StudyRecord, list[FrozenTrial]]:
        """Everything about a study, and its trials for a `StudySession`, in one reading.

        Returns:
            The study, and its trials as Optuna knows them, but without their user attributes.

        Raises:
            StoreError: there is no such study, or what it holds cannot be understood.
        """
        self.require_study(name)
        bare: list[FrozenTrial] = []
        with self._attributes.reading(name):
            found = self._attributes.of_study(name)
            held = is_locked(self._folder(name))
            trials = self._read_trials(name, attributes.objective_of(found), bare)
            return attributes.study_record(found, name, trials, is_locked=held), bare

    def read_confirmation(self, search: str) -> StudyRecord | None:
        """The study that confirms a search, or None if there is none.

        Raises:
            StoreError: it cannot be read.
        """
        name = confirmation_name(search)
        if not (self.has_study(name) and self._is_ours(name)):
            return None
        runs = self.read_study(name)
        return runs if runs.confirms is not None and runs.confirms.study == search else None

    def each_trial(self, name: str) -> Iterator[FrozenTrial]:
        """A study's trials as Optuna knows them; nothing is read before the first is taken."""
        yield from self._database.each_trial(self.storage.get_study_id_from_name(name))

    def _read_trials(
        self, name: str, objective: Objective, bare: list[FrozenTrial]
    ) -> tuple[TrialRecord, ...]:
        """A study's trials; those of Optuna, less their user attributes, are added to `bare`."""
        study_id = self.storage.get_study_id_from_name(name)
        directions = self.storage.get_study_directions(study_id)
        if [direction.name.lower() for direction in directions] != [objective.goal]:
            raise ValueError(f"its direction is {directions} and its goal {objective.goal!r}")
        num_trials = self._database.num_trials(study_id)
        model = self._attributes.of_study(name)[attributes.SPACE]["model"]
        trials = _keep_bare(self.each_trial(name), bare)
        records = attributes.trial_records(trials, name, objective, model)
        if len(records) < num_trials:  # a driver may have added some meanwhile
            raise ValueError(f"it has {num_trials} trials, of which {len(records)} can be found")
        return records

    # ------------------------------------------------------------ trials

    def write_config(self, name: str, config: TrialConfig) -> None:
        """Record a trial's whole configuration, fixed parameters and seed included."""
        self._attributes.set_of_trial(name, config.number, attributes.CONFIG, to_plain(config))

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
            self._attributes.set_of_trial(name, outcome.trial, attributes.WEIGHTS, sha256)
        self._set_outcome(name, outcome)
        self.discard_checkpoints(name, outcome.trial)
        kept = [artifacts.weights_file(folder, trial) for trial in keep]
        self._tidy_later(artifacts.weights_files(folder), keep=kept)

    def write_paused(self, name: str, outcome: TrialOutcome) -> None:
        """Record that a trial is paused, and how it ends if it is never promoted.

        Its checkpoint, which is recorded already, is kept.
        """
        self._set_outcome(name, outcome)
        epoch = outcome.history[-1].epoch
        self._attributes.set_of_trial(name, outcome.trial, attributes.PAUSED_AT, epoch)

    def write_promoted(self, name: str, trial: int) -> None:
        """Record that a paused trial goes on."""
        self._attributes.set_of_trial(name, trial, attributes.PAUSED_AT, None)

    def read_outcome(self, name: str, trial: int) -> TrialOutcome:
        """How a trial ended, or how it ends if it stays paused; without weights."""
        with self._attributes.reading(name):
            found = self._attributes.of_trial(name, trial)
            return from_plain(TrialOutcome, found[attributes.OUTCOME])

    def discard_checkpoints(self, name: str, trial: int) -> None:
        """Delete the checkpoints of a trial that ends."""
        self._attributes.forget(name, trial)
        files = artifacts.checkpoint_files(self._folder(name), trial)
        self._tidy_later(files, keep=[])

    def write_checkpoints(self, name: str, checkpoints: Sequence[Checkpoint]) -> None:
        """Record where trials under way are. Their last two checkpoints are kept.

        Args:
            name: The study.
            checkpoints: One of each trial.
        """
        folder = self._folder(name)
        digests = [hashlib.sha256(checkpoint.state).hexdigest() for checkpoint in checkpoints]
        # Before the transaction: others wait for the file while one is open.
        for checkpoint, sha256 in zip(checkpoints, digests, strict=True):
            file = artifacts.checkpoint_file(folder, checkpoint.trial, sha256)
            artifacts.write_file(file, checkpoint.state)
        with self.transaction():
            for checkpoint, sha256 in zip(checkpoints, digests, strict=True):
                trial = checkpoint.trial
                known = self._checkpoint_entries(name, trial)
                former = [entry for entry in known if entry["sha256"] != sha256]
                entry = {"epoch": checkpoint.epoch, "step": checkpoint.step, "sha256": sha256}
                entries = [entry, *former[:1]]
                self._attributes.set_of_trial(name, trial, attributes.CHECKPOINTS, entries)
                kept = [artifacts.checkpoint_file(folder, trial, e["sha256"]) for e in entries]
                self._tidy_later(artifacts.checkpoint_files(folder, trial), keep=kept)

    def read_checkpoints(self, name: str, trial: int) -> list[Checkpoint | None]:
        """A trial's recorded checkpoints, newest first; None for one that is missing or damaged."""
        found: list[Checkpoint | None] = []
        entries = self._checkpoint_entries(name, trial)
        for entry, file in zip(entries, self.recorded_checkpoints(name, trial), strict=True):
            state = artifacts.read_file(file, entry["sha256"])
            whole = None
            if state is not None:
                whole = Checkpoint(trial, entry["epoch"], entry["step"], state)
            found.append(whole)
        return found

    def recorded_checkpoints(self, name: str, trial: int) -> list[Path]:
        """The files that a trial's record names, newest first."""
        digests = [entry["sha256"] for entry in self._checkpoint_entries(name, trial)]
        return [artifacts.checkpoint_file(self._folder(name), trial, d) for d in digests]

    def delete_strays(self, name: str, *, running: Collection[int], keep: Collection[int]) -> None:
        """Delete what a crash left: files half-written, or that are not needed any more.

        Args:
            name: The study, whose lock is held.
            running: Its trials under way or paused, whose checkpoints are kept.
            keep: The trials whose weights are kept.
        """
        folder = self._folder(name)
        kept = [artifacts.weights_file(folder, trial) for trial in keep]
        artifacts.delete_files(artifacts.weights_files(folder), keep=kept)
        recorded = [file for trial in running for file in self.recorded_checkpoints(name, trial)]
        artifacts.delete_files(artifacts.checkpoint_files(folder), keep=recorded)
        artifacts.delete_files(artifacts.stray_files(folder))

    def write_retry(self, name: str, trial: int, retry_of: int) -> None:
        """Record that a trial that waits repeats a failed one."""
        self._attributes.set_of_trial(name, trial, attributes.RETRY_OF, retry_of)

    def write_audited(self, name: str, trial: int, epoch: int) -> None:
        """Record that a trial goes on which the pruner would have ended after an epoch."""
        self._attributes.set_of_trial(name, trial, attributes.AUDITED, epoch)

    def write_lost(self, name: str, trial: int, lost: Sequence[Failure]) -> None:
        """Record what ended the workers that had a trial before."""
        self._attributes.set_of_trial(name, trial, attributes.LOST, [to_plain(f) for f in lost])

    def read_lost(self, name: str, trial: int) -> tuple[Failure, ...]:
        """What ended the workers that had a trial before."""
        with self._attributes.reading(name):
            found = self._attributes.of_trial(name, trial).get(attributes.LOST, [])
            return tuple(from_plain(Failure, failure) for failure in found)

    def read_weights(self, name: str, trial: int) -> bytes | None:
        """A trial's weights as a safetensors file, or None if they are not there any more."""
        sha256 = self.recorded_weights(name, trial)
        if sha256 is None:
            return None
        return artifacts.read_file(artifacts.weights_file(self._folder(name), trial), sha256)

    def recorded_weights(self, name: str, trial: int) -> str | None:
        """SHA-256 of a trial's weights, which may have been deleted since, or None."""
        sha256 = self._attributes.of_trial(name, trial).get(attributes.WEIGHTS)
        return sha256 if isinstance(sha256, str) else None

    def read_config(self, name: str, trial: int) -> TrialConfig:
        """The whole configuration of a trial."""
        with self._attributes.reading(name):
            model = self._attributes.of_study(name)[attributes.SPACE]["model"]
            found = self._attributes.of_trial(name, trial)
            return attributes.config_of(found[attributes.CONFIG], model)

    # ------------------------------------------------------------ the test split

    def write_test_reading(self, name: str, reading: TestReading) -> None:
        """Record an opening of the test split; a second call with its results replaces it."""
        plain = attributes.with_reading(self._attributes.of_study(name), reading)
        self._attributes.set_of_study(name, attributes.READINGS, plain)

    # ------------------------------------------------------------ plumbing

    def _set_outcome(self, name: str, outcome: TrialOutcome) -> None:
        reports = attributes.reports_of(self._attributes.frozen(name, outcome.trial))
        self._attributes.set_of_trial(name, outcome.trial, attributes.REPORTS, reports)
        plain = to_plain(replace(outcome, weights=None))
        self._attributes.set_of_trial(name, outcome.trial, attributes.OUTCOME, plain)

    def _tidy_later(self, files: Iterator[Path], *, keep: Sequence[Path]) -> None:
        """Delete files once what was written is safe: at the end of a transaction."""
        self._tidying.append(lambda: artifacts.delete_files(files, keep=keep))
        if not self._database.connection.is_in_batch:
            self._tidy()

    def _tidy(self) -> None:
        while self._tidying:
            self._tidying.pop()()

    def _folder(self, study: str) -> Path:
        return artifacts.artifacts_folder(self.path, study)

    def _is_ours(self, name: str) -> bool:
        """Whether this project made a study.

        Raises:
            StoreError: it is damaged, or made by a newer version.
        """
        # Without a space, the key of the space may be what is damaged.
        return self._attributes.has(name, attributes.SPACE) or (
            attributes.SPACE in self._attributes.of_study(name)
        )

    def _checkpoint_entries(self, name: str, trial: int) -> list[dict[str, Any]]:
        """Epoch, step and SHA-256 of a trial's checkpoints, newest first."""
        found = self._attributes.of_trial(name, trial)
        return list(found.get(attributes.CHECKPOINTS, []))


def _keep_bare(trials: Iterable[FrozenTrial], kept: list[FrozenTrial]) -> Iterator[FrozenTrial]:
    """Pass trials on, and keep copies without user attributes, which are most of a trial."""
    for trial in trials:
        lean = copy.copy(trial)
        lean.user_attrs = {}
        kept.append(lean)
        yield trial
