"""Real sweeps: the command line in its own process, and what its store has afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gpu_proof.findings import Setting
from sweep.records import StudyRecord, TrialState
from sweep.store import Store

__all__ = ["command", "incomplete", "open_store", "read", "run", "space", "write_space"]

NAME = "proof"


def space(trials: int, epochs: int, **parameters: Any) -> dict[str, Any]:
    """Random trials on digits, none pruned, and no two alike: copies are not trained."""
    return {
        "name": NAME,
        "dataset": "digits",
        "parameters": {
            "num_layers": {"low": 2, "high": 3},
            "layer_size": {"choices": [32, 64]},
            "dropout": 0.1,
            "learning_rate": {"low": 5e-4, "high": 2e-3},
            "epochs": epochs,
            "batch_size": 64,
            **parameters,
        },
        "sampler": {"type": "random", "seed": 0},
        "pruner": {"type": "none"},
        "budget": {"trials": trials},
    }


def write_space(setting: Setting, space: Mapping[str, Any]) -> Path:
    path = setting.place / "space.yaml"
    path.write_text(json.dumps(space))  # JSON is YAML
    return path


def storage(setting: Setting) -> str:
    return f"sqlite:///{setting.place / 'studies.db'}"


def command(setting: Setting, space: Path, *options: object) -> list[str]:
    """`sweep run` on the device with one worker, unless the options say more."""
    fixed = ["--storage", storage(setting), "--device", setting.device]
    fixed += ["--data-dir", setting.data_dir, "--workers", "1"]
    fixed += [] if setting.is_gpu else ["--threads", "1"]
    return [sys.executable, "-m", "sweep", "run", str(space), *fixed, *map(str, options)]


def run(setting: Setting, space: Path, *options: object, seconds: float | None = None) -> list[str]:
    """Run to the end, or for so many seconds; what is wrong with how it ended."""
    line = command(setting, space, *options)
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return [f"sweep run was not done after {seconds:.0f} s"]
    if done.returncode == 0:
        return []
    last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
    return [f"sweep run ended with exit code {done.returncode}: {last}"]


def open_store(setting: Setting) -> Store:
    return Store(storage(setting), to_write=False)


def read(setting: Setting) -> StudyRecord:
    return open_store(setting).read_study(NAME)


def incomplete(study: StudyRecord, trials: int) -> list[str]:
    """What is wrong with a study that should have so many complete trials and nothing lost."""
    wrong = []
    if len(study.trials) != trials:
        wrong.append(f"{len(study.trials)} trials instead of {trials}")
    for trial in study.trials:
        epochs = [each.epoch for each in trial.outcome.history] if trial.outcome else []
        if trial.state is not TrialState.COMPLETE:
            wrong.append(f"trial {trial.number} is {trial.state}: {trial.reason}")
        elif epochs != list(range(1, int(trial.params["epochs"]) + 1)):
            wrong.append(f"trial {trial.number} lacks epochs: it has {len(epochs)}")
        if trial.lost:
            wrong.append(f"trial {trial.number} lost its worker: {trial.lost[0].reason}")
    return wrong


def workers_of(study: StudyRecord) -> Sequence[int | None]:
    """Which worker trained each trial."""
    return [trial.outcome.worker if trial.outcome else None for trial in study.trials]
