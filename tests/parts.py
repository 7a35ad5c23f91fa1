"""What can befall a driver or its worker alone."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from helpers import children, is_alive, wait_for
from killing import ENGINES, go_on, kill_all, read_ledger, start_driver, wait_for_lines

TRIALS = 6
_PAUSE_SECONDS = 1.5
_ORPHAN_SECONDS = 5

Driver = subprocess.Popen[str]


def _kill_worker(_driver: Driver, worker: int) -> None:
    os.kill(worker, signal.SIGKILL)


def _kill_driver(driver: Driver, worker: int) -> None:
    driver.kill()
    driver.wait()
    wait_for(lambda: not is_alive(worker), _ORPHAN_SECONDS)


def _kill_both(driver: Driver, _worker: int) -> None:
    kill_all(driver)


def _stop_worker(driver: Driver, worker: int) -> None:
    os.kill(worker, signal.SIGSTOP)
    time.sleep(_PAUSE_SECONDS)
    assert driver.poll() is None
    os.kill(worker, signal.SIGCONT)


def _stop_driver(driver: Driver, worker: int) -> None:
    driver.send_signal(signal.SIGSTOP)
    time.sleep(_PAUSE_SECONDS)
    assert is_alive(worker)
    driver.send_signal(signal.SIGCONT)


DISASTERS: dict[str, Callable[[Driver, int], None]] = {
    "worker killed": _kill_worker,
    "driver killed": _kill_driver,
    "both killed": _kill_both,
    "worker stopped": _stop_worker,
    "driver stopped": _stop_driver,
}


def befall(folder: Path, disaster: str, engine: str, *, after_lines: int) -> None:
    """Let it happen after so many lines of the ledger; the sweep then ends as it should.

    A driver that lives finishes the study; one that was killed is followed by another.
    """
    with start_driver(folder, "run", "space.yaml", *ENGINES[engine]) as driver:
        try:
            wait_for_lines(folder, driver, after_lines)
            (worker,) = children(driver.pid)
            DISASTERS[disaster](driver, worker)
            _, errors = driver.communicate(timeout=600)
        except BaseException:
            kill_all(driver)
            raise
    if disaster in ("driver killed", "both killed"):
        assert driver.returncode == -signal.SIGKILL, "it had ended before"
        done = go_on(folder, *ENGINES[engine])
        assert done.returncode == 0, done.stderr
    else:
        assert driver.returncode == 0, errors


def orphan_a_starting_worker(folder: Path, engine: str) -> None:
    """Kill the driver while its worker imports its libraries: the worker ends all the same."""
    with start_driver(folder, "run", "space.yaml", *ENGINES[engine]) as driver:
        wait_for(lambda: any(map(_is_worker, children(driver.pid))) or driver.poll() is not None)
        workers = children(driver.pid)
        driver.kill()
        driver.communicate()
    assert workers
    wait_for(lambda: not any(map(is_alive, workers)), 2 * _ORPHAN_SECONDS)
    assert not read_ledger(folder)[1:], "it had worked already"
    done = go_on(folder, *ENGINES[engine])
    assert done.returncode == 0, done.stderr


def _is_worker(process: int) -> bool:
    try:
        return b"sweep.execution.worker" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False
