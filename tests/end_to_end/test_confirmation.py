"""`sweep confirm` killed half-way, with the test split sealed."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from helpers import read_confirmation, read_until, sqlite_url, timeless, wait_for
from killing import ENGINES, PARAMETERS, check_gone, small_space, start_driver, undisturbed_study

from sweep.records import StudyRecord, candidate_runs, have_all_ended, size_front
from sweep.store import Store

CONFIRM = ("confirm", "small", "--top", 2, "--seeds", 2, *ENGINES["sequential"])


def read_runs(folder: Path) -> StudyRecord | None:
    return read_confirmation(sqlite_url(folder), "small")


def read_search(folder: Path) -> StudyRecord:
    return Store(sqlite_url(folder), to_write=False).read_study("small")


def num_reports(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "studies.db", timeout=30)) as database:
        (number,) = database.execute(
            "SELECT count(*) FROM trial_intermediate_values JOIN trials USING (trial_id) JOIN "
            "studies USING (study_id) WHERE study_name = 'small.confirm'"
        ).fetchone()
        return int(number)


def confirm(folder: Path, *options: object) -> str:
    """Run `sweep confirm` until it has finished; its output."""
    with start_driver(folder, *CONFIRM, *options) as driver:
        output, errors = driver.communicate()
    assert driver.returncode == 0, errors
    return output


@pytest.fixture(scope="module")
def searched(tmp_path_factory) -> Path:
    return undisturbed_study(tmp_path_factory.mktemp("searched"), small_space(3))


@pytest.fixture(scope="module")
def undisturbed(searched, tmp_path_factory) -> Path:
    """The same confirmation without any interruption."""
    folder = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(searched, folder, dirs_exist_ok=True)
    confirm(folder)
    return folder


@pytest.mark.slow
def test_a_confirmation_that_was_killed_is_the_same_one(searched, undisturbed, tmp_path):
    shutil.copytree(searched, tmp_path, dirs_exist_ok=True)
    with start_driver(tmp_path, *CONFIRM) as driver:
        wait_for(lambda: num_reports(tmp_path) >= 8)  # in the second of eight runs
        driver.send_signal(signal.SIGKILL)
    check_gone(tmp_path)
    runs = read_runs(tmp_path)
    assert not have_all_ended(runs)
    assert runs.test_readings == ()

    with start_driver(tmp_path, *CONFIRM) as driver:
        read_until(driver.stderr, "trials done")
        driver.send_signal(signal.SIGTERM)
        output, errors = driver.communicate()
    assert (driver.returncode, output) == (143, "")
    assert errors.splitlines()[-1] == (
        "sweep: interrupted; what was finished is in the store. Next: sweep confirm small"
    )
    assert read_runs(tmp_path).test_readings == ()

    assert json.loads(confirm(tmp_path, "--json"))["finished"]
    found, expected = read_runs(tmp_path), read_runs(undisturbed)
    assert [(run.params, timeless(run.outcome)) for run in found.trials] == [
        (run.params, timeless(run.outcome)) for run in expected.trials
    ]
    assert [r.predictions for r in found.test_readings] == [
        r.predictions for r in expected.test_readings
    ]
    assert len(found.test_readings) == 2
    assert not list(tmp_path.rglob("checkpoint-*"))


@pytest.mark.slow
def test_a_front_that_was_killed_goes_on_as_begun_and_is_tested_for_its_winner_alone(tmp_path):
    sizes = {"num_layers": {"low": 1, "high": 3}, "layer_size": {"choices": [8, 64]}}
    space = small_space(
        2,
        parameters=PARAMETERS | sizes | {"learning_rate": 3e-3},
        pruner={"type": "none"},
        enqueue=[{"num_layers": 3, "layer_size": 64}, {"num_layers": 2, "layer_size": 8}],
    )
    undisturbed_study(tmp_path, space)
    front = [trial.number for trial in size_front(read_search(tmp_path))]
    assert front == [0, 1]
    options = ("--seeds", 2, *ENGINES["sequential"])
    with start_driver(tmp_path, "confirm", "small", "--front", *options) as driver:
        wait_for(lambda: num_reports(tmp_path) >= 8)  # in the second run
        driver.send_signal(signal.SIGKILL)
    check_gone(tmp_path)
    assert read_runs(tmp_path).confirms.front
    assert read_runs(tmp_path).test_readings == ()

    with start_driver(tmp_path, "confirm", "small", *options, "--json") as driver:
        output, errors = driver.communicate()
    assert driver.returncode == 0, errors
    found, runs = json.loads(output), read_runs(tmp_path)
    assert sorted(candidate["trial"] for candidate in found["candidates"]) == sorted(front)
    assert have_all_ended(runs)
    won = {run.number for run in candidate_runs(runs)[found["winner"]]}
    assert {reading.trial for reading in runs.test_readings} == won
    assert read_search(tmp_path).test_readings == ()

    with start_driver(tmp_path, "report", "small") as driver:
        _, errors = driver.communicate()
    assert driver.returncode == 0, errors
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    rows = report["studies"]["small"]["front"]
    assert [row["trial"] for row in rows] == front
    assert [row["fresh_seeds"]["num_runs"] for row in rows] == [2] * len(front)
    assert len(read_runs(tmp_path).test_readings) == 2, "the report opens nothing else"
