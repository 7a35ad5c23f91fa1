"""One database file: the connection to it, Optuna's storage in it, and transactions."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from optuna.trial import FrozenTrial
from sqlalchemy import URL
from sqlalchemy.pool import StaticPool

from sweep.errors import StoreError
from sweep.store.connection import BatchConnection
from sweep.store.database_file import LOCK_WAIT_SECONDS
from sweep.store.diagnosis import STORE_FAILURES, describe_failure, is_full, reading
from sweep.store.lock import making_lock
from sweep.store.plain_storage import PlainStorage

__all__ = ["Database"]

_WINDOW = 100  # trials that are read at once: 10 MB


class Database:
    """A file that was checked, for one thread.

    Args:
        root: The folder of its artifacts, where the creation of tables is locked.
        to_write: Whether it may be written, and created when it is first needed.
        exists: Whether its tables exist.
    """

    def __init__(self, path: Path, root: Path, *, to_write: bool, exists: bool) -> None:
        self.path = path
        self.exists = exists
        self.to_write = to_write
        self._root = root
        self._afterwards: list[Callable[[], None]] = []

    @cached_property
    def storage(self) -> PlainStorage:
        """Optuna's storage; creates the tables where there are none.

        Raises:
            StoreError: the file is not one that this version of Optuna can use.
            OSError | sqlite3.Error | SQLAlchemyError: the disk is full.
        """
        is_making = self.to_write and not self.exists
        with reading(self.path, f"the store {str(self.path)!r}", to_write=is_making):
            try:
                # Two processes that create the tables at the same time would both fail.
                if is_making:
                    # All or none: Optuna skips a table that exists, and with it the index that
                    # keeps the names of studies unique.
                    with making_lock(self._root), self.connection.batch():
                        storage = self._open()
                else:
                    storage = self._open()
            except STORE_FAILURES as error:
                if is_making and is_full(error):
                    raise
                raise StoreError(
                    f"the store {str(self.path)!r} cannot be used: {describe_failure(error)}"
                ) from None
            self._check_version(storage)
        self.exists = True
        return storage

    @cached_property
    def connection(self) -> BatchConnection:
        """The only connection; opened when it is first needed."""
        if self.to_write:
            return sqlite3.connect(self.path, timeout=LOCK_WAIT_SECONDS, factory=BatchConnection)
        return sqlite3.connect(
            f"file:{quote(str(self.path))}?mode=ro",
            uri=True,
            timeout=LOCK_WAIT_SECONDS,
            factory=BatchConnection,
        )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is written inside once, at the end; an error takes all of it back.

        Raises:
            RuntimeError: a transaction is open already; they do not nest.
            sqlite3.Error: the file cannot be written.
        """
        _ = self.storage  # connects, and creates the tables where there are none
        with self.connection.batch():
            yield
        while self._afterwards:
            self._afterwards.pop()()

    @contextmanager
    def together(self) -> Iterator[None]:
        """The open transaction, or one of its own."""
        if self.connection.is_in_batch:
            yield
        else:
            with self.transaction():
                yield

    def afterwards(self, action: Callable[[], None]) -> None:
        """Do something once what was written is committed."""
        if self.connection.is_in_batch:
            self._afterwards.append(action)
        else:
            action()

    def study_attributes(self, study_id: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """User and system attributes of a study, in one query: a driver may write between two."""
        found: dict[str, dict[str, Any]] = {"user": {}, "system": {}}
        queries = [
            f"SELECT '{kind}', key, value_json FROM study_{kind}_attributes WHERE study_id = :study"  # noqa: S608
            for kind in found
        ]
        rows = self.connection.execute(" UNION ALL ".join(queries), {"study": study_id})
        for kind, key, text in rows:
            found[kind][key] = json.loads(text)
        return found["user"], found["system"]

    def set_user_attributes(
        self, kind: Literal["study", "trial"], owner_id: int, values: Mapping[str, Any]
    ) -> None:
        """Set user attributes together: Optuna takes 14 ms longer to set those of a trial."""
        rows = [(owner_id, key, json.dumps(value)) for key, value in values.items()]
        self.connection.executemany(
            f"INSERT INTO {kind}_user_attributes ({kind}_id, key, value_json) VALUES (?, ?, ?) "  # noqa: S608
            f"ON CONFLICT ({kind}_id, key) DO UPDATE SET value_json = excluded.value_json",
            rows,
        )
        self.connection.commit()

    def study_names(self) -> list[str]:
        """Names of all studies; Optuna would read all of their attributes, too."""
        _ = self.storage  # connects, and checks the store
        return [name for (name,) in self.connection.execute("SELECT study_name FROM studies")]

    def num_trials(self, study_id: int) -> int:
        """How many trials a study has, whatever their numbers say."""
        query = "SELECT COUNT(*) FROM trials WHERE study_id = ?"
        return int(self.connection.execute(query, (study_id,)).fetchone()[0])

    def each_trial(self, study_id: int) -> Iterator[FrozenTrial]:
        """The trials of a study in the order of their creation, a few hundred at a time.

        Optuna reads all trials at once, at 100 kB each, or one by one, which takes six times as
        long. So it reads all of them while a temporary view of this connection, named like the
        table, hides all but a few hundred. Nothing is written to the file.
        """
        query = "SELECT trial_id FROM trials WHERE study_id = ? ORDER BY trial_id"
        ids = [int(trial) for (trial,) in self.connection.execute(query, (study_id,))]
        for first in range(0, len(ids), _WINDOW):
            window = ids[first : first + _WINDOW]
            with self._window(window[0], window[-1]):
                trials = self.storage.get_all_trials(study_id, deepcopy=False)
            yield from trials

    @contextmanager
    def _window(self, first: int, last: int) -> Iterator[None]:
        """Hide all trials but those with these ids from queries of this connection."""
        among = f"trial_id BETWEEN {first:d} AND {last:d}"  # a view takes no parameters
        self.connection.execute(
            f"CREATE TEMPORARY VIEW trials AS SELECT * FROM main.trials WHERE {among}"  # noqa: S608
        )
        try:
            yield
        finally:
            self.connection.execute("DROP VIEW temp.trials")

    def _open(self) -> PlainStorage:
        # Quoted for SQLAlchemy, and for Optuna, which formats the URL.
        url = URL.create("sqlite", database=str(self.path)).render_as_string()
        return PlainStorage(
            self.connection,
            url.replace("{", "{{").replace("}", "}}"),
            engine_kwargs={
                "creator": lambda: self.connection,
                "poolclass": StaticPool,  # one connection has one transaction
            },
            skip_compatibility_check=True,  # `_check_version` says what to do
        )

    def _check_version(self, storage: PlainStorage) -> None:
        found, ours = storage.get_current_version(), storage.get_head_version()
        if found == ours:
            return
        if found in storage.get_all_versions():
            raise StoreError(
                f"the store {str(self.path)!r} cannot be used: it was made by an older Optuna "
                f"(schema {found!r}; this one has {ours!r}); copy it, then "
                f"`optuna storage upgrade --storage sqlite:///{self.path}`"
            )
        raise StoreError(
            f"the store {str(self.path)!r} cannot be used: it was made by a newer Optuna (schema "
            f"{found!r}; this one has {ours!r}) or is damaged; `pip install --upgrade optuna`, or "
            "restore it from a copy"
        )
