"""Disks of many sizes, each full at another moment of a sweep."""

from __future__ import annotations

import shlex

import pytest
from full_disks import WORK, assert_finished, assert_whole, can_mount, on_small_disk, write_space

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not can_mount(), reason="no file systems of one's own here"),
]


@pytest.mark.parametrize("size", [f"{kib}k" for kib in range(8, 320, 12)])
def test_a_disk_of_any_size_leaves_a_whole_store_and_a_study_that_goes_on(tmp_path, size):
    write_space(tmp_path)
    run = shlex.join(["run", "space.yaml", *WORK])
    show = shlex.join(["show", "small", "--json", *WORK[:2]])
    first, doctor, again, shown = on_small_disk(
        tmp_path, size, run, "doctor disk/studies.db", "room", run, show
    )
    assert first.returncode in (0, 1, 2)
    assert "Traceback" not in first.stderr
    assert first.returncode == 0 or "make room" in first.stderr or "No space" in first.stderr
    assert doctor.returncode in (0, 2)  # 2: not even the file could be made
    assert again.returncode == 0
    assert_finished(shown.stdout)
    assert_whole(tmp_path / "kept" / "studies.db")
