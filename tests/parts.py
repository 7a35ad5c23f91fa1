"""Disasters of a driver, its fork server or its worker alone, or of all at once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from helpers import children, is_alive, wait_for, workers
from killing import (
    ENGINES,
    check_gone,
    disturb,
    finish,
    kill_all,
    read_study,
    start_interpreter,
)
from zygote import ForkedProcess

from sweep.records import StudyState

# No clock decides who is dead: a process may be stopped for any time without consequences.
_PAUSE_SECONDS = 0.5

Driver = ForkedProcess


def _kill_worker(_driver: Driver, worker: int) -> None:
    os.kill(worker, signal.SIGKILL)


def _kill_server(driver: Driver, _worker: int) -> None:
    (server,) = children(driver.pid)
    os.kill(server, signal.SIGKILL)


def _kill_driver(driver: Driver, _worker: int) -> None:
    driver.kill()
    driver.wait()


def _stop_worker_and_kill_driver(driver: Driver, worker: int) -> None:
    os.kill(worker, signal.SIGSTOP)
    driver.kill()
    driver.wait()


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
    "server killed": _kill_server,
    "driver killed": _kill_driver,
    "worker stopped and driver killed": _stop_worker_and_kill_driver,
    "both killed": _kill_both,
    "worker stopped": _stop_worker,
    "driver stopped": _stop_driver,
}
_LOSING = {"worker killed"}


def befall(folder: Path, disaster: str, engine: str, *, at_decision: int) -> int:
    """Cause a disaster when the driver has decided this often; the sweep then ends as it should.

    A surviving driver finishes the study; a killed one is followed by another. Processes end with
    their driver.

    Returns:
        How many trials lost their worker.
    """

    def happen(driver: Driver) -> None:
        (worker,) = workers(driver.pid)
        DISASTERS[disaster](driver, worker)

    driver = disturb(folder, happen, "run", "space.yaml", *ENGINES[engine], call=at_decision)
    check_gone(folder)
    lost = {trial.number: len(trial.lost) for trial in read_study(folder).trials if trial.lost}
    if disaster in _LOSING:
        assert set(lost.values()) == {1}
        for trial in lost:
            line = f"trial {trial}: its worker process ended with signal 9; it is tried again, "
            assert f"{line}on its own (1 of 2)" in driver.stderr
    else:
        assert not lost
    if driver.returncode == -signal.SIGKILL:
        assert read_study(folder).state is StudyState.INTERRUPTED
        finish(folder, engine)
    else:
        assert driver.returncode == 0, driver.stderr
    assert not list(folder.rglob("checkpoint-*"))
    return len(lost)


def _stop_all(driver: Driver, number: int) -> None:
    """All at once, workers first."""
    for process in children(driver.pid, recursive=True):
        os.kill(process, number)
    driver.send_signal(number)


def _stop_all_and_kill_workers(driver: Driver, number: int) -> None:
    """As systemd does when its patience is over; the driver sees both at once."""
    driver.send_signal(signal.SIGSTOP)
    driver.send_signal(number)
    for worker in workers(driver.pid):
        os.kill(worker, signal.SIGKILL)
    driver.send_signal(signal.SIGCONT)


def _suspend_all_and_stop(driver: Driver, number: int) -> None:
    """Ctrl-Z, fg, and then the stop."""
    everybody = [*children(driver.pid, recursive=True), driver.pid]
    for action in (signal.SIGTSTP, signal.SIGCONT):
        for process in everybody:
            os.kill(process, action)
        time.sleep(_PAUSE_SECONDS / 2)
    _stop_all(driver, number)


STOPS = (
    (_stop_all, signal.SIGTERM),
    (_stop_all_and_kill_workers, signal.SIGTERM),
    (_stop_all, signal.SIGHUP),
    (_suspend_all_and_stop, signal.SIGINT),
    (_stop_all_and_kill_workers, signal.SIGINT),
)


def stop_the_job(folder: Path, engine: str) -> None:
    """Stop every process of a job, as a shutdown does, five times: no trial is blamed."""
    for stop, number in STOPS:
        happen = partial(stop, number=number)
        driver = disturb(folder, happen, "run", "space.yaml", *ENGINES[engine])
        assert driver.returncode == 128 + number, driver.stderr
        check_gone(folder)
        study = read_study(folder)
        assert not any(trial.lost for trial in study.trials)
        assert "FAIL" not in {trial.state for trial in study.trials}
    finish(folder, engine)


def orphan_a_starting_server(folder: Path, engine: str) -> None:
    """Kill the driver while its fork server imports its libraries: the server ends, too."""
    with start_interpreter("run", "space.yaml", *ENGINES[engine], cwd=folder) as driver:
        wait_for(lambda: any(map(_is_importing, children(driver.pid))) or driver.poll() is not None)
        assert driver.poll() is None, driver.communicate()[1]
        assert not workers(driver.pid)
        driver.kill()
        driver.communicate()
    check_gone(folder)
    finish(folder, engine)


def _is_importing(process: int) -> bool:
    """Whether it is a fresh interpreter that has started to load PyTorch."""
    try:
        maps = Path(f"/proc/{process}/maps").read_text()
    except OSError:
        return False
    return "libtorch" in maps
