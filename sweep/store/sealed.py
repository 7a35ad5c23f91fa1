"""The attributes of studies and trials in a database: written with a seal, read with a check."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from sweep.errors import StoreError
from sweep.store.database import Database
from sweep.store.failures import reading
from sweep.store.seal import FORMAT, FORMAT_VERSION, format_of, seal, unsealed

__all__ = ["SealedAttributes"]


class SealedAttributes:
    """Reads and writes sealed attributes.

    Args:
        database: Where they are.
        path: The file's name for messages.
    """

    def __init__(self, database: Database, path: Path) -> None:
        self._database = database
        self._path = path
        self._trial_ids: dict[tuple[str, int], int] = {}  # of trials that are written now

    @contextmanager
    def reading(self, study: str) -> Iterator[None]:
        """Turn everything that a damaged study can cause into one message.

        Raises:
            StoreError: the study cannot be read.
        """
        what = f"study {study!r} in {str(self._path)!r}"
        with reading(self._path, what, to_write=self._database.to_write):
            yield

    def has(self, study: str, key: str) -> bool:
        """Whether a study has an attribute, whatever its state.

        Raises:
            StoreError: the study's attributes cannot be read at all.
        """
        with self.reading(study):
            return key in self._stored(study)

    def of_study(self, study: str) -> dict[str, Any]:
        """A study's attributes.

        Raises:
            StoreError: they are damaged, or were made by another version.
        """
        with self.reading(study):
            stored = self._stored(study)
            version = format_of(stored)
            if version != FORMAT_VERSION:
                age = "a newer" if version > FORMAT_VERSION else "an earlier"
                raise StoreError(
                    f"study {study!r} in {str(self._path)!r} was made by {age} version of sweep "
                    f"(format {version}; this one reads {FORMAT_VERSION}); use that version, or "
                    "another store with --storage"
                )
            return unsealed([study], stored)

    def of_trial(self, study: str, trial: int) -> dict[str, Any]:
        """A trial's attributes.

        Raises:
            StoreError: they are damaged.
        """
        with self.reading(study):
            stored = self.frozen(study, trial).user_attrs
            try:
                return unsealed([study, trial], stored)
            except ValueError as error:
                raise ValueError(f"trial {trial}: {error}") from None

    def frozen(self, study: str, trial: int) -> FrozenTrial:
        """A trial as Optuna knows it."""
        return self._database.storage.get_trial(self._trial_id(study, trial))

    def set_format(self, study: str) -> None:
        """Record that all attributes of a new study are sealed. Call it first."""
        storage = self._database.storage
        study_id = storage.get_study_id_from_name(study)
        storage.set_study_user_attr(study_id, FORMAT, FORMAT_VERSION)

    def set_of_study(self, study: str, key: str, value: Any) -> None:
        """Set an attribute of a study."""
        storage = self._database.storage
        study_id = storage.get_study_id_from_name(study)
        storage.set_study_user_attr(study_id, key, seal([study], key, value))

    def set_of_trial(self, study: str, trial: int, key: str, value: Any) -> None:
        """Set an attribute of a trial that has not ended."""
        trial_id = self._trial_ids[study, trial] = self._trial_id(study, trial)
        sealed = seal([study, trial], key, value)
        self._database.storage.set_trial_user_attr(trial_id, key, sealed)

    def forget(self, study: str, trial: int) -> None:
        """Forget what was remembered to write a trial faster: it has ended."""
        self._trial_ids.pop((study, trial), None)

    def _stored(self, study: str) -> dict[str, Any]:
        storage = self._database.storage
        return storage.get_study_user_attrs(storage.get_study_id_from_name(study))

    def _trial_id(self, study: str, trial: int) -> int:
        if (study, trial) in self._trial_ids:
            return self._trial_ids[study, trial]
        storage = self._database.storage
        study_id = storage.get_study_id_from_name(study)
        return storage.get_trial_id_from_study_id_trial_number(study_id, trial)
