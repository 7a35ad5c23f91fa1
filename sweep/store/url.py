"""Storage URLs → the file, checked without writing anything."""

from __future__ import annotations

import os
import re
from pathlib import Path

from sweep.errors import StoreError
from sweep.store.opening import SQLITE_HEADER, checked_tables
from sweep.words import DEFAULT_STORAGE

__all__ = ["OPTUNA_TABLES", "check_file", "database_path", "read_header"]


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
    """The file that a storage URL names.

    Args:
        url: `sqlite:///relative.db` or `sqlite:////absolute.db`.

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
    return Path(match[1])


def check_file(path: Path, *, to_write: bool) -> bool:
    """Check that a store can be used, without changing anything.

    A write that was cut off is taken back, as every program that opens the file would do.

    Args:
        path: The database file.
        to_write: Whether it will be written, and may be made if it is missing.

    Returns:
        Whether there is a store.

    Raises:
        StoreError: the path is unusable, is damaged, or holds something other than Optuna's
            tables.
    """
    header = read_header(path)
    if header is None:
        if to_write:
            _check_parent(path)
        return False
    if not header:
        return False  # an empty file is an empty database
    if header != SQLITE_HEADER:
        raise StoreError(
            f"the store {str(path)!r} is not an SQLite database; name another with --storage"
        )
    tables = checked_tables(path)
    # Fewer tables than Optuna's, but none that is not: another process is making them now.
    if not (tables >= OPTUNA_TABLES or tables <= OPTUNA_TABLES):
        shown = ", ".join(sorted(tables)[:3])
        raise StoreError(
            f"the store {str(path)!r} is a database of another program (its tables: {shown}); "
            "name another with --storage"
        )
    if to_write and not os.access(path, os.W_OK):
        raise StoreError(f"the store {str(path)!r} is read-only; name another with --storage")
    if to_write:
        _check_parent(path)
    return tables >= OPTUNA_TABLES


def read_header(path: Path) -> bytes | None:
    """The first bytes of a file, or None if there is none.

    Raises:
        StoreError: it cannot be read, or it is no file.
    """
    try:
        if path.is_dir():
            raise StoreError(f"the store {str(path)!r} is a directory; name a file in it")
        if not path.exists():
            return None
        if not path.is_file():  # opening a pipe would wait for its other end
            raise StoreError(f"the store {str(path)!r} is no file; name another with --storage")
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
