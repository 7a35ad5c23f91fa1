"""Arrays that Python gave: `studies.db` → `studies.artifacts/.data/SHA-256.npz`.

A file is named by its content, and studies share it. It is on disk before a study names it, and is
deleted once no study does; the folder's lock is held meanwhile. No study's name begins with a dot.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sweep.data.arrays import GivenArrays, has_content, write_arrays
from sweep.space import KEPT
from sweep.store.artifacts import is_link, write_shared_file

__all__ = ["data_folder", "find_file", "kept_files", "named_arrays", "own_file", "write_kept"]

_FOLDER = ".data"
_SHA256 = re.compile(r"[0-9a-f]{64}")


def data_folder(root: Path) -> Path:
    """The folder in that of all studies."""
    return root / _FOLDER


def own_file(root: Path, sha256: str) -> Path:
    """Where the folder keeps these arrays."""
    return data_folder(root) / f"{sha256}.npz"


def find_file(root: Path, sha256: str) -> Path:
    """The file of these arrays, which may be missing.

    A store that was renamed or copied finds it in the folder of another one beside it.
    """
    own = own_file(root, sha256)
    others = sorted(root.parent.glob(f"*.artifacts/{_FOLDER}/{own.name}"))
    files = (file for file in (own, *others) if not (is_link(file) or is_link(file.parent)))
    return next((file for file in files if file.is_file()), own)


def kept_files(root: Path) -> Iterator[Path]:
    """All files of arrays."""
    return (file for file in data_folder(root).glob("*.npz") if _SHA256.fullmatch(file.stem))


def named_arrays(space: Mapping[str, Any]) -> str | None:
    """SHA-256 of the arrays that a recorded search space names; None for other data."""
    dataset = space.get("dataset")
    named = dataset.get("arrays") if isinstance(dataset, dict) else None
    if not isinstance(named, str) or not named.startswith(KEPT):
        return None
    sha256 = named.removeprefix(KEPT)
    return sha256 if _SHA256.fullmatch(sha256) else None


def write_kept(root: Path, given: GivenArrays) -> None:
    """Keep arrays, unless their file is there and whole."""
    file = own_file(root, given.sha256)
    if not has_content(file, given.sha256):
        write_shared_file(file, lambda opened: write_arrays(opened, given.arrays))
