"""The commands of examples/README.md run as they are written, with fewer trials."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import cli_environment, run_cli
from killing import read_study

import sweep
from sweep.records import TrialState

EXAMPLES = Path(sweep.__file__).parents[1] / "examples"
(LINES,) = re.findall(r"^```sh\n(.*?)^```", (EXAMPLES / "README.md").read_text(), re.M | re.S)
COMMANDS = [shlex.split(line) for line in LINES.splitlines()]

# Read in the process that wrote: both packages take seconds to import.
READ_TENSORBOARD = """
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
found = {}
for folder in sorted(Path("logs").glob("trial-*")):
    read = EventAccumulator(str(folder))
    read.Reload()
    steps = [each.step for each in read.Scalars("validation_accuracy")]
    assert "_hparams_/session_start_info" in read.summary_metadata
    found[int(folder.name.removeprefix("trial-"))] = [
        steps, read.Scalars("best/validation_accuracy")[0].value
    ]
"""
READ_MLFLOW = """
from mlflow import MlflowClient
client = MlflowClient("sqlite:///logs/mlflow.db")
experiment = client.get_experiment_by_name("mlflow").experiment_id
found = {}
for run in client.search_runs([experiment]):
    history = client.get_metric_history(run.info.run_id, "validation_accuracy")
    found[int(run.info.run_name.removeprefix("trial "))] = [
        [each.step for each in history], run.info.status, run.data.params, run.data.tags["state"]
    ]
"""


@pytest.fixture(autouse=True)
def _copy(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES, tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__"))


def run_python(*arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=cli_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    return done.stdout


def run_script(script: str, read: str, folder: Path) -> dict[int, list]:
    """Run the script of a command, and what reads its results; each trial's results."""
    (command,) = [each for each in COMMANDS if script in each]
    code = (
        "import json, runpy, sys\nfrom pathlib import Path\n"
        f"sys.argv = {command[1:]!r}\nrunpy.run_path({script!r}, run_name='__main__')\n"
        f"{read}\nprint(json.dumps(found))"
    )
    last = run_python("-c", code, cwd=folder).splitlines()[-1]
    return {int(number): found for number, found in json.loads(last).items()}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "lowest"), [("residual-mlp", 0.9), ("small-cnn", 0.8)])
def test_networks_of_ones_own(tmp_path, name, lowest):
    file = f"examples/{name.replace('-', '_')}.yaml"
    (line,) = [each for each in COMMANDS if file in each]
    assert line[:2] == ["sweep", "run"]
    run_python(*COMMANDS[0][1:], cwd=tmp_path)
    checked = run_cli("check", *line[2:], cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert "networks: " in checked.stdout
    done = run_cli(*line[1:], "--trials", 2, "--device", "cpu", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    study = read_study(tmp_path, name)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 2
    assert study.value(study.best) > lowest


@pytest.mark.slow
def test_tensorboard_has_every_epoch_of_every_trial(tmp_path):
    found = run_script("examples/tensorboard_logging.py", READ_TENSORBOARD, tmp_path)
    study = sweep.load_study("tensorboard", storage=tmp_path / "logs" / "studies.db")
    assert found.keys() == {trial.number for trial in study.trials}
    for trial in study.trials:
        steps, best = found[trial.number]
        assert steps == list(range(1, trial.epochs_run + 1))
        assert best == pytest.approx(study.value(trial))


@pytest.mark.slow
def test_mlflow_has_a_run_for_each_trial(tmp_path):
    found = run_script("examples/mlflow_logging.py", READ_MLFLOW, tmp_path)
    study = sweep.load_study("mlflow", storage=tmp_path / "logs" / "studies.db")
    assert found.keys() == {trial.number for trial in study.trials}
    status = {"COMPLETE": "FINISHED", "PRUNED": "KILLED"}
    for trial in study.trials:
        steps, ended, params, state = found[trial.number]
        assert steps == list(range(1, trial.epochs_run + 1))
        assert (ended, state) == (status[trial.state], trial.state)
        assert params == {name: str(value) for name, value in trial.params.items()}
