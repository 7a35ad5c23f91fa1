"""Interruptions from outside: kills, a folder that disappears, a pipe that is full.

Interruptions at particular instants are in `test_killing`, `test_killed_parts` and `test_signals`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from helpers import read_until, run_cli, space_mapping, start_cli, wait_for, workers
from killing import (
    ENGINES,
    Accident,
    check_gone,
    check_same,
    check_whole,
    kill_through,
    prepare,
    read_study,
    small_space,
    start_driver,
    undisturbed_study,
)

ONE_WORKER = ENGINES["sequential"]
ENDLESS = space_mapping(parameters={"epochs": 100_000, "layer_size": 16}, budget={"trials": 2})


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A folder with a search space whose trials take very long."""
    return prepare(tmp_path, ENDLESS)


def num_epochs(folder: Path) -> int:
    """Reported epochs of all trials; 0 before the store exists."""
    try:
        with closing(sqlite3.connect(f"file:{folder / 'studies.db'}?mode=ro", uri=True)) as store:
            rows = store.execute("SELECT count(*) FROM trial_intermediate_values")
            return int(rows.fetchone()[0])
    except sqlite3.OperationalError:
        return 0  # its tables are being created


def wait_for_epochs(folder: Path, more: int = 1) -> None:
    least = num_epochs(folder) + more
    wait_for(lambda: num_epochs(folder) >= least)


@pytest.mark.slow
def test_brackets_of_hyperband_survive_kills(tmp_path):
    space = small_space(6, pruner={"type": "hyperband"})
    undisturbed = undisturbed_study(tmp_path / "undisturbed", space)
    folder = prepare(tmp_path / "killed", space)
    kill_through(folder, [Accident("report", "after", 9)], "sequential")
    shown = json.loads(run_cli("show", "small", "--json", cwd=folder).stdout)
    assert shown["state"] == "interrupted"
    kill_through(folder, [Accident("ask", "after", 2)], "sequential")
    with start_driver(folder, "resume", "small", *ONE_WORKER) as driver:
        _, errors = driver.communicate()
    assert driver.returncode == 0, errors
    check_whole(folder, 6, to_the_last_bit=True)
    check_same(folder, undisturbed)


@pytest.mark.slow
def test_a_trial_that_ends_its_worker_three_times_fails(endless):
    options = (*ONE_WORKER, "--checkpoint-every", "0.05s")
    with start_cli("run", "space.yaml", *options, cwd=endless) as driver:
        read_until(driver.stderr, "trials done")
        seen: set[int] = set()
        for _ in range(3):
            wait_for(lambda: bool(workers(driver.pid) - seen))
            (worker,) = workers(driver.pid) - seen
            seen.add(worker)
            # A worker killed before it trains again does not count, and the last messages of the
            # one before may still arrive: wait for several epochs.
            wait_for_epochs(endless, 6)
            os.kill(worker, signal.SIGKILL)
        read_until(driver.stderr, "trial 0 FAIL")
        wait_for_epochs(endless)  # the next trial is under way
        driver.send_signal(signal.SIGTERM)
        driver.communicate()
    study = json.loads(run_cli("show", "small", "--json", cwd=endless).stdout)
    assert study["trials"][0]["state"] == "FAIL"
    assert study["trials"][0]["reason"] == (
        "killed: its worker process ended with signal 9, as it did 2 times before"
    )
    assert study["trials"][0]["epochs_run"] >= 3
    assert study["trials"][1]["state"] == "WAITING"
    assert study["trials"][1]["epochs_run"] >= 1
    shown = run_cli("show", "small", cwd=endless).stdout
    assert "1 to finish" in shown
    assert "running" not in shown
    check_gone(endless)


def test_a_folder_that_goes_away_ends_the_sweep_with_one_line(endless):
    lost = endless / "lost"
    lost.mkdir()
    with start_cli("run", "../space.yaml", *ONE_WORKER, cwd=lost) as run:
        read_until(run.stderr, "trials done")
        wait_for_epochs(lost)
        lost.rename(endless / "gone")
        _, errors = run.communicate()
    assert run.returncode == 1
    assert "Traceback" not in errors
    assert "sweep resume small" in errors
    check_gone(endless)


@pytest.mark.slow
def test_a_standard_error_that_nobody_reads_does_not_hold_up_the_end(endless):
    """As with `2>&1 | less`: the pipe is full, and there is no room for the last messages."""
    with start_cli("run", "space.yaml", *ONE_WORKER, cwd=endless) as driver:
        read_until(driver.stderr, "trials done")
        pipe = f"/proc/{driver.pid}/fd/2"
        writer = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        for size in (65536, 1):
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(writer, b"x" * size)
        os.close(writer)
        driver.send_signal(signal.SIGTERM)
        wait_for(lambda: driver.poll() is not None, patience=60)
        assert driver.returncode == 143
    check_gone(endless)
    assert "FAIL" not in {trial.state for trial in read_study(endless).trials}
