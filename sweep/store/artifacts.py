"""Files beside the store: `studies.db` → `studies.artifacts/STUDY/trial-00012.safetensors`.

A file is on disk, name and all, before the store names it, and is deleted only once the store no
longer names it. Store and folder may be untrusted: nothing outside the folder is read or
written, and no symbolic link in it is followed. Only the folder of all studies may be a link.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from glob import escape
from pathlib import Path
from secrets import token_hex
from typing import IO

from sweep.errors import StoreError

__all__ = [
    "artifacts_folder",
    "artifacts_root",
    "checkpoint_file",
    "checkpoint_files",
    "delete_files",
    "delete_folder",
    "is_link",
    "open_plain_file",
    "orphaned_folders",
    "read_file",
    "read_plain_file",
    "stray_files",
    "weights_file",
    "weights_files",
    "write_file",
    "write_plain_file",
    "write_shared_file",
]

# Windows lacks the first two, other systems the third.
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # a pipe in place of a file would wait for its other end
_BINARY = getattr(os, "O_BINARY", 0)


def artifacts_root(database: Path) -> Path:
    """The folder beside a store; `x.db` and `x.sqlite` have different ones."""
    if database.suffix == ".db":
        return database.with_suffix(".artifacts")
    ending = ".artifacts" if database.suffix else ".db.artifacts"
    return database.with_name(database.name + ending)


def artifacts_folder(database: Path, study: str) -> Path:
    """The folder of one study.

    Raises:
        StoreError: the study's name would leave the folder, or the folder is a link.
    """
    if study in ("", ".", "..") or any(character in study for character in "/\\\0"):
        raise StoreError(f"a study cannot be named {study!r}")
    folder = artifacts_root(database) / study
    if is_link(folder):
        raise StoreError(
            f"the study's folder {str(folder)!r} is a symbolic link, which is not followed; put a "
            "folder in its place, or link the folder of all studies, "
            f"{str(folder.parent)!r}, instead"
        )
    return folder


def orphaned_folders(database: Path, study: str) -> list[Path]:
    """Folders of a study of this name beside the store whose own stores are gone.

    They are a renamed store's, unless another one was deleted.
    """
    root = artifacts_root(database)
    found = []
    for folder in root.parent.glob(f"*.artifacts/{escape(study)}"):
        name = folder.parent.name.removesuffix(".artifacts")
        stores = (root.with_name(name), root.with_name(f"{name}.db"))
        if folder.parent != root and not any(store.is_file() for store in stores):
            found.append(folder)
    return sorted(found)


def is_link(path: Path) -> bool:
    """Whether a path is a symbolic link."""
    try:
        return path.is_symlink()
    except OSError:
        return False  # the name is not valid


def weights_file(folder: Path, trial: int) -> Path:
    """The file of a trial's best weights."""
    return folder / f"trial-{trial:05d}.safetensors"


def weights_files(folder: Path) -> Iterator[Path]:
    """All weights of a study."""
    return folder.glob("trial-*.safetensors")


def checkpoint_file(folder: Path, trial: int, sha256: str) -> Path:
    """A checkpoint's file, named by its content so that a new one never replaces an old one."""
    return folder / f"checkpoint-{trial:05d}-{sha256[:16]}.safetensors"


def checkpoint_files(folder: Path, trial: int | None = None) -> Iterator[Path]:
    """All checkpoints of a study, or of one trial."""
    number = "*" if trial is None else f"{trial:05d}"
    return folder.glob(f"checkpoint-{number}-*.safetensors")


def stray_files(folder: Path) -> Iterator[Path]:
    """Files that a driver had written in part when it died."""
    return folder.glob("*.tmp")


def write_file(path: Path, content: bytes) -> None:
    """Write a file atomically; on disk, name and all, on return, and gone after an `OSError`."""
    _write_by(path, path.with_suffix(".tmp"), lambda file: file.write(content))


def write_shared_file(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Likewise by a function, where several processes may write equal files at the same time."""
    _write_by(path, path.with_name(f"{path.stem}-{token_hex(8)}.tmp"), write)


def _write_by(path: Path, temporary: Path, write: Callable[[IO[bytes]], object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _write_plain(temporary, write)
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _sync_names(path.parent)


def write_plain_file(path: Path, content: bytes) -> None:
    """Replace a file without following a link."""
    _write_plain(path, lambda file: file.write(content))


def _write_plain(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    path.unlink(missing_ok=True)  # removes a link itself, not its target
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW | _BINARY
    with os.fdopen(os.open(path, flags, 0o666), "wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())


def read_file(path: Path, sha256: str) -> bytes | None:
    """The content with this digest, or None if neither the file nor a copy of it has it.

    A store that was renamed or copied finds what stayed in the folder of another one beside it.
    """
    study, beside = path.parent, path.parents[2]
    others = beside.glob(f"*.artifacts/{escape(study.name)}/{path.name}")
    for file in itertools.chain([path], (f for f in others if not is_link(f.parent))):
        with suppress(OSError):
            content = read_plain_file(file)
            if hashlib.sha256(content).hexdigest() == sha256:
                return content
    return None


def read_plain_file(path: Path) -> bytes:
    """A file's content; raises an `OSError` if it is missing or not a regular file."""
    with os.fdopen(open_plain_file(path), "rb") as file:
        return file.read()


def open_plain_file(path: Path) -> int:
    """A descriptor for reading; raises an `OSError` if it is missing or not a regular file."""
    if is_link(path):
        raise OSError(f"{str(path)!r} is a symbolic link")
    descriptor = os.open(path, os.O_RDONLY | _NO_FOLLOW | _NO_WAIT | _BINARY)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{str(path)!r} is not a regular file")
    return descriptor


def delete_files(files: Iterator[Path], *, keep: Collection[Path] = ()) -> None:
    """Delete all of these files except those to keep. Folders stay."""
    for file in list(files):
        if file not in keep and (is_link(file) or not file.is_dir()):
            file.unlink(missing_ok=True)


def delete_folder(folder: Path) -> None:
    """Delete a study's folder, which may be missing. Links in it are deleted, not followed."""
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)


def _sync_names(folder: Path) -> None:
    """Wait until the names in a folder are on disk, where a folder can be opened (not Windows)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
