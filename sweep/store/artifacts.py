"""Files beside the store: `studies.db` → `studies.artifacts/STUDY/trial-00012.safetensors`.

Weights of the best trials, and checkpoints of trials under way. A file is on disk, name and all,
before the store names it, and it is deleted only after the store has ceased to.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from sweep.errors import StoreError

__all__ = [
    "artifacts_folder",
    "artifacts_root",
    "checkpoint_file",
    "checkpoint_files",
    "delete_files",
    "read_file",
    "weights_file",
    "weights_files",
    "write_file",
]


def artifacts_root(database: Path) -> Path:
    """The folder beside a store. Stores that differ in their ending have folders that differ."""
    if database.suffix == ".db":
        return database.with_suffix(".artifacts")
    ending = ".artifacts" if database.suffix else ".db.artifacts"
    return database.with_name(database.name + ending)


def artifacts_folder(database: Path, study: str) -> Path:
    """The folder of one study.

    Raises:
        StoreError: the study's name, which may come from a stranger's store, leaves the folder.
    """
    if study in ("", ".", "..") or any(character in study for character in "/\\\0"):
        raise StoreError(f"a study cannot be named {study!r}")
    return artifacts_root(database) / study


def weights_file(folder: Path, trial: int) -> Path:
    """Where a trial's best weights are."""
    return folder / f"trial-{trial:05d}.safetensors"


def weights_files(folder: Path) -> Iterator[Path]:
    """All weights of a study."""
    return folder.glob("trial-*.safetensors")


def checkpoint_file(folder: Path, trial: int, sha256: str) -> Path:
    """Where a checkpoint is: named by its content, so that a new one never replaces an old one."""
    return folder / f"checkpoint-{trial:05d}-{sha256[:16]}.safetensors"


def checkpoint_files(folder: Path, trial: int | None = None) -> Iterator[Path]:
    """All checkpoints of a study, or of one trial."""
    number = "*" if trial is None else f"{trial:05d}"
    return folder.glob(f"checkpoint-{number}-*.safetensors")


def write_file(path: Path, content: bytes) -> None:
    """Write a file so that a crash leaves the old one or the new one, and neither in part.

    It is on disk when this returns, name and all.

    Raises:
        OSError: it cannot be written; nothing of it is left.
    """
    temporary = path.with_suffix(".tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    _sync_names(path.parent)


def read_file(path: Path, sha256: str) -> bytes | None:
    """A file's content, or None if it is missing or not the recorded one."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return content if hashlib.sha256(content).hexdigest() == sha256 else None


def delete_files(files: Iterator[Path], *, keep: Collection[Path] = ()) -> None:
    """Delete all of these files but some."""
    for file in files:
        if file not in keep:
            file.unlink(missing_ok=True)


def _sync_names(folder: Path) -> None:
    """Wait until the names in a folder are on disk, where a folder can be opened (not Windows)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
