"""A study of convolutional networks goes the whole way, through a kill."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from helpers import read_confirmation, run_cli, sqlite_url, wait_for
from killing import check_gone, read_study, start_interpreter

from sweep.records import StudyState

SCRIPT = """
import sweep

space = {
    "name": "small",
    "dataset": "digits",
    "model": "cnn",
    "parameters": {
        "num_blocks": {"low": 1, "high": 4},
        "pooling": {"choices": ["max", "stride"]},
        "channels": 8,
        "dropout": 0.2,
        "learning_rate": 0.005,
        "head_size": 16,
        "batch_size": 32,
        "epochs": 4,
    },
    "sampler": {"type": "random", "seed": 0},
    "budget": {"trials": 3},
}
options = {"workers": 1, "device": "cpu", "checkpoint_every": 0.01}
sweep.run(space, storage="sqlite:///studies.db", **options)
"""
OPTIONS = ("--workers", 1, "--device", "cpu")


@pytest.mark.slow
def test_a_killed_study_is_resumed_confirmed_reported_and_exported(tmp_path):
    script = tmp_path / "go.py"
    script.write_text(SCRIPT)
    with start_interpreter(cwd=tmp_path, program=[sys.executable, str(script)]) as process:
        wait_for(lambda: any(tmp_path.glob("studies.artifacts/small/checkpoint-*")))
        process.kill()
    check_gone(tmp_path)
    np.save(tmp_path / "images.npy", np.zeros((3, 8, 8), np.uint8))
    for line in (
        ("resume", "small", *OPTIONS),
        ("confirm", "small", "--top", 1, "--seeds", 2, *OPTIONS),
        ("report", "small", "--out", "report"),
        ("predict", "small", "images.npy"),
        ("export", "small", "--out", "plain"),
        ("export", "small", "--out", "program", "--format", "pt2"),
    ):
        done = run_cli(*line, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    study = read_study(tmp_path)
    assert study.state is StudyState.FINISHED
    assert len(study.trials) == 3
    assert study.value(study.best) > 0.9
    assert read_confirmation(sqlite_url(tmp_path), "small").state is StudyState.FINISHED
    found = json.loads((tmp_path / "report" / "report.json").read_text())
    assert found["studies"]["small"]["best"]["test_accuracy"] > 0.85
    assert run_cli("doctor", cwd=tmp_path).returncode == 0
