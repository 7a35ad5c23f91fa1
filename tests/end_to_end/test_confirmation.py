"""`sweep confirm` from the command line, killed in the middle, with the test split sealed."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
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

import sweep
from sweep.records import StudyRecord, have_all_ended
from sweep.store import Store

# What is promised to be the same to the last bit: one trial after the other.
ONE_WORKER = ("--workers", 1, "--engine", "sequential")
CONFIRM = ("confirm", "small", "--top", 2, "--seeds", 2, *ONE_WORKER, "--checkpoint-every", "0.02s")
SPACE = space_mapping(
    parameters={
        "num_layers": {"low": 1, "high": 3},
        "learning_rate": {"low": 1e-3, "high": 1e-2, "log": True},
        "epochs": 60,
        "dropout": 0.1,
    },
)


def read_runs(folder: Path) -> StudyRecord | None:
    return Store(sqlite_url(folder), to_write=False).read_confirmation("small")


def num_reports(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "studies.db", timeout=30)) as database:
        (number,) = database.execute(
            "SELECT count(*) FROM trial_intermediate_values JOIN trials USING (trial_id) JOIN "
            "studies USING (study_id) WHERE study_name = 'small.confirm'"
        ).fetchone()
        return int(number)


@pytest.fixture(scope="module")
def searched(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("searched")
    sweep.run(SPACE, storage=sqlite_url(folder), workers=1, engine="sequential")
    return folder


@pytest.fixture(scope="module")
def undisturbed(searched, tmp_path_factory) -> Path:
    """The same confirmation without any interruption."""
    folder = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(searched, folder, dirs_exist_ok=True)
    sweep.confirm(
        "small", top=2, seeds=2, storage=sqlite_url(folder), workers=1, engine="sequential"
    )
    return folder


def test_a_confirmation_that_was_killed_is_the_same_one(searched, undisturbed, tmp_path):
    shutil.copytree(searched, tmp_path, dirs_exist_ok=True)
    with start_cli(*CONFIRM, cwd=tmp_path) as driver:
        read_until(driver.stderr, "trials done")
        wait_for(lambda: num_reports(tmp_path) >= 80)  # in the second of four runs
        workers = children(driver.pid)
        driver.send_signal(signal.SIGKILL)
    wait_for(lambda: not any(map(is_alive, workers)))
    runs = read_runs(tmp_path)
    assert not have_all_ended(runs)
    assert runs.test_readings == ()

    with start_cli(*CONFIRM, cwd=tmp_path) as driver:
        read_until(driver.stderr, "trials done")
        driver.send_signal(signal.SIGTERM)
        output, errors = driver.communicate(timeout=600)
    assert (driver.returncode, output) == (143, "")
    assert errors.splitlines()[-1] == (
        "sweep: interrupted; what was finished is in the store. Next: sweep confirm small"
    )
    assert read_runs(tmp_path).test_readings == ()

    done = run_cli("confirm", "small", *ONE_WORKER, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["finished"]
    found, expected = read_runs(tmp_path), read_runs(undisturbed)
    assert [(run.params, timeless(run.outcome)) for run in found.trials] == [
        (run.params, timeless(run.outcome)) for run in expected.trials
    ]
    assert [r.predictions for r in found.test_readings] == [
        r.predictions for r in expected.test_readings
    ]
    assert len(found.test_readings) == 2
    assert not list(tmp_path.rglob("checkpoint-*"))
