"""A folder that appears whole or not at all, and replaces nothing but an earlier one like it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from sweep.errors import InputError, SweepFailedError

__all__ = ["DESCRIPTION", "digests", "whole_folder"]

DESCRIPTION = "model.json"
"""The file that names the others, with their digests, under `files`."""

_MADE_BY_PYTHON = "__pycache__"


@contextmanager
def whole_folder(folder: str) -> Iterator[Path]:
    """An empty folder to fill, which takes the place of `folder` unless an error is raised.

    Raises:
        InputError: the folder cannot be made, or holds something else than an unchanged export.
        SweepFailedError: a file cannot be written.
    """
    place = Path(os.path.realpath(folder))
    if not place.name:
        raise InputError(f"the export cannot be written to {folder!r}; name a folder with --out")
    new, old = (place.with_name(f".{place.name[:99]}-{token_hex(4)}.tmp") for _ in range(2))
    try:
        _require_replaceable(place, folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        new.mkdir()
    except OSError as error:
        raise InputError(
            f"the export cannot be written to {folder!r}: {error.strerror} ({error.filename}); "
            "name another folder with --out"
        ) from None
    try:
        yield new
        with suppress(FileNotFoundError):
            place.rename(old)
        new.rename(place)
    except OSError as error:
        raise SweepFailedError(
            f"the export cannot be written to {folder!r}: {error.strerror} ({error.filename}); "
            "make room or name another folder with --out"
        ) from None
    finally:
        if old.exists() and not place.exists():
            old.rename(place)
        for each in (new, old):
            shutil.rmtree(each, ignore_errors=True)


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of a folder, by name, without the description."""
    names = sorted(file.name for file in folder.iterdir())
    return {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in names
        if name not in (DESCRIPTION, _MADE_BY_PYTHON)
    }


def _require_replaceable(place: Path, folder: str) -> None:
    try:
        place.lstat()
    except FileNotFoundError:
        return
    if not place.is_dir():
        raise InputError(
            f"the export cannot be written to {folder!r}, which is a file; name a folder with --out"
        )
    if Path.cwd().is_relative_to(place):  # whose shell would be left in a folder that is gone
        raise InputError(
            f"the export cannot be written to {folder!r}, as this command runs in it; name another "
            "folder with --out"
        )
    if not any(place.iterdir()):
        return
    try:
        is_ours = json.loads((place / DESCRIPTION).read_bytes())["files"] == digests(place)
    except (OSError, ValueError, KeyError, TypeError):
        is_ours = False
    if not is_ours:
        raise InputError(
            f"the folder {folder!r} holds something else than an earlier export, or one that was "
            "changed since; name another folder with --out"
        )
