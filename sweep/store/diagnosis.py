"""Messages for what goes wrong with a store: a full disk, a busy file, damage."""

from __future__ import annotations

import errno
import logging
import shlex
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from sqlalchemy.exc import SQLAlchemyError

from sweep.errors import StoreError
from sweep.quiet import without_optuna_messages
from sweep.store.connection import LostTransactionError

__all__ = ["STORE_FAILURES", "describe_failure", "is_busy", "is_full", "one_line", "reading"]

STORE_FAILURES = (
    OSError,
    sqlite3.Error,
    SQLAlchemyError,
    StorageInternalError,
    UpdateFinishedTrialError,
)
"""What a store raises when it can no longer be read or written: a full disk, a lost folder."""

_DAMAGE = (
    *STORE_FAILURES,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What Optuna, SQLAlchemy and the JSON decoder raise for damaged rows."""

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_SHORT = {sqlite3.SQLITE_IOERR_SHORT_READ}  # the file ends too early
_MACHINE = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
}
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_MAX_LENGTH = 200


def describe_failure(error: BaseException) -> str:
    """Why a store cannot be used, in one line, and what to do if that is known."""
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno in _NO_ROOM:
            return f"the disk is full ({one_line(cause.strerror)}): make room"
        if isinstance(cause, sqlite3.Error):
            code = getattr(cause, "sqlite_errorcode", 0)
            if code == sqlite3.SQLITE_FULL:
                return f"the disk is full ({one_line(cause)}): make room"
            if code in (sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC):
                # SQLite does not tell a quota or a limit on file sizes from a broken disk.
                return (
                    f"the store's file cannot be written any further ({one_line(cause)}): the "
                    "disk is full or broken, or a limit on the size of files is reached; make room"
                )
            if code & 0xFF in _BUSY:
                return f"another process does not let go of the file ({one_line(cause)}): try again"
            return one_line(cause)
        if isinstance(cause, UpdateFinishedTrialError):
            return (
                f"another program ended a trial that was under way ({one_line(cause)}); stop that "
                "program, then resume the study"
            )
    if isinstance(error, StorageInternalError) and error.__cause__ is not None:
        return one_line(error.__cause__)  # Optuna's own message is the same for every cause
    return one_line(error)


@contextmanager
def reading(path: Path, what: str, *, to_write: bool = False) -> Iterator[None]:
    """Turn every error that a damaged file can cause into a `StoreError` about `what`.

    If the caller also writes, a full disk or a lost folder is raised as it is: the work fails, and
    the file need not be damaged.
    """
    try:
        with without_optuna_messages(logging.ERROR):  # its warnings say less
            yield
    except _DAMAGE as error:
        if is_busy(error):
            raise StoreError(f"{what} cannot be read now: {describe_failure(error)}") from None
        if _is_failure(error):
            if to_write:
                raise
            raise StoreError(f"{what} cannot be read: {describe_failure(error)}") from None
        raise StoreError(
            f"{what} cannot be understood: {describe_failure(error)}; it is damaged or was made by "
            f"another version; `sweep doctor {shlex.quote(str(path))}` says what can be done"
        ) from None


def is_full(error: BaseException) -> bool:
    """Whether the disk is full: the work fails, whatever was asked for."""
    return _has_code(error, {sqlite3.SQLITE_FULL}) or any(
        isinstance(cause, OSError) and cause.errno in _NO_ROOM for cause in _causes(error)
    )


def is_busy(error: BaseException) -> bool:
    """Whether another process holds the file."""
    return _has_code(error, _BUSY)


def _is_failure(error: BaseException) -> bool:
    """Whether the machine failed, rather than the file's content."""
    failed = any(isinstance(cause, OSError | LostTransactionError) for cause in _causes(error))
    return failed or (_has_code(error, _MACHINE) and not _has_code(error, _SHORT))


def _has_code(error: BaseException, codes: Collection[int]) -> bool:
    """Whether SQLite gave one of these codes, primary or extended."""
    found = {getattr(cause, "sqlite_errorcode", None) or 0 for cause in _causes(error)}
    return any(code in codes or code & 0xFF in codes for code in found)


def one_line(error: object) -> str:
    """The first line of a message, without a terminal's control characters."""
    line = next(iter(str(error).splitlines()), "")
    if isinstance(error, LookupError):
        line = f"{type(error).__name__} {line}"  # only the key, otherwise
    harmless = "".join(letter if letter.isprintable() else "?" for letter in line)
    short = harmless if len(harmless) <= _MAX_LENGTH else f"{harmless[:_MAX_LENGTH]}…"
    return short or type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it came from, innermost last."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__
