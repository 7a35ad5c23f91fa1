"""A store on a network file system gets a warning that says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.store import lock, network_warning


@pytest.fixture
def mounted(monkeypatch, tmp_path_factory):
    mounts = tmp_path_factory.mktemp("proc") / "mounts"
    monkeypatch.setattr(lock, "_MOUNTS", mounts)

    def mount(*places: tuple[Path | str, str]) -> None:
        escaped = [(str(place).replace(" ", r"\040"), kind) for place, kind in places]
        lines = [f"device {place} {kind} rw 0 0\n" for place, kind in escaped]
        mounts.write_text("".join(lines))

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


def test_a_place_with_a_space_is_found(tmp_path, mounted):
    mounted(("/", "ext4"), (tmp_path / "my data", "nfs"))
    assert network_warning(tmp_path / "my data" / "studies.db") is not None
    assert network_warning(tmp_path / "my" / "studies.db") is None


def test_there_is_no_warning_where_the_file_system_is_unknown(tmp_path, mounted):
    assert network_warning(tmp_path) is None  # no list of mounts: not Linux
    mounted()
    assert network_warning(tmp_path) is None


@pytest.mark.skipif(not lock._MOUNTS.exists(), reason="needs Linux")
def test_the_list_of_mounts_of_this_machine_is_understood():
    assert lock._file_system(Path("/proc/self")) == "proc"


def test_the_folder_of_the_locks_may_be_elsewhere(tmp_path, mounted):
    mounted(("/", "ext4"), (tmp_path / "server", "nfs4"), (tmp_path / "a.artifacts", "cifs"))
    (tmp_path / "b.artifacts").symlink_to(tmp_path / "server")
    for name, kind in (("a", "cifs"), ("b", "nfs4")):
        warning = network_warning(tmp_path / f"{name}.db")
        assert warning is not None
        place = str(tmp_path / f"{name}.artifacts")
        assert f"the store's folder {place!r} is on a network file system ({kind})" in warning
    assert network_warning(tmp_path / "c.db") is None
