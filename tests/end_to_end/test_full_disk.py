"""A full disk ends the sweep with one line and an undamaged store; with room it goes on."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from full_disks import (
    URL,
    WORK,
    assert_finished,
    assert_whole,
    can_mount,
    limit_files,
    on_small_disk,
    problem_of,
    write_space,
)
from helpers import cli_environment, command, run_cli, sqlite_url

from sweep.store import Store

RUN = shlex.join(["run", "space.yaml", *WORK])
RESUME = shlex.join(["resume", "small", *WORK])
SHOW = shlex.join(["show", "small", "--json", "--storage", URL])
DOCTOR = "doctor disk/studies.db"

needs_mount = pytest.mark.skipif(not can_mount(), reason="no file systems of one's own here")


@pytest.fixture
def folder(tmp_path):
    write_space(tmp_path)
    return tmp_path


def test_a_limit_on_files_ends_the_sweep_and_a_resume_finishes_it(folder):
    (folder / "disk").mkdir()
    limited = subprocess.run(
        command("run", "space.yaml", *WORK),
        cwd=folder, env=cli_environment(), capture_output=True, text=True, timeout=600,
        preexec_fn=limit_files(128 * 1024), check=False,
    )  # fmt: skip
    assert limited.returncode == 1
    assert "make room; what was finished is in the store. Next: sweep resume small" in problem_of(
        limited
    )
    assert_whole(folder / "disk" / "studies.db")
    assert run_cli(*DOCTOR.split(), cwd=folder).returncode == 0
    assert run_cli("resume", "small", *WORK, cwd=folder).returncode == 0
    assert_finished(run_cli("show", "small", "--json", "--storage", URL, cwd=folder).stdout)


@needs_mount
def test_a_disk_that_fills_up_ends_the_sweep_and_a_resume_finishes_it(folder):
    run, doctor, resume, show = on_small_disk(folder, "176k", RUN, DOCTOR, "room", RESUME, SHOW)
    assert run.returncode == 1
    problem = problem_of(run)
    assert "the disk is full" in problem
    assert problem.endswith(f"Next: sweep resume small --storage {URL}")
    assert doctor.returncode == 0
    assert "integrity check: ok" in doctor.stdout
    assert (resume.returncode, show.returncode) == (0, 0)
    assert_finished(show.stdout)
    assert_whole(folder / "kept" / "studies.db")


@needs_mount
@pytest.mark.parametrize("size", ["4k", "64k"])
def test_a_disk_that_is_full_from_the_start_leaves_no_half_made_study(folder, size):
    first, again, show = on_small_disk(folder, size, RUN, "room", RUN, SHOW)
    assert first.returncode in (1, 2)
    assert problem_of(first)
    assert again.returncode == 0
    assert_finished(show.stdout)


@needs_mount
def test_a_report_on_a_full_disk_is_one_line(folder, finished):
    report = f"report small --out disk/report --storage {finished}"
    full, written = on_small_disk(folder, "40k", report, "room", report)
    assert full.returncode == 2
    assert "cannot be written to 'disk/report': No space left on device" in problem_of(full)
    assert written.returncode == 0
    assert (folder / "kept" / "report" / "report.html").stat().st_size > 10_000


def test_a_study_whose_making_fails_is_not_there(folder, monkeypatch):
    import sweep
    from sweep.runner import sweeps

    def fail(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(sweeps.Store, "write_study", fail)
        with pytest.raises(sweep.SweepFailedError, match="the disk is full"):
            sweep.run(folder / "space.yaml", storage=sqlite_url(folder), workers=1, device="cpu")
    assert not Store(sqlite_url(folder), to_write=False).has_study("small")
