"""A file beside the store is on disk, name and all, before the store names it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sweep.store.artifacts import write_file


def test_a_file_is_on_disk_before_it_has_its_name_and_its_name_before_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system is asked for it, in this order; that it obeys cannot be seen from here."""
    content, happened = bytes(range(256)) * 1000, []
    sync, replace = os.fsync, Path.replace

    def watch_sync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        happened.append(("sync", path.name, path.stat().st_size if path.is_file() else None))
        sync(descriptor)

    def watch_replace(path: Path, target: Path) -> Path:
        happened.append(("rename", path.name, target.name))
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", watch_sync)
    monkeypatch.setattr(Path, "replace", watch_replace)
    write_file(tmp_path / "weights.safetensors", content)
    assert happened == [
        ("sync", "weights.tmp", len(content)),
        ("rename", "weights.tmp", "weights.safetensors"),
        ("sync", tmp_path.name, None),
    ]
    assert (tmp_path / "weights.safetensors").read_bytes() == content
