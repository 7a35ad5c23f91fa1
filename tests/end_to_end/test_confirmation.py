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
from killing import ENGINES, check_gone, small_space, start_driver, undisturbed_study

from sweep.records import StudyRecord, have_all_ended

CONFIRM = ("confirm", "small", "--top", 2, "--seeds", 2, *ENGINES["sequential"])


def read_runs(folder: Path) -> StudyRecord | None:
    return read_confirmation(sqlite_url(folder), "small")


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
        wait_for(lambda: num_reports(tmp_path) >= 8)  # in the second of four runs
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
