"""Kill any process at any instant: `sweep resume` finishes as if nothing had happened."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from helpers import (
    children,
    is_alive,
    read_until,
    run_cli,
    space_mapping,
    sqlite_url,
    start_cli,
    timeless,
    wait_for,
)

from sweep.store import Store

# What is promised to be the same to the last bit: one trial after the other.
ONE_WORKER = ("--workers", 1, "--engine", "sequential")
SPACE = space_mapping(
    parameters={
        "num_layers": {"low": 1, "high": 3},
        "layer_size": {"choices": [16, 32, 64]},
        "learning_rate": {"low": 1e-3, "high": 1e-2, "log": True},
        "epochs": 60,  # long enough to be interrupted on a machine that stutters
        "dropout": 0.1,
    },
    sampler={"type": "tpe", "seed": 3, "n_startup_trials": 2},
    pruner={"type": "hyperband"},
    budget={"trials": 5},
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "space.yaml").write_text(json.dumps(SPACE))
    return tmp_path


def what_happened(folder: Path) -> list:
    """Everything about every trial but the time that it took."""
    study = Store(sqlite_url(folder), to_write=False).read_study("small")
    return [(trial.params, trial.state, timeless(trial.outcome)) for trial in study.trials]


def weights(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*.safetensors")}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    """The same study without any interruption."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "space.yaml").write_text(json.dumps(SPACE))
    assert run_cli("run", "space.yaml", *ONE_WORKER, cwd=folder).returncode == 0
    return folder


def num_reports(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "studies.db", timeout=30)) as database:
        rows = database.execute("SELECT count(*) FROM trial_intermediate_values")
        return int(rows.fetchone()[0])


def test_a_killed_driver_costs_nothing(folder, undisturbed):
    for reports in (3, 70):
        start = ("resume", "small") if (folder / "studies.db").exists() else ("run", "space.yaml")
        with start_cli(*start, *ONE_WORKER, cwd=folder) as driver:
            read_until(driver.stderr, "trials done")
            wait_for(lambda least=reports: num_reports(folder) >= least)
            workers = children(driver.pid)
            driver.send_signal(signal.SIGKILL)
        assert workers
        wait_for(lambda left=workers: not any(map(is_alive, left)))
        interrupted = json.loads(run_cli("show", "small", "--json", cwd=folder).stdout)
        assert interrupted["state"] == "interrupted"

    assert run_cli("resume", "small", *ONE_WORKER, cwd=folder).returncode == 0
    assert what_happened(folder) == what_happened(undisturbed)
    assert weights(folder) == weights(undisturbed)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_resumable_study_within_seconds(folder, number):
    with start_cli("run", "space.yaml", *ONE_WORKER, cwd=folder) as driver:
        read_until(driver.stderr, "[1/5]")
        workers = children(driver.pid)
        sent = time.monotonic()
        driver.send_signal(number)
        output, errors = driver.communicate(timeout=600)
    assert time.monotonic() - sent < 5
    assert driver.returncode == 128 + number
    assert output == ""
    assert errors.splitlines()[-1] == (
        "sweep: interrupted; what was finished is in the store. Next: sweep resume small"
    )
    assert "Traceback" not in errors
    wait_for(lambda: not any(map(is_alive, workers)))

    assert run_cli("resume", "small", *ONE_WORKER, cwd=folder).returncode == 0
    study = json.loads(run_cli("show", "small", "--json", cwd=folder).stdout)
    assert (study["state"], len(study["trials"])) == ("finished", 5)
    assert {trial["state"] for trial in study["trials"]} <= {"COMPLETE", "PRUNED"}


def test_a_signal_before_the_study_is_open_is_obeyed_too(folder):
    with start_cli("run", "space.yaml", *ONE_WORKER, cwd=folder) as driver:
        wait_for(lambda: handles(driver.pid, signal.SIGTERM) or driver.poll() is not None)
        driver.send_signal(signal.SIGTERM)
        _, errors = driver.communicate(timeout=600)
    assert driver.returncode == 143
    assert "sweep: interrupted; " in errors
    assert "Traceback" not in errors


def handles(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return False
    caught = next((line.split()[1] for line in lines if line.startswith("SigCgt:")), "0")
    return bool(int(caught, 16) >> (number - 1) & 1)


def test_a_second_driver_is_refused_and_told_who_holds_the_study(folder):
    space = {**SPACE, "parameters": {"epochs": 100_000}, "pruner": {"type": "none"}}
    (folder / "space.yaml").write_text(json.dumps(space))
    with start_cli("run", "space.yaml", *ONE_WORKER, cwd=folder) as driver:
        read_until(driver.stderr, "trials done")
        second = run_cli("resume", "small", cwd=folder)
        assert second.returncode == 2
        assert second.stdout == ""
        (line,) = second.stderr.splitlines()
        assert line.startswith(f"sweep: study 'small' is held by process {driver.pid} on ")
        running = json.loads(run_cli("list", "--json", cwd=folder).stdout)
        assert [study["state"] for study in running] == ["running"]
        driver.kill()


def test_a_killed_worker_costs_nothing(folder, undisturbed):
    options = (*ONE_WORKER, "--checkpoint-every", "0.02s")
    with start_cli("run", "space.yaml", *options, cwd=folder) as driver:
        read_until(driver.stderr, "trials done")
        wait_for(lambda: num_reports(folder) >= 3)
        (worker,) = children(driver.pid)
        os.kill(worker, signal.SIGKILL)
        _, errors = driver.communicate(timeout=600)
    assert driver.returncode == 0
    assert (
        "its worker process ended with signal 9; it is tried again, on its own (1 of 2)" in errors
    )
    assert " goes on after " in errors
    assert what_happened(folder) == what_happened(undisturbed)
    assert weights(folder) == weights(undisturbed)
    study = Store(sqlite_url(folder), to_write=False).read_study("small")
    assert [len(trial.lost) for trial in study.trials].count(1) == 1
    assert not list(folder.rglob("checkpoint-*"))


def test_a_trial_that_ends_its_worker_three_times_fails(folder):
    space = {**SPACE, "budget": {"trials": 2}, "pruner": {"type": "none"}}
    space["parameters"] = {"epochs": 100_000, "layer_size": 16}
    (folder / "space.yaml").write_text(json.dumps(space))
    options = (*ONE_WORKER, "--checkpoint-every", "0.05s")
    with start_cli("run", "space.yaml", *options, cwd=folder) as driver:
        read_until(driver.stderr, "trials done")
        seen: set[int] = set()
        for _ in range(3):
            wait_for(lambda: bool(children(driver.pid) - seen))
            (worker,) = children(driver.pid) - seen
            seen.add(worker)
            # One that is killed before it trains again does not count; what the former one said
            # last may still be on its way.
            least = num_epochs(folder) + 5
            wait_for(lambda least=least: num_epochs(folder) > least)
            os.kill(worker, signal.SIGKILL)
        read_until(driver.stderr, "trial 0 FAIL")
        ended = num_epochs(folder)
        wait_for(lambda: num_epochs(folder) > ended)  # the next trial is under way
        driver.send_signal(signal.SIGTERM)
        driver.communicate(timeout=600)
    study = json.loads(run_cli("show", "small", "--json", cwd=folder).stdout)
    assert study["trials"][0]["state"] == "FAIL"
    assert study["trials"][0]["reason"] == (
        "killed: its worker process ended with signal 9, as it did 2 times before"
    )
    assert study["trials"][0]["epochs_run"] >= 3
    assert study["trials"][1]["state"] == "RUNNING"


def num_epochs(folder: Path) -> int:
    """Epochs that were reported, of whatever trial; 0 before there is a store."""
    try:
        return num_reports(folder) if (folder / "studies.db").exists() else 0
    except sqlite3.OperationalError:
        return 0  # its tables are being made


def test_a_signal_to_the_whole_process_group_fails_no_trial(folder):
    with start_cli("run", "space.yaml", "--workers", 2, cwd=folder, start_new_session=True) as run:
        read_until(run.stderr, "trials done")
        wait_for(lambda: num_reports(folder) >= 2)
        os.killpg(run.pid, signal.SIGTERM)
        run.communicate()
    assert run.returncode == 143
    study = Store(sqlite_url(folder), to_write=False).read_study("small")
    assert "FAIL" not in {trial.state for trial in study.trials}
    assert run_cli("resume", "small", cwd=folder).returncode == 0


def test_a_folder_that_goes_away_ends_the_sweep_with_one_line(folder):
    lost = folder / "lost"
    lost.mkdir()
    with start_cli("run", "../space.yaml", *ONE_WORKER, cwd=lost) as run:
        read_until(run.stderr, "trials done")
        wait_for(lambda: num_reports(lost) >= 1)
        lost.rename(folder / "gone")
        _, errors = run.communicate()
    assert run.returncode == 1
    assert "Traceback" not in errors
    assert "sweep resume small" in errors


def test_a_standard_error_that_nobody_reads_does_not_hold_up_the_end(folder):
    """As with `2>&1 | less`: the pipe is full, and what is said on the way out finds no place."""
    with start_cli("run", "space.yaml", *ONE_WORKER, cwd=folder) as driver:
        read_until(driver.stderr, "trials done")
        pipe = f"/proc/{driver.pid}/fd/2"
        writer = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        for size in (65536, 1):
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(writer, b"x" * size)
        os.close(writer)
        driver.send_signal(signal.SIGTERM)
        sent = time.monotonic()
        wait_for(lambda: driver.poll() is not None, patience=20)
        assert time.monotonic() - sent < 6
        assert driver.returncode == 143
