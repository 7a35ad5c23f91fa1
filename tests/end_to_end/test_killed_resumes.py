"""A driver dies as a finished study continues, with more trials or with failed ones again."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest
from helpers import run_cli
from killing import ENGINES, Accident, go_on, prepare, read_study, small_space, start_driver

from sweep.records import StudyState, TrialState

GRID = small_space(
    4,
    parameters={
        "num_layers": 6,
        "layer_size": 64,
        "optimizer": "sgd",
        "learning_rate": {"choices": [0.001, 10.0]},
        "momentum": 0.99,
        "weight_decay": 1.0,
        "epochs": 2,
        "learning_rate_schedule": "constant",
    },
    sampler={"type": "grid"},
    pruner={"type": "none"},
    budget={},
)
"""Two configurations; the one with the high learning rate always fails."""


@pytest.fixture(scope="module")
def used_up_folder(tmp_path_factory) -> Path:
    folder = prepare(tmp_path_factory.mktemp("used-up"), GRID)
    assert go_on(folder, *ENGINES["sequential"]).returncode == 0
    assert sorted(trial.state for trial in read_study(folder).trials) == ["COMPLETE", "FAIL"]
    return folder


@pytest.fixture
def used_up(used_up_folder, tmp_path) -> Path:
    shutil.copytree(used_up_folder, tmp_path, dirs_exist_ok=True)
    return tmp_path


def resume(folder: Path, *options: object, accident: Accident | None = None) -> int:
    """Run `sweep resume` until it ends in any way; its exit code."""
    arguments = ("resume", "small", *ENGINES["sequential"], *options)
    with start_driver(folder, *arguments, accidents=(accident,) if accident else ()) as driver:
        driver.communicate()
    return driver.returncode


@pytest.mark.slow
@pytest.mark.parametrize(
    ("point", "when"),
    [
        ("write_retry", "before"),
        ("write_retry", "after"),
        ("recover", "before"),
        ("tell", "before"),
    ],
)
def test_a_failure_of_a_grid_is_run_again_once(used_up, point, when):
    retry = ("--retry-failed",)
    assert resume(used_up, *retry, accident=Accident(point, when)) == -signal.SIGKILL
    killed = read_study(used_up)
    (failed,) = [t.number for t in killed.trials if t.retry_of is None and t.state == "FAIL"]
    if len(killed.trials) == 2:
        assert killed.state is StudyState.FINISHED
    else:
        assert killed.state is StudyState.INTERRUPTED
        assert killed.num_trials == 3

    assert resume(used_up, *retry) == 0
    study = read_study(used_up)
    assert [trial.retry_of for trial in study.trials] == [None, None, failed]
    assert study.trials[2].state is TrialState.FAIL
    assert study.trials[2].params == study.trials[failed].params
    assert "finished  3 of 3" in run_cli("list", cwd=used_up).stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("accident", "found"),
    [
        (Accident("write_finished", "after"), ("finished", "3 of 3")),
        (Accident("recover", "before"), ("interrupted", "3 of 4")),
    ],
    ids=lambda value: getattr(value, "point", ""),
)
def test_a_finished_study_goes_on_whole_or_not_at_all(finished, tmp_path, accident, found):
    """A study that looked finished with trials left would have its test split opened too soon."""
    assert resume(tmp_path, "--trials", 4, accident=accident) == -signal.SIGKILL
    study = read_study(tmp_path)
    assert (study.state, f"{len(study.trials)} of {study.num_trials}") == found
    assert resume(tmp_path, "--trials", 4) == 0
    study = read_study(tmp_path)
    assert study.state is StudyState.FINISHED
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 4
