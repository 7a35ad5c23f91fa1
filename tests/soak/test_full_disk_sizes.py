"""Disks of many sizes, each full at a different moment of a sweep."""

from __future__ import annotations

import pytest
from full_disks import (
    DOCTOR,
    RUN,
    SHOW,
    SmallDisk,
    assert_finished,
    assert_whole,
    can_mount,
    write_space,
)

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not can_mount(), reason="users cannot mount file systems here"),
]


@pytest.mark.parametrize("size", [f"{kib}k" for kib in (4, *range(8, 320, 12))])
def test_a_disk_of_any_size_leaves_a_whole_store_and_a_study_that_goes_on(tmp_path, size):
    write_space(tmp_path)
    with SmallDisk(tmp_path, size) as disk:
        first = disk.run(*RUN)
        assert first.returncode in (0, 1, 2)
        assert "Traceback" not in first.stderr
        assert first.returncode == 0 or "make room" in first.stderr or "No space" in first.stderr
        assert disk.run(*DOCTOR).returncode in (0, 2)  # 2: not even the file could be created
        disk.make_room()
        assert disk.run(*RUN).returncode == 0
        assert_finished(disk.run(*SHOW).stdout)
    assert_whole(tmp_path / "kept" / "studies.db")
