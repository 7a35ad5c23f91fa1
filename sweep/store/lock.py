"""One driver per study, by a lock that the operating system releases when its holder dies.

On network file systems such locks are unreliable, which a warning says.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from sweep.errors import StoreError, StudyLockedError
from sweep.store.artifacts import (
    artifacts_root,
    is_link,
    open_plain_file,
    read_plain_file,
    write_plain_file,
)
from sweep.store.diagnosis import is_full

__all__ = ["is_locked", "making_lock", "network_warning", "study_lock"]

_LOCK = "driver.lock"
_HOLDER = "driver.json"
_MAKING = "making.lock"
_MOUNTS = Path("/proc/self/mounts")
_PATIENCE_SECONDS = 0.5  # `is_locked` of another process shares the lock for an instant

_NETWORK = {
    "9p", "acfs", "afs", "afpfs", "beegfs", "ceph", "cifs", "coda", "davfs", "drvfs", "gfs", "gfs2",
    "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "panfs", "pvfs2",
    "smb", "smb2", "smb3", "smbfs", "vboxsf", "virtiofs", "webdav",
    "fuse.ceph", "fuse.ceph-fuse", "fuse.davfs2", "fuse.gcsfuse", "fuse.glusterfs",
    "fuse.juicefs", "fuse.mfs", "fuse.rclone", "fuse.s3fs", "fuse.smbnetfs", "fuse.sshfs",
}  # fmt: skip


@contextmanager
def study_lock(folder: Path, study: str) -> Iterator[None]:
    """Hold a study, whose folder is created if missing.

    Raises:
        StudyLockedError: another driver holds the study.
        StoreError: the folder cannot be written, or the lock's file is a link.
        OSError: the disk is full.
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
        if is_full(error):
            raise
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
    """Hold a store while its tables are created; waits for another process that creates them.

    Raises:
        OSError | StoreError: the folder cannot be written, or the lock's file is a link.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _refuse_link(folder / _MAKING)
    with FileLock(folder / _MAKING):
        yield


def is_locked(folder: Path) -> bool:
    """Whether a driver holds the study now. Any number of processes may ask at the same time."""
    try:
        descriptor = open_plain_file(folder / _LOCK)
    except OSError:
        return False  # there is none, and no driver locks through a link
    with os.fdopen(descriptor):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return isinstance(error, BlockingIOError)
        return False


def network_warning(path: Path) -> str | None:
    """A warning if a store, or its folder with the locks, is on a network file system.

    Neither need exist yet, and the folder may be a link or a mount of its own.
    """
    places = {"store": path, "store's folder": artifacts_root(Path(os.path.realpath(path)))}
    for what, place in places.items():
        kind = _file_system(place)
        if kind in _NETWORK:
            return (
                f"the {what} {str(place)!r} is on a network file system ({kind}), where locks and "
                "writes are often unreliable: two drivers could work on one study at the same "
                "time, and a crash could damage the file; put the store on a local disk with "
                "--storage and copy it when the sweep is done"
            )
    return None


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


def _file_system(path: Path) -> str | None:
    """The type of the file system that holds a path; None if unknown, as on other than Linux."""
    try:
        where = path.resolve()
        lines = os.fsdecode(_MOUNTS.read_bytes()).split("\n")
    except (OSError, RuntimeError, ValueError):
        return None
    found, depth = None, 0
    for _, place, kind, *_ in (line.split(" ") for line in lines if line):
        mount = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), place))
        # Of two mounted in one place the later one is seen.
        if where.is_relative_to(mount) and len(mount.parts) >= depth:
            found, depth = kind.lower(), len(mount.parts)
    return found
