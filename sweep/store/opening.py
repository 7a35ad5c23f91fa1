"""Opening a database file to look at it: is it whole, and whose is it?"""

from __future__ import annotations

import os
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from sweep.errors import StoreError
from sweep.store.failures import describe_failure, one_line

__all__ = [
    "LOCK_WAIT_SECONDS",
    "SQLITE_HEADER",
    "checked_tables",
    "damage_of",
    "has_unfinished_write",
    "made_tables",
    "open_file",
    "require_free",
    "tables_of",
]

SQLITE_HEADER = b"SQLite format 3\0"
LOCK_WAIT_SECONDS = 60


@contextmanager
def open_file(path: Path, mode: str = "ro") -> Iterator[sqlite3.Connection]:
    """A connection for looking; `ro` writes nothing, `rw` takes back a write that was cut off."""
    uri = f"file:{quote(str(path))}?mode={mode}"
    with closing(sqlite3.connect(uri, uri=True, timeout=LOCK_WAIT_SECONDS)) as connection:
        connection.execute("PRAGMA trusted_schema = OFF")  # it may be a stranger's file
        yield connection


def tables_of(connection: sqlite3.Connection) -> set[str]:
    """Names of a database's tables."""
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return {str(name) for (name,) in rows}


def made_tables(connection: sqlite3.Connection) -> set[str]:
    """Names of a database's tables; without Optuna's last one if their making was cut off.

    Optuna writes the version of its tables last. A full disk, for one, leaves them without it.
    """
    tables = tables_of(connection)
    if {"alembic_version", "studies"} <= tables:
        is_made, *_ = connection.execute(
            "SELECT EXISTS (SELECT 1 FROM alembic_version) OR EXISTS (SELECT 1 FROM studies)"
        ).fetchone()
        if not is_made:
            tables.remove("alembic_version")
    return tables


def damage_of(connection: sqlite3.Connection, limit: int) -> list[str]:
    """What SQLite's integrity check finds, one line each; empty if the file is whole."""
    try:
        rows = connection.execute(f"PRAGMA integrity_check({limit:d})").fetchall()
        # SQLite passes over what is no table, index, view or trigger, and a table is gone.
        (strange,) = connection.execute(
            "SELECT count(*) FROM sqlite_master WHERE type IS NULL OR "
            "type NOT IN ('table', 'index', 'view', 'trigger')"
        ).fetchone()
    except (sqlite3.Error, ValueError) as error:
        if isinstance(error, sqlite3.Error) and _is_busy(error):
            raise
        return [one_line(error)]
    found = [
        one_line(line)
        for (text,) in rows
        for line in str(text).splitlines()
        if line != "ok" and not line.startswith("*** in database")
    ]
    if strange:
        found.append(f"{strange} of its schema's entries are of no known kind")
    return found[:limit]


def has_unfinished_write(path: Path) -> bool:
    """Whether a driver died in the middle of a commit, so that its journal must be rolled back.

    A connection that may not write cannot do that, and SQLite says so.
    """
    try:
        with open_file(path) as connection:
            tables_of(connection)
    except sqlite3.Error as error:
        return error.sqlite_errorcode == sqlite3.SQLITE_READONLY_ROLLBACK
    return False


def checked_tables(path: Path) -> set[str]:
    """Names of the tables of a whole file.

    Raises:
        StoreError: the file is damaged, or it cannot be read.
    """
    mode = "ro"
    try:
        if has_unfinished_write(path):
            _require_writable(path)
            mode = "rw"
        with open_file(path, mode) as connection:
            tables = made_tables(connection)
            damage = damage_of(connection, 1)
    except (sqlite3.Error, ValueError) as error:
        require_free(path, error)
        damage = [one_line(error)]
    if damage:
        raise StoreError(
            f"the store {str(path)!r} is damaged ({damage[0]}); restore it from a copy, or see "
            f"what `sweep doctor {shlex.quote(str(path))}` says"
        )
    return tables


def _require_writable(path: Path) -> None:
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        raise StoreError(
            f"the store {str(path)!r} was left in the middle of a write, which must be taken back "
            "before it can be read, and the file or its folder is read-only; make both writable, "
            f"or copy the file and {path.name + '-journal'!r} to a folder that is"
        )


def require_free(path: Path, error: Exception) -> None:
    """See to it that a file which another process holds is not called damaged.

    Raises:
        StoreError: this error says that the file is held.
    """
    if isinstance(error, sqlite3.Error) and _is_busy(error):
        raise StoreError(
            f"the store {str(path)!r} cannot be read now: {describe_failure(error)}"
        ) from None


def _is_busy(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
