"""One driver per study, by a lock that the operating system releases when its holder dies."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from sweep.errors import StoreError, StudyLockedError
from sweep.store.artifacts import is_link, read_plain_file, write_plain_file

__all__ = ["is_locked", "making_lock", "study_lock"]

_LOCK = "driver.lock"
_HOLDER = "driver.json"
_MAKING = "making.lock"
_PATIENCE_SECONDS = 0.5  # `is_locked` of another process holds the lock for an instant


@contextmanager
def study_lock(folder: Path, study: str) -> Iterator[None]:
    """Hold a study.

    Args:
        folder: The study's folder; made if missing.
        study: The study's name, for the message.

    Raises:
        StudyLockedError: another driver holds the study.
        StoreError: the folder cannot be written, or the lock's file is a link.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_link(folder / _LOCK)
        lock = FileLock(folder / _LOCK)
        lock.acquire(timeout=_PATIENCE_SECONDS)
    except Timeout:
        raise StudyLockedError(
            f"study {study!r} is held by {_holder(folder)}; wait for it or stop it (`sweep run "
            "--study NAME` makes another study)"
        ) from None
    except OSError as error:
        raise StoreError(
            f"the study's folder {str(folder)!r} cannot be written: {error.strerror}; name "
            "another place with --storage"
        ) from None
    try:
        holder = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        write_plain_file(folder / _HOLDER, json.dumps(holder).encode())
        yield
    finally:
        (folder / _HOLDER).unlink(missing_ok=True)
        lock.release()


@contextmanager
def making_lock(folder: Path) -> Iterator[None]:
    """Hold a store while its tables are made; waits for whoever makes them.

    Raises:
        OSError: the folder cannot be written.
        StoreError: the lock's file is a link.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _refuse_link(folder / _MAKING)
    with FileLock(folder / _MAKING):
        yield


def is_locked(folder: Path) -> bool:
    """Whether a driver holds the study now."""
    if is_link(folder / _LOCK) or not (folder / _LOCK).exists():
        return False  # no driver of ours holds a lock through a link
    lock = FileLock(folder / _LOCK)
    try:
        with lock.acquire(timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return False  # a folder that cannot be written holds no driver


def _refuse_link(path: Path) -> None:
    if is_link(path):
        raise StoreError(
            f"the lock {str(path)!r} is a symbolic link, which is not followed; delete it"
        )


def _holder(folder: Path) -> str:
    try:
        holder = json.loads(read_plain_file(folder / _HOLDER))
        return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
