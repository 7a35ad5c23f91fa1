"""A store on a network file system gets a warning that says why."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from sweep.store import network_warning


@pytest.fixture
def mounted(monkeypatch):
    def mount(*places: tuple[Path | str, str]) -> None:
        found = [SimpleNamespace(mountpoint=str(place), fstype=kind) for place, kind in places]
        monkeypatch.setattr(psutil, "disk_partitions", lambda **_: found)

    return mount


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "lustre"])
def test_network_file_systems_are_warned_of(tmp_path, mounted, kind):
    mounted(("/", "ext4"), (tmp_path, kind))
    warning = network_warning(tmp_path / "studies.db")
    assert warning is not None
    for words in (f"network file system ({kind})", "two drivers", "crash", "local disk"):
        assert words in warning


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "apfs", "tmpfs", "overlay", "ntfs"])
def test_local_ones_are_not(tmp_path, mounted, kind):
    mounted(("/", kind))
    assert network_warning(tmp_path / "studies.db") is None


def test_the_innermost_place_counts_and_of_two_the_later(tmp_path, mounted):
    path = tmp_path / "a" / "studies.db"
    mounted((tmp_path / "a", "ext4"), ("/", "nfs"), (f"{tmp_path}/ab", "nfs"))
    assert network_warning(path) is None
    mounted((tmp_path, "ext4"), (tmp_path, "nfs"))
    assert network_warning(path) is not None


def test_where_it_cannot_be_told_there_is_no_warning(tmp_path, mounted, monkeypatch):
    mounted()
    assert network_warning(tmp_path) is None

    def fail(**_):
        raise PermissionError

    monkeypatch.setattr(psutil, "disk_partitions", fail)
    assert network_warning(tmp_path) is None
