"""`sweep confirm` and `sweep report` at one instant: only one of them opens the test split."""

from __future__ import annotations

import re
import signal

import pytest
from helpers import HERE, read_confirmation, sqlite_url
from killing import Accident, disturb, read_study, start_driver
from zygote import ForkedProcess

import sweep
from sweep.store import Store

CONFIRM = ("confirm", "small", "--top", 2, "--seeds", 1, "--workers", 1, "--engine", "sequential")
REPORT = ("report", "small", "--out", "report")


@pytest.mark.slow
def test_a_confirmation_is_refused_while_a_report_opens_the_test_split(finished, tmp_path):
    def happen(report: ForkedProcess) -> None:
        with start_driver(tmp_path, *CONFIRM) as confirm:
            output, errors = confirm.communicate()
        assert (confirm.returncode, output) == (2, "")
        assert re.fullmatch(
            rf"sweep: study 'small' is held by process {report.pid} on \S+ since \S+; wait for it "
            r"or stop it .*\n",
            errors,
        )
        assert Store(finished, to_write=False).all_names() == ["small"]
        assert not (tmp_path / "studies.artifacts" / "small.confirm").exists()

    report = disturb(tmp_path, happen, *REPORT, point="write_test_reading")
    assert report.returncode == 0, report.stderr
    (reading,) = read_study(tmp_path).test_readings
    assert reading.confusion_matrix is not None


@pytest.mark.slow
@pytest.mark.parametrize(
    "accident",
    [
        Accident("write_study", "after"),
        Accident("enqueue", "after"),
        Accident("recover", "before"),
    ],
    ids=lambda accident: accident.point,
)
def test_a_confirmation_that_is_killed_while_it_is_made_is_there_or_not(
    finished, sketched, tmp_path, accident
):
    with start_driver(tmp_path, *CONFIRM, accidents=(accident,)) as driver:
        driver.communicate()
    assert driver.returncode == -signal.SIGKILL
    runs = read_confirmation(sqlite_url(tmp_path), "small")
    if accident.point == "recover":
        assert len(runs.trials) == runs.num_trials == 4
        made = sweep.report("small", storage=finished, out=tmp_path / "report")
        assert f"`sweep confirm small --storage {finished}` continues it" in made.notes[0]
        assert read_study(tmp_path).test_readings == ()
    else:
        assert runs is None
    found = sweep.confirm("small", top=2, seeds=1, storage=finished, **HERE)
    assert found.finished
    assert read_study(tmp_path).test_readings == ()
