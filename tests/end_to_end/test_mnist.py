"""A short sweep on the real MNIST: interrupted, resumed, shown."""

from __future__ import annotations

import json
import signal

import pytest
from helpers import read_until, start_cli

SPACE = {
    "name": "short",
    "dataset": "mnist",
    "parameters": {
        "num_layers": {"low": 1, "high": 2},
        "layer_size": {"choices": [32, 64]},
        "learning_rate": {"low": 2e-3, "high": 5e-3, "log": True},
        "batch_size": 256,
        "epochs": 2,
    },
    "sampler": {"type": "random", "seed": 0},
    "pruner": {"type": "none"},
    "budget": {"trials": 3},
}


@pytest.mark.slow
def test_a_short_sweep_is_interrupted_resumed_and_shown(cli, tmp_path, mnist_dir):
    (tmp_path / "space.yaml").write_text(json.dumps(SPACE))
    # One trial at a time: two are left when the first has ended.
    options = (
        "--workers", 1, "--engine", "sequential", "--device", "cpu", "--data-dir", mnist_dir,
    )  # fmt: skip
    with start_cli("run", "space.yaml", *options, cwd=tmp_path) as driver:
        read_until(driver.stderr, "[1/3]")
        driver.send_signal(signal.SIGINT)
        _, errors = driver.communicate()
    assert driver.returncode == 130
    assert "Next: sweep resume short" in errors

    done = cli("resume", "short", *options)
    assert done.returncode == 0, done.stderr
    study = json.loads(cli("show", "short", "--json").stdout)
    assert (study["state"], study["dataset"]) == ("finished", "mnist")
    assert [trial["state"] for trial in study["trials"]] == ["COMPLETE"] * 3
    assert all(trial["value"] > 0.88 for trial in study["trials"])
    assert study["best"]["value"] == max(trial["value"] for trial in study["trials"])
