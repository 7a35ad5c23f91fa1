"""One driver per study, for as long as its process lives."""

from __future__ import annotations

import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sweep.errors import StoreError, StudyLockedError
from sweep.store.lock import is_locked, study_lock

HOLDER = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from sweep.store.lock import study_lock
with study_lock(Path(sys.argv[1]), "x"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def held(tmp_path_factory) -> Path:
    """The folder of a study that another process holds."""
    return tmp_path_factory.mktemp("held") / "x"


@pytest.fixture(scope="module")
def holder(held):
    """The process that holds the study."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(held)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_driver_is_refused_and_told_who_holds_the_study(held, holder):
    assert is_locked(held)
    message = f"study 'x' is held by process {holder.pid} on {socket.gethostname()} since 2"
    with pytest.raises(StudyLockedError, match=message), study_lock(held, "x"):
        pass
    assert is_locked(held)


@pytest.mark.usefixtures("holder")
def test_other_studies_stay_free(held):
    other = held.parent / "y"
    assert not is_locked(other)
    with study_lock(other, "y"):
        assert is_locked(other)


def test_the_lock_is_released_by_an_exception(tmp_path):
    with pytest.raises(ZeroDivisionError, match="by zero"), study_lock(tmp_path, "x"):
        1 / 0  # noqa: B018
    assert not is_locked(tmp_path)


def test_asking_creates_nothing(tmp_path):
    assert not is_locked(tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_those_who_look_do_not_disturb_each_other(tmp_path):
    """An exclusive lock, taken to look, made others see a driver."""
    with study_lock(tmp_path, "x"):
        pass
    with ThreadPoolExecutor(8) as threads:
        assert not any(threads.map(is_locked, [tmp_path] * 4000))
    with study_lock(tmp_path, "x"), ThreadPoolExecutor(8) as threads:
        assert all(threads.map(is_locked, [tmp_path] * 400))


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(StoreError, match=r"folder .* cannot be written: .*--storage"),
        study_lock(tmp_path / "file" / "x", "x"),
    ):
        pass


def test_the_lock_goes_with_the_process_that_holds_it(held, holder):
    """One that left no name is a holder all the same."""
    (held / "driver.json").write_text("{")
    with (
        pytest.raises(StudyLockedError, match="is held by another process"),
        study_lock(held, "x"),
    ):
        pass
    holder.kill()
    holder.wait()
    assert not is_locked(held)
    with study_lock(held, "x"):
        assert is_locked(held)
    assert not is_locked(held)
