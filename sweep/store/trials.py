"""The records of one study's trials, and the weights and checkpoints beside the store.

A file is on disk before the record that names it, and is deleted once no record needs it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from sweep.codec import to_plain
from sweep.records import Checkpoint, Model, TrialConfig, TrialOutcome, TrialState
from sweep.store import artifacts
from sweep.store.consistency import complete_config
from sweep.store.database import Database
from sweep.store.digests import checked, with_digest
from sweep.store.stored import (
    StoredCheckpoint,
    StoredStudy,
    StoredTrial,
    differences,
    trial_summary,
)
from sweep.study import RECORD

__all__ = ["Trials"]


class Trials:
    """Reads and writes what the store adds to the trials of a study.

    To write, hold the study's lock. Each call is a transaction, or part of the open one.

    Args:
        name: The study's.
        folder: Of the study's files.
        reading: Turns every error that a damaged study can cause into a `StoreError`.
    """

    def __init__(
        self,
        database: Database,
        name: str,
        folder: Path,
        reading: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._database = database
        self._name = name
        self.folder = folder
        self._reading = reading
        self._ids: dict[int, int] = {}

    # ------------------------------------------------------------ records

    def read(self, trial: int) -> StoredTrial:
        """The record of a trial, empty if it has none; raises a `StoreError` if it is damaged."""
        with self._reading():
            return self._record(trial)

    def read_config(self, trial: int, model: Model) -> TrialConfig:
        """The whole configuration of a trial, which has this model.

        Raises:
            StoreError: it is damaged, or the trial was never asked for.
        """
        with self._reading():
            config = self._record(trial).config
            if config is None:
                raise ValueError(f"trial {trial} has no configuration")
            return complete_config(config, model)

    def change(self, trial: int, **changes: Any) -> None:
        """Change fields of a trial's `StoredTrial`. The trial has not ended."""
        with self._database.together():
            self._write(trial, replace(self.read(trial), **changes))

    def write_outcome(
        self, outcome: TrialOutcome, *, keep: Collection[int], study_epochs: int | None = None
    ) -> None:
        """Record how a trial ended, before Optuna is told. Keep the weights of some trials only."""
        trial, weights = outcome.trial, outcome.weights
        changes: dict[str, Any] = {"study_epochs": study_epochs}
        if weights is not None and trial in keep:
            artifacts.write_file(artifacts.weights_file(self.folder, trial), weights)
            changes["weights_sha256"] = hashlib.sha256(weights).hexdigest()
        with self._database.together():
            self._write_outcome(outcome, **changes)
            self.discard_checkpoints(trial)
            kept = [artifacts.weights_file(self.folder, number) for number in keep]
            self._delete_afterwards(artifacts.weights_files(self.folder), keep=kept)

    def write_paused(self, outcome: TrialOutcome) -> None:
        """Record that a trial is paused, and how it ends if it is never promoted."""
        with self._database.together():
            self._write_outcome(outcome, paused_at=outcome.history[-1].epoch)

    def write_copy(self, config: TrialConfig, original: int) -> None:
        """Record, before Optuna is told, that a COMPLETE trial stands for one that just began."""
        with self._database.together():
            self.change(config.number, config=config, copy_of=original)
            self._write_outcome(TrialOutcome(config.number, TrialState.COMPLETE))

    # ------------------------------------------------------------ files

    def read_weights(self, trial: int) -> bytes | None:
        """A trial's weights as a safetensors file, or None if they are missing or damaged."""
        sha256 = self.recorded_weights(trial)
        if sha256 is None:
            return None
        return artifacts.read_file(artifacts.weights_file(self.folder, trial), sha256)

    def recorded_weights(self, trial: int) -> str | None:
        """SHA-256 of a trial's weights, which may have been deleted since, or None."""
        return self.read(trial).weights_sha256

    def write_checkpoints(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Record one checkpoint for each of some trials. Each trial keeps its last two."""
        entries = [
            StoredCheckpoint(c.epoch, c.step, hashlib.sha256(c.state).hexdigest())
            for c in checkpoints
        ]
        # Before the transaction: others wait for the file while one is open.
        for checkpoint, entry in zip(checkpoints, entries, strict=True):
            artifacts.write_file(self._checkpoint_file(checkpoint.trial, entry), checkpoint.state)
        with self._database.together():
            for checkpoint, entry in zip(checkpoints, entries, strict=True):
                trial = checkpoint.trial
                former = [e for e in self.read(trial).checkpoints if e.sha256 != entry.sha256]
                newest = (entry, *former[:1])
                self.change(trial, checkpoints=newest)
                kept = [self._checkpoint_file(trial, each) for each in newest]
                self._delete_afterwards(artifacts.checkpoint_files(self.folder, trial), keep=kept)

    def read_checkpoints(self, trial: int) -> list[Checkpoint | None]:
        """A trial's recorded checkpoints, newest first; None for one that is missing or damaged."""
        found: list[Checkpoint | None] = []
        for entry in self.read(trial).checkpoints:
            state = artifacts.read_file(self._checkpoint_file(trial, entry), entry.sha256)
            whole = None if state is None else Checkpoint(trial, entry.epoch, entry.step, state)
            found.append(whole)
        return found

    def recorded_checkpoints(self, trial: int) -> list[Path]:
        """The checkpoint files that a trial's record names, newest first."""
        return [self._checkpoint_file(trial, entry) for entry in self.read(trial).checkpoints]

    def discard_checkpoints(self, trial: int) -> None:
        """Delete the checkpoints of a trial that ends in the open transaction."""
        self._delete_afterwards(artifacts.checkpoint_files(self.folder, trial))

    def delete_strays(self, *, running: Collection[int], keep: Collection[int]) -> None:
        """Delete what a crash left: half-written files, and files that are not needed any more.

        Args:
            running: Trials under way or paused, which keep their checkpoints.
            keep: Trials that keep their weights.
        """
        folder = self.folder
        kept = [artifacts.weights_file(folder, trial) for trial in keep]
        artifacts.delete_files(artifacts.weights_files(folder), keep=kept)
        recorded = [file for trial in running for file in self.recorded_checkpoints(trial)]
        artifacts.delete_files(artifacts.checkpoint_files(folder), keep=recorded)
        artifacts.delete_files(artifacts.stray_files(folder))

    # ------------------------------------------------------------ plumbing

    def _write_outcome(self, outcome: TrialOutcome, **changes: Any) -> None:
        storage, trial_id = self._database.storage, self._id(outcome.trial)
        record = replace(
            self._record(outcome.trial),
            outcome=replace(outcome, weights=None),
            reports=storage.reports(trial_id),
            **changes,
        )
        self._write(outcome.trial, record)
        shown = differences(trial_summary(record), storage.get_trial_user_attrs(trial_id))
        self._database.set_user_attributes("trial", trial_id, shown)

    def _write(self, trial: int, record: StoredTrial) -> None:
        stored = with_digest((self._identity, trial), to_plain(record))
        self._database.storage.set_trial_system_attr(self._id(trial), RECORD, stored)

    def _record(self, trial: int) -> StoredTrial:
        attributes = self._database.storage.get_trial_system_attrs(self._id(trial))
        try:
            owner, record = checked(StoredTrial, attributes) or (None, StoredTrial())
        except ValueError as error:
            raise ValueError(f"trial {trial}: {error}") from None
        if owner not in (None, [self._identity, trial]):
            raise ValueError(f"trial {trial}: its record is that of another trial")
        return record

    def _id(self, trial: int) -> int:
        if trial not in self._ids:
            storage = self._database.storage
            self._ids[trial] = storage.get_trial_id_from_study_id_trial_number(
                self._study_id, trial
            )
        return self._ids[trial]

    @cached_property
    def _study_id(self) -> int:
        return self._database.storage.get_study_id_from_name(self._name)

    @cached_property
    def _identity(self) -> str:
        found = checked(StoredStudy, self._database.study_attributes(self._study_id)[1])
        if found is None:
            raise ValueError(f"study {self._name!r} has no record")
        return found[1].identity

    def _checkpoint_file(self, trial: int, entry: StoredCheckpoint) -> Path:
        return artifacts.checkpoint_file(self.folder, trial, entry.sha256)

    def _delete_afterwards(self, files: Iterator[Path], *, keep: Collection[Path] = ()) -> None:
        self._database.afterwards(lambda: artifacts.delete_files(files, keep=keep))
