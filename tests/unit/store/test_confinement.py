"""Nothing outside of a study's folder is read or written, whatever lies in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from helpers import sqlite_url

from sweep.errors import StoreError
from sweep.store import Store
from sweep.store.artifacts import artifacts_folder, read_plain_file, write_file
from sweep.store.lock import is_locked, making_lock, study_lock


@pytest.fixture
def canary(tmp_path) -> Path:
    """A file outside of the store's folder, which nobody may touch."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "canary").write_bytes(b"alive")
    return outside / "canary"


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "studies.artifacts" / "small"
    folder.mkdir(parents=True)
    return folder


def test_a_study_folder_that_is_a_link_is_refused(tmp_path, canary):
    (tmp_path / "studies.artifacts").mkdir()
    (tmp_path / "studies.artifacts" / "small").symlink_to(canary.parent)
    store = Store(sqlite_url(tmp_path), to_write=True)
    with pytest.raises(StoreError, match="is a symbolic link, which is not followed"):
        store.lock("small").__enter__()
    assert [path.name for path in canary.parent.iterdir()] == ["canary"]


def test_the_folder_of_all_studies_may_be_a_link_of_its_owner(tmp_path, canary):
    (tmp_path / "studies.artifacts").symlink_to(canary.parent)
    with Store(sqlite_url(tmp_path), to_write=True).lock("small"):
        assert (canary.parent / "small" / "driver.lock").exists()


@pytest.mark.parametrize("name", ["trial-00000.safetensors", "trial-00000.tmp"])
def test_a_link_in_place_of_a_file_is_replaced_and_not_written_through(folder, canary, name):
    (folder / name).symlink_to(canary)
    write_file(folder / "trial-00000.safetensors", b"weights")
    assert canary.read_bytes() == b"alive"
    assert read_plain_file(folder / "trial-00000.safetensors") == b"weights"
    assert not (folder / "trial-00000.safetensors").is_symlink()


def test_a_link_is_not_read_through(folder, canary):
    (folder / "trial-00000.safetensors").symlink_to(canary)
    with pytest.raises(OSError, match="symbolic link"):
        read_plain_file(folder / "trial-00000.safetensors")


def test_a_pipe_is_not_waited_for(folder):
    os.mkfifo(folder / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        read_plain_file(folder / "pipe")


def test_a_lock_through_a_link_is_refused(folder, canary):
    (folder / "driver.lock").symlink_to(canary)
    assert not is_locked(folder)
    with pytest.raises(StoreError, match="is a symbolic link"):
        study_lock(folder, "small").__enter__()
    (folder / "making.lock").symlink_to(canary)
    with pytest.raises(StoreError, match="is a symbolic link"):
        making_lock(folder).__enter__()
    assert canary.read_bytes() == b"alive"


def test_who_holds_a_study_is_not_written_through_a_link(folder, canary):
    (folder / "driver.json").symlink_to(canary)
    with study_lock(folder, "small"):
        assert not (folder / "driver.json").is_symlink()
    assert canary.read_bytes() == b"alive"


def test_a_name_with_a_newline_stays_one_name(tmp_path):
    assert artifacts_folder(tmp_path / "studies.db", "a\nb").name == "a\nb"
