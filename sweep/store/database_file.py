"""The database file: which one a URL names, whose it is, and whether it is whole.

Nothing here changes the file, except that an unfinished write is rolled back, as by every program
that opens the file.
"""

from __future__ import annotations

import os
import re
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from sweep.errors import StoreError
from sweep.store.diagnosis import describe_failure, is_busy, one_line
from sweep.words import DEFAULT_STORAGE

__all__ = [
    "LOCK_WAIT_SECONDS",
    "OPTUNA_TABLES",
    "SQLITE_HEADER",
    "check_file",
    "damage_of",
    "database_path",
    "has_unfinished_write",
    "made_tables",
    "open_file",
    "read_header",
    "real_path",
    "require_free",
    "tables_of",
]

SQLITE_HEADER = b"SQLite format 3\0"
LOCK_WAIT_SECONDS = 60

OPTUNA_TABLES = {
    "alembic_version",
    "studies",
    "study_directions",
    "study_system_attributes",
    "study_user_attributes",
    "trial_heartbeats",
    "trial_intermediate_values",
    "trial_params",
    "trial_system_attributes",
    "trial_user_attributes",
    "trial_values",
    "trials",
    "version_info",
}


def database_path(url: str) -> Path:
    """The file that `sqlite:///relative.db` or `sqlite:////absolute.db` names; `~` is the home.

    Raises:
        StoreError: the URL names something else, or a path that is not UTF-8.
    """
    match = re.fullmatch(r"sqlite:///([^?\0]+)", url)
    if match is None or match[1] == ":memory:":
        hint = "" if "://" in url or not url.strip() else f"; did you mean 'sqlite:///{url}'?"
        raise StoreError(
            f"storage must be sqlite:/// and a path, such as {DEFAULT_STORAGE}; found {url!r}{hint}"
        )
    try:
        match[1].encode()
    except UnicodeEncodeError:
        raise StoreError(
            f"the store's path must be UTF-8, because SQLite opens no other; found {match[1]!r}: "
            "rename the file or folder, or name another with --storage"
        ) from None
    return Path(os.path.expanduser(match[1]))  # noqa: PTH111 - that of `Path` may raise


def real_path(path: Path) -> Path:
    """The absolute path of a store's file, which need not exist, with all links resolved.

    Lock, weights and checkpoints lie beside it, whatever the file is called.

    Raises:
        StoreError: the current folder, which a relative path starts from, is gone.
    """
    try:
        return Path(os.path.realpath(path))
    except FileNotFoundError:
        raise StoreError(
            f"the store {str(path)!r} cannot be found: the current folder was deleted; change to "
            "another one, or name an absolute path with --storage"
        ) from None


def check_file(path: Path, *, to_write: bool) -> bool:
    """Whether there is a store, which can be used. To write, it may be missing.

    Raises:
        StoreError: the path cannot be used, or is damaged, or holds other tables than Optuna's.
    """
    header = read_header(path)
    if header is None and to_write:
        _check_parent(path)
    if not header:
        return False  # an empty file is an empty database
    if header != SQLITE_HEADER:
        raise StoreError(
            f"the store {str(path)!r} is not an SQLite database; name another with --storage"
        )
    tables = _checked_tables(path)
    # Only some of Optuna's tables: another process is creating them now.
    if not (tables >= OPTUNA_TABLES or tables <= OPTUNA_TABLES):
        shown = ", ".join(sorted(tables)[:3])
        raise StoreError(
            f"the store {str(path)!r} is a database of another program (its tables: {shown}); "
            "name another with --storage"
        )
    if to_write and path.stat().st_nlink > 1:
        # Locks and SQLite's journal lie beside one name: writes through two would damage the file.
        raise StoreError(
            f"the store {str(path)!r} has a second name (a hard link), under which another driver "
            f"could write to it; make it a file of its own: copy it, and move the copy to its place"
        )
    if to_write and not os.access(path, os.W_OK):
        raise StoreError(f"the store {str(path)!r} is read-only; name another with --storage")
    if to_write:
        _check_parent(path)
    return tables >= OPTUNA_TABLES


def read_header(path: Path) -> bytes | None:
    """The first bytes of a file, or None if it is missing.

    Raises:
        StoreError: it cannot be read, or it is not a regular file.
    """
    try:
        if path.is_dir():
            raise StoreError(f"the store {str(path)!r} is a directory; name a file in it")
        if not path.exists():
            return None
        if not path.is_file():  # opening a pipe would wait for its other end
            raise StoreError(f"the store {str(path)!r} is not a file; name another with --storage")
        with path.open("rb") as file:
            return file.read(len(SQLITE_HEADER))
    except OSError as error:
        raise StoreError(f"the store {str(path)!r} cannot be read: {error.strerror}") from None


def _check_parent(path: Path) -> None:
    parent = path.parent
    if not parent.is_dir():
        raise StoreError(
            f"the store {str(path)!r} cannot be made: there is no directory {str(parent)!r}"
        )
    if not os.access(parent, os.W_OK):
        raise StoreError(
            f"the store {str(path)!r} cannot be written: the directory {str(parent)!r} is "
            "read-only; name another place with --storage"
        )


@contextmanager
def open_file(path: Path, mode: str = "ro") -> Iterator[sqlite3.Connection]:
    """A connection for reading; `ro` writes nothing, `rw` rolls back an unfinished write."""
    uri = f"file:{quote(str(path))}?mode={mode}"
    with closing(sqlite3.connect(uri, uri=True, timeout=LOCK_WAIT_SECONDS)) as connection:
        connection.execute("PRAGMA trusted_schema = OFF")  # the file may be untrusted
        yield connection


def tables_of(connection: sqlite3.Connection) -> set[str]:
    """Names of a database's tables."""
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return {str(name) for (name,) in rows}


def made_tables(connection: sqlite3.Connection) -> set[str]:
    """Names of a database's tables; without `alembic_version` if their creation was cut off.

    Optuna writes that version last: a full disk, for one, leaves tables without it.
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
    """Up to `limit` findings of SQLite's integrity check, one line each; empty if it passes."""
    try:
        rows = connection.execute(f"PRAGMA integrity_check({limit:d})").fetchall()
        # SQLite ignores an entry of an unknown kind, and a table is gone.
        (strange,) = connection.execute(
            "SELECT count(*) FROM sqlite_master WHERE type IS NULL OR "
            "type NOT IN ('table', 'index', 'view', 'trigger')"
        ).fetchone()
    except (sqlite3.Error, ValueError) as error:
        if is_busy(error):
            raise
        return [one_line(error)]
    found = [
        one_line(line)
        for (text,) in rows
        for line in str(text).splitlines()
        if line != "ok" and not line.startswith("*** in database")
    ]
    if strange:
        found.append(f"{strange} of its schema's entries are of an unknown kind")
    return found[:limit]


def has_unfinished_write(path: Path) -> bool:
    """Whether a driver died in the middle of a commit, so that its journal must be rolled back.

    SQLite refuses a read-only connection then.
    """
    try:
        with open_file(path) as connection:
            tables_of(connection)
    except sqlite3.Error as error:
        return error.sqlite_errorcode == sqlite3.SQLITE_READONLY_ROLLBACK
    return False


def _checked_tables(path: Path) -> set[str]:
    """Names of a file's tables; raises a `StoreError` if it is damaged or cannot be read."""
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
            f"the store {str(path)!r} was left in the middle of a write, which must be rolled back "
            "before it can be read, and the file or its folder is read-only; make both writable, "
            f"or copy the file and {path.name + '-journal'!r} to a folder that is"
        )


def require_free(path: Path, error: Exception) -> None:
    """Raise a `StoreError` if the error means that another process holds the file."""
    if is_busy(error):
        raise StoreError(
            f"the store {str(path)!r} cannot be read now: {describe_failure(error)}"
        ) from None
