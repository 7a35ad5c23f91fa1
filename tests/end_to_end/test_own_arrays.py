"""A script that gives arrays is killed, and the store alone finishes its study."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from helpers import run_cli, wait_for
from killing import check_gone, read_study, start_interpreter

from sweep.records import StudyState

SCRIPT = """
import numpy as np
import sweep

generator = np.random.default_rng(0)
y = np.arange(600) % 3
x = generator.normal(size=(600, 8)) + y[:, None]
space = {
    "name": "small",
    "parameters": {"num_layers": 2, "layer_size": {"choices": [16, 32, 64]}, "epochs": 40},
    "sampler": {"type": "random", "seed": 0},
    "budget": {"trials": 4},
}
options = {"workers": 1, "device": "cpu", "checkpoint_every": 0.01}
sweep.run(space, data=(x, y), storage="sqlite:///studies.db", **options)
"""


@pytest.mark.slow
def test_a_killed_script_is_resumed_from_the_store_alone(tmp_path):
    script = tmp_path / "go.py"
    script.write_text(SCRIPT)
    with start_interpreter(cwd=tmp_path, program=[sys.executable, str(script)]) as process:
        wait_for(lambda: any(tmp_path.glob("studies.artifacts/small/checkpoint-*")))
        process.kill()
    check_gone(tmp_path)
    script.unlink()
    done = run_cli("resume", "small", "--workers", 1, "--device", "cpu", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    study = read_study(tmp_path)
    assert study.state is StudyState.FINISHED
    assert len(study.trials) == 4
    assert run_cli("doctor", cwd=tmp_path).returncode == 0


@pytest.mark.slow
def test_a_file_of_arrays_goes_through_the_commands(tmp_path):
    y = np.arange(300) % 3
    x = np.random.default_rng(0).normal(size=(300, 5)) + y[:, None]
    np.savez(tmp_path / "mine.npz", x=x, y=np.array(["a", "b", "c"])[y])
    space = {
        "name": "small",
        "dataset": {"arrays": "mine.npz", "test": 0.25},
        "parameters": {"num_layers": {"low": 1, "high": 2}, "layer_size": 16, "epochs": 3},
        "budget": {"trials": 2},
    }
    (tmp_path / "space.yaml").write_text(json.dumps(space))
    options = ("--workers", 1, "--device", "cpu")
    for line in (
        ("check", "space.yaml"),
        ("run", "space.yaml", *options),
        ("confirm", "small", "--top", 2, "--seeds", 2, *options),
        ("report", "small", "--out", "report"),
        ("show", "small"),
    ):
        done = run_cli(*line, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "report" / "report.json").read_text())
    assert len(found["studies"]["small"]["best"]["test_confusion_matrix"]) == 3
    np.savez(tmp_path / "mine.npz", x=x + 1, y=y)
    done = run_cli("resume", "small", "--trials", 3, *options, cwd=tmp_path)
    assert done.returncode == 2
    assert "the data have changed since study" in done.stderr
