"""Weights beside the store: `studies.db` → `studies.artifacts/STUDY/trial-00012.safetensors`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from pathlib import Path

from sweep.errors import StoreError

__all__ = ["artifacts_folder", "artifacts_root", "keep_weights", "read_weights", "write_weights"]


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


def write_weights(folder: Path, trial: int, weights: bytes) -> str:
    """Write a trial's weights so that a crash leaves the old file or the new one.

    They are on disk when this returns, name and all: the store may then name them.

    Returns:
        The SHA-256 of the file.
    """
    target = _file(folder, trial)
    temporary = target.with_suffix(".tmp")
    folder.mkdir(parents=True, exist_ok=True)
    with temporary.open("wb") as file:
        file.write(weights)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(target)
    _sync_names(folder)
    return hashlib.sha256(weights).hexdigest()


def read_weights(folder: Path, trial: int, sha256: str) -> bytes | None:
    """A trial's weights as a safetensors file, or None if they are missing or not the recorded."""
    try:
        weights = _file(folder, trial).read_bytes()
    except OSError:
        return None
    return weights if hashlib.sha256(weights).hexdigest() == sha256 else None


def keep_weights(folder: Path, trials: Collection[int]) -> None:
    """Delete the weights of all other trials."""
    kept = {_file(folder, trial).name for trial in trials}
    for file in folder.glob("trial-*.safetensors"):
        if file.name not in kept:
            file.unlink(missing_ok=True)


def _sync_names(folder: Path) -> None:
    """Wait until the names in a folder are on disk, where a folder can be opened (not Windows)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _file(folder: Path, trial: int) -> Path:
    return folder / f"trial-{trial:05d}.safetensors"
