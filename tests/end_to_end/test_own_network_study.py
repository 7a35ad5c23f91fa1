"""A user's own network through every command; its script is killed, and the file finishes it."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from helpers import run_cli, wait_for
from killing import check_gone, read_study, start_interpreter

from sweep.records import StudyState, TrialState

# Batch normalisation, dropout, a buffer of its own and a frozen parameter.
NETWORK = """
from typing import Literal

import torch
from torch import nn


class Scaled(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.register_buffer("factor", torch.tensor(factor))
        self.offset = nn.Parameter(torch.zeros(()), requires_grad=False)

    def forward(self, inputs):
        return inputs * self.factor + self.offset


def build(input_shape, num_classes, *, width: int = 32, depth: int = 1,
          norm: Literal["batch", "layer"] = "batch", drop: float = 0.1) -> nn.Module:
    size = input_shape[0] * input_shape[1] * input_shape[2]
    layers = [nn.Flatten(), Scaled(1.5)]
    for _ in range(depth):
        norms = nn.BatchNorm1d(width) if norm == "batch" else nn.LayerNorm(width)
        layers += [nn.Linear(size, width), norms, nn.ReLU(), nn.Dropout(drop)]
        size = width
    return nn.Sequential(*layers, nn.Linear(size, num_classes))
"""

USE = """
import runpy, sys
import numpy as np
sys.modules["sweep"] = None
use = runpy.run_path(sys.argv[1])
print(use["classify"](np.zeros((2, 1, 8, 8), np.uint8)).shape)
"""

SCRIPT = (
    NETWORK
    + """

if __name__ == "__main__":
    import sweep

    space = {
        "name": "own",
        "dataset": "digits",
        "parameters": {
            "width": {"choices": [16, 32]},
            "norm": {"choices": ["batch", "layer"]},
            "drop": {"low": 0.0, "high": 0.3},
            "epochs": 30,
        },
        "sampler": {"type": "random", "seed": 0},
        "pruner": {"type": "none"},
        "budget": {"trials": 3},
    }
    options = {"workers": 1, "device": "cpu", "checkpoint_every": 0.01}
    sweep.run(space, model=build, storage="sqlite:///studies.db", **options)
"""
)


@pytest.mark.slow
def test_a_killed_script_is_finished_with_its_file(tmp_path):
    script = tmp_path / "go.py"
    script.write_text(SCRIPT)
    with start_interpreter(cwd=tmp_path, program=[sys.executable, str(script)]) as process:
        wait_for(lambda: any(tmp_path.glob("studies.artifacts/own/checkpoint-*")))
        process.kill()
    check_gone(tmp_path)
    options = ("--workers", 1, "--device", "cpu")
    model = ("--model", "go.py")
    refused = run_cli("resume", "own", *options, cwd=tmp_path)
    assert refused.returncode == 2
    assert "trains a network of its own, go.py:build: name its file with --model" in refused.stderr
    script.write_text(SCRIPT.replace("1.5", "2.5"))
    refused = run_cli("resume", "own", *options, *model, cwd=tmp_path)
    assert refused.returncode == 2
    assert "'layers = [nn.Flatten(), Scaled(2.5)]' and was 'layers = " in refused.stderr
    assert read_study(tmp_path, "own").state is StudyState.INTERRUPTED
    script.write_text(SCRIPT)
    done = run_cli("resume", "own", *options, *model, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    study = read_study(tmp_path, "own")
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 3
    # The checkpoint was no other way: a trial from its start to its end says the same.
    same = run_cli("reproduce", "own", 0, *model, cwd=tmp_path)
    assert same.returncode == 0, same.stdout


@pytest.mark.slow
def test_it_goes_through_the_commands(tmp_path):
    (tmp_path / "net.py").write_text(NETWORK)
    space = {
        "name": "own",
        "dataset": "digits",
        "parameters": {
            "width": {"low": 8, "high": 64, "log": True},
            "depth": 2,
            "epochs": 5,
            "learning_rate": 0.01,
        },
        "enqueue": [{"width": 64}],
        "budget": {"trials": 2},
    }
    (tmp_path / "space.yaml").write_text(json.dumps(space))
    plain = {"name": "plain", "dataset": "digits", "parameters": {"epochs": 1}}
    (tmp_path / "plain.yaml").write_text(json.dumps({**plain, "budget": {"trials": 1}}))
    np.save(tmp_path / "x.npy", np.zeros((2, 8, 8), np.uint8))
    model = ("--model", "net.py:build")
    options = (*model, "--workers", 1, "--device", "cpu")
    for line in (
        ("check", "space.yaml", *model),
        ("run", "space.yaml", *options),
        ("confirm", "own", "--top", 1, "--seeds", 2, *options),
        ("run", "plain.yaml", *options[2:]),
        ("report", "plain", "own", "--out", "report", *model),
        ("predict", "own", "x.npy", *model),
        ("export", "own", "--out", "plain", *model),
        ("export", "own", "--out", "program", "--format", "pt2", *model),
        ("show", "own"),
        ("report", "own", "--out", "again"),  # what was read needs no network
    ):
        done = run_cli(*line, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "not read" not in done.stderr
    found = json.loads((tmp_path / "report" / "report.json").read_text())["studies"]["own"]
    assert found["best"]["test_accuracy"] > 0.8
    assert " --model net.py:build --storage sqlite:////" in found["commands"]["export"]
    assert "of <code>net.py:build</code> (SHA-256" in (tmp_path / "report/report.html").read_text()
    assert set(found["best"]["params"]) >= {"width", "depth", "norm", "drop", "epochs"}
    refused = run_cli("export", "own", "--out", "a/b", cwd=tmp_path)
    assert refused.returncode == 2
    assert not (tmp_path / "a").exists()
    # Without the package, and from another folder.
    use = subprocess.run(
        [sys.executable, "-I", "-c", USE, str(tmp_path / "plain" / "use.py")],
        cwd=tmp_path / "report",
        capture_output=True,
        text=True,
        check=False,
    )
    assert use.returncode == 0, use.stderr
    assert use.stdout == "(2, 10)\n"
    again = run_cli("run", "space.yaml", "--trials", 3, *options, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    ended = run_cli("resume", "own", cwd=tmp_path)
    assert (
        "nothing to do; more trials with `sweep resume own --model net.py:build --t" in ended.stdout
    )
    (tmp_path / "net.py").write_text(NETWORK + "\n")
    other = run_cli("run", "space.yaml", *options, cwd=tmp_path)
    assert other.returncode == 2
    assert 'model: "build, SHA-256 ' in other.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import os\nos._exit(3)\n", "net.py ended the process that looks into it: exit code 3"),
        (
            "def build(input_shape, num_classes):\n    raise ValueError('no')\n",
            "line 2: ValueError",
        ),
        (NETWORK.replace("size, num_classes", "size, 3"), "found (3, 3)"),
        (NETWORK.replace("width: int", "width: str"), "argument width must be annotated"),
    ],
)
def test_what_does_not_work_creates_nothing(tmp_path, code, said):
    (tmp_path / "net.py").write_text(code)
    space = {"name": "own", "dataset": "digits", "budget": {"trials": 1}}
    (tmp_path / "space.yaml").write_text(json.dumps(space))
    done = run_cli("run", "space.yaml", "--model", "net.py", "--device", "cpu", cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert {each.name for each in tmp_path.iterdir()} == {"net.py", "space.yaml"}
