"""Decoded images on disk, so that workers and later commands need not decode them again.

An entry is a folder named after its content, with a file of bytes for each array and a description
with their digests. The file `trees/SIGNATURE` names the entry of a folder of images that looks as
it did when it was read. What is damaged or half written counts as missing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "MAX_BYTES",
    "CacheState",
    "Entry",
    "bytes_words",
    "cache_folder",
    "cache_state",
    "find",
    "load",
    "remember",
    "store",
    "write_whole",
]

MAX_BYTES = 10 * 2**30
"""The most that all entries take together; those that were used least recently make way."""

_DESCRIPTION = "entry.json"
_UNFINISHED = ".tmp"
_DAY_SECONDS = 86_400  # after which what was not finished never will be


@dataclass(frozen=True, slots=True)
class Entry:
    """Arrays of bytes, read from disk when they are used, and what is known about them."""

    facts: dict[str, Any]
    arrays: dict[str, NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class CacheState:
    """What the cache holds; `problem` says why it cannot be used, and is empty if it can."""

    folder: str
    num_entries: int
    num_bytes: int
    max_bytes: int
    problem: str


def cache_folder() -> Path:
    """`$SWEEP_CACHE_DIR`, else `sweep` in `$XDG_CACHE_HOME` or `~/.cache`."""
    own = os.environ.get("SWEEP_CACHE_DIR")
    home = os.environ.get("XDG_CACHE_HOME", "")
    folder = own or os.path.join(home if os.path.isabs(home) else "~/.cache", "sweep")  # noqa: PTH117, PTH118
    return Path(os.path.expanduser(folder))  # noqa: PTH111 - that of `Path` may raise


def cache_state() -> CacheState:
    """Examine the cache; changes nothing."""
    folder = cache_folder()
    nearest = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    can_write = nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
    entries = _entries()
    return CacheState(
        str(folder),
        sum(entry.suffix != _UNFINISHED for entry in entries),
        sum(map(_num_bytes, entries)),
        MAX_BYTES,
        "" if can_write else f"{str(nearest)!r} cannot be written",
    )


def find(signature: str, names: Iterable[str]) -> Entry | None:
    """The entry of a folder of images that looks as it did; None if it was not read before."""
    try:
        key = (cache_folder() / "trees" / signature).read_text("ascii")
    except (OSError, ValueError):
        return None
    return load(key, names)


def remember(signature: str, key: str) -> None:
    """Say which entry is that of a folder of images that looks like this."""
    with contextlib.suppress(OSError):
        write_whole(cache_folder() / "trees" / signature, key.encode())


def load(key: str, names: Iterable[str]) -> Entry | None:
    """An entry with those of the named arrays that it has; None if it is missing or damaged."""
    folder = cache_folder() / "entries" / key
    try:
        digest, text = (folder / _DESCRIPTION).read_bytes().split(b"\n", 1)
        if _digest(text) != digest.decode():
            return None
        description = json.loads(text)
        arrays = {}
        for name in names:
            if name in description["arrays"]:
                shape, expected = description["arrays"][name]
                arrays[name] = np.asarray(
                    np.memmap(folder / f"{name}.bytes", np.uint8, mode="r", shape=tuple(shape))
                )
                if _digest(arrays[name]) != expected:
                    return None
    except (OSError, ValueError):
        return None
    with contextlib.suppress(OSError):
        os.utime(folder / _DESCRIPTION)  # used just now
    return Entry(description["facts"], arrays)


def store(key: str, entry: Entry) -> str:
    """Keep an entry; returns why that is impossible, or an empty text.

    Several processes may do so at once: the entry is made beside its place, then moved.
    """
    num_bytes = sum(array.nbytes for array in entry.arrays.values())
    if num_bytes > MAX_BYTES:
        most = bytes_words(MAX_BYTES)
        return f"they take {bytes_words(num_bytes)}, more than the cache may, {most}"
    folder = cache_folder() / "entries"
    unfinished = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _make_room(num_bytes)
        unfinished = Path(tempfile.mkdtemp(_UNFINISHED, f"{key}.", folder))
        for name, array in entry.arrays.items():
            np.ascontiguousarray(array).tofile(unfinished / f"{name}.bytes")
        arrays = {name: (array.shape, _digest(array)) for name, array in entry.arrays.items()}
        text = json.dumps({"facts": entry.facts, "arrays": arrays}).encode()
        (unfinished / _DESCRIPTION).write_bytes(_digest(text).encode() + b"\n" + text)
        shutil.rmtree(folder / key, ignore_errors=True)  # it is damaged, or another process made it
        unfinished.rename(folder / key)
    except OSError as error:
        if unfinished is not None:
            shutil.rmtree(unfinished, ignore_errors=True)
        if not (folder / key / _DESCRIPTION).exists():  # no other process was faster
            return f"{str(cache_folder())!r} cannot be written: {error.strerror or error}"
    return ""


def bytes_words(num_bytes: int) -> str:
    """`10.0 GiB`, `45.0 MiB`."""
    unit, size = ("GiB", 2**30) if num_bytes >= 2**30 else ("MiB", 2**20)
    return f"{num_bytes / size:.1f} {unit}"


def _make_room(num_bytes: int) -> None:
    """Delete the entries that were used least recently, and what points to no entry."""
    kept = 0
    for entry in sorted(_entries(), key=_used_at, reverse=True):
        kept += _num_bytes(entry)
        is_stale = entry.suffix == _UNFINISHED and time.time() - _used_at(entry) > _DAY_SECONDS
        if is_stale or kept + num_bytes > MAX_BYTES:
            shutil.rmtree(entry, ignore_errors=True)
    trees = cache_folder() / "trees"
    for tree in _listed(trees):
        with contextlib.suppress(OSError, ValueError):
            if not (cache_folder() / "entries" / tree.read_text("ascii")).exists():
                tree.unlink()


def _entries() -> list[Path]:
    return _listed(cache_folder() / "entries")


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _used_at(entry: Path) -> float:
    for path in (entry / _DESCRIPTION, entry):
        with contextlib.suppress(OSError):
            return path.stat().st_mtime
    return 0.0


def _num_bytes(entry: Path) -> int:
    total = 0
    for file in _listed(entry):
        with contextlib.suppress(OSError):  # another process may have deleted it
            total += file.stat().st_size
    return total


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        file = Path(folder) / path.name
        file.write_bytes(content)
        file.replace(path)


def _digest(content: Any) -> str:
    """SHA-256 of bytes, or of an array of them."""
    return hashlib.sha256(content).hexdigest()
