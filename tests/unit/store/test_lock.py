"""One driver per study, for as long as its process lives."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from sweep.errors import StoreError, StudyLockedError
from sweep.store.lock import is_locked, study_lock

HOLDER = """
import sys
from pathlib import Path
from sweep.store.lock import study_lock
with study_lock(Path(sys.argv[1]), "x"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the study."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "x")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_driver_is_refused_and_told_who_holds_the_study(tmp_path, holder):
    assert is_locked(tmp_path / "x")
    message = f"study 'x' is held by process {holder.pid} on {socket.gethostname()} since 2"
    with pytest.raises(StudyLockedError, match=message), study_lock(tmp_path / "x", "x"):
        pass
    assert is_locked(tmp_path / "x")


def test_the_lock_goes_with_the_process_that_holds_it(tmp_path, holder):
    holder.kill()
    holder.wait()
    assert not is_locked(tmp_path / "x")
    with study_lock(tmp_path / "x", "x"):
        assert is_locked(tmp_path / "x")
    assert not is_locked(tmp_path / "x")


def test_other_studies_stay_free(tmp_path, holder):
    assert not is_locked(tmp_path / "y")
    with study_lock(tmp_path / "y", "y"):
        assert is_locked(tmp_path / "y")


def test_the_lock_is_released_by_an_exception(tmp_path):
    with pytest.raises(ZeroDivisionError, match="by zero"), study_lock(tmp_path, "x"):
        1 / 0  # noqa: B018
    assert not is_locked(tmp_path)


def test_asking_creates_nothing(tmp_path):
    assert not is_locked(tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(StoreError, match=r"folder .* cannot be written: .*--storage"),
        study_lock(tmp_path / "file" / "x", "x"),
    ):
        pass


def test_a_holder_that_left_no_name_is_still_a_holder(tmp_path, holder):
    (tmp_path / "x" / "driver.json").write_text("{")
    with (
        pytest.raises(StudyLockedError, match="is held by another process"),
        study_lock(tmp_path / "x", "x"),
    ):
        pass
