"""A full disk ends the sweep with one line and a whole store; with room, a resume continues."""

from __future__ import annotations

import pytest
from full_disks import (
    DOCTOR,
    RESUME,
    RUN,
    SHOW,
    URL,
    SmallDisk,
    assert_finished,
    assert_whole,
    can_mount,
    problem_of,
    write_space,
)
from helpers import HERE, run_cli, sqlite_url
from killing import start_driver

import sweep
from sweep.runner import sweeps
from sweep.store import Store

needs_mount = pytest.mark.skipif(not can_mount(), reason="users cannot mount file systems here")


@pytest.fixture
def folder(tmp_path):
    write_space(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_a_limit_on_files_ends_the_sweep_and_a_resume_finishes_it(folder):
    (folder / "disk").mkdir()
    with start_driver(folder, *RUN, limit=128 * 1024) as limited:
        _, errors = limited.communicate()
    assert limited.returncode == 1
    problem = problem_of(errors)
    assert "make room; what was finished is in the store. Next: sweep resume small" in problem
    assert_whole(folder / "disk" / "studies.db")
    assert run_cli(*DOCTOR, cwd=folder).returncode == 0
    assert run_cli(*RESUME, cwd=folder).returncode == 0
    assert_finished(run_cli(*SHOW, cwd=folder).stdout)


@pytest.mark.slow
@needs_mount
def test_a_disk_that_fills_up_ends_the_sweep_and_a_resume_finishes_it(folder):
    with SmallDisk(folder, "176k") as disk:
        run = disk.run(*RUN)
        assert run.returncode == 1
        problem = problem_of(run.stderr)
        assert "the disk is full" in problem
        assert problem.endswith(f"Next: sweep resume small --storage {URL}")
        doctor = disk.run(*DOCTOR)
        assert doctor.returncode == 0
        assert "integrity check: ok" in doctor.stdout
        disk.make_room()
        assert disk.run(*RESUME).returncode == 0
        assert_finished(disk.run(*SHOW).stdout)
    assert_whole(folder / "kept" / "studies.db")


@needs_mount
@pytest.mark.slow
def test_a_disk_that_is_full_from_the_start_leaves_no_half_made_study(folder):
    with SmallDisk(folder, "64k") as disk:
        first = disk.run(*RUN)
        assert first.returncode == 1
        assert "the disk is full" in problem_of(first.stderr)
        disk.make_room()
        assert disk.run(*RUN).returncode == 0
        assert_finished(disk.run(*SHOW).stdout)


@pytest.mark.slow
@needs_mount
def test_a_report_on_a_full_disk_is_one_line(folder, finished):
    report = ("report", "small", "--out", "disk/report", "--storage", finished)
    with SmallDisk(folder, "40k") as disk:
        full = disk.run(*report)
        assert full.returncode == 1
        problem = problem_of(full.stderr)
        assert "cannot be written to 'disk/report': No space left on device" in problem
        assert "; not written: " in problem
        disk.make_room()
        assert disk.run(*report).returncode == 0
    assert (folder / "kept" / "report" / "report.html").stat().st_size > 10_000


@pytest.mark.parametrize("place", ["lock.FileLock.acquire", "database.Database._open"])
def test_a_disk_that_is_full_before_the_study_is_made_is_no_bad_input(folder, monkeypatch, place):
    def fail(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"sweep.store.{place}", fail)
    with pytest.raises(sweep.SweepFailedError, match="the disk is full"):
        sweep.run(folder / "space.yaml", storage=sqlite_url(folder), **HERE)


def test_a_study_whose_making_fails_is_not_there(folder, monkeypatch):
    def fail(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(sweeps.Store, "write_study", fail)
        with pytest.raises(sweep.SweepFailedError, match="the disk is full"):
            sweep.run(folder / "space.yaml", storage=sqlite_url(folder), **HERE)
    assert not Store(sqlite_url(folder), to_write=False).has_study("small")
