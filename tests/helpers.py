"""Functions shared by several test modules."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from filelock import FileLock
from zygote import ForkedProcess, fork

from sweep.definitions import DATASETS, parameters_of, with_defaults
from sweep.records import (
    Calibration,
    CalibrationRequest,
    DataSettings,
    DataSpec,
    EpochMetrics,
    Objective,
    StudyRecord,
    Timing,
    TrainingSettings,
    TrialConfig,
    TrialOutcome,
)
from sweep.store import Store
from sweep.study import StudySession

PARAMETERS = {
    "num_layers": {"low": 1, "high": 2},
    "layer_size": {"choices": [16, 32]},
    "learning_rate": {"low": 1e-3, "high": 1e-2, "log": True},
    "epochs": 4,
    "batch_size": 64,
}

SMALL: dict[str, Any] = {
    "name": "small",
    "dataset": "digits",
    "parameters": PARAMETERS,
    "sampler": {"type": "random", "seed": 1},
    "pruner": {"type": "none"},
    "budget": {"trials": 3},
}
"""A search space that takes about a second of training."""


DIGITS = DataSettings("builtin", "digits", "data")

HERE: dict[str, Any] = {
    "workers": 1,
    "device": "cpu",
    "engine": "sequential",
    "executor": "inline",
}
"""Options that train a study in the test's own process, repeatably."""


def space_mapping(**changes: Any) -> dict[str, Any]:
    return {**SMALL, **changes}


def sqlite_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'studies.db'}"


def make_config(**changes: Any) -> TrialConfig:
    """A configuration; all keywords but `number` and `seed` are parameters."""
    number, seed = changes.pop("number", 0), changes.pop("seed", 7)
    base = {"num_layers": 2, "layer_size": 32, "weight_decay": 1e-4, "epochs": 3}
    base |= {"learning_rate": 3e-3, "batch_size": 32}
    return TrialConfig(number, seed, with_defaults(parameters_of("mlp"), {**base, **changes}))


def begin(store: Store, study: str, session: StudySession) -> TrialConfig:
    """Ask for a trial and record its configuration."""
    config = session.ask()
    store.trials(study).change(config.number, config=config)
    return config


def read_confirmation(storage: str, search: str) -> StudyRecord | None:
    """The confirmation of a search in a store."""
    store = Store(storage, to_write=False)
    return store.read_confirmation(store.read_study(search))[0]


def changed(config: TrialConfig, **changes: Any) -> TrialConfig:
    """The configuration with some parameters replaced."""
    assert not changes.keys() - config.params.keys()
    return replace(config, params={**config.params, **changes})


def flat_spec(num_inputs: int, num_classes: int) -> DataSpec:
    """The spec of a table with this many columns."""
    names = tuple(map(str, range(num_classes)))
    return DataSpec("table", (num_inputs,), names, num_pool=1000, num_test=100)


def make_settings(**changes: Any) -> TrainingSettings:
    base = TrainingSettings(
        model="mlp",
        spec=DATASETS["digits"],
        order_seed=0,
        objective=Objective("validation_accuracy", "maximize"),
        device="cpu",
        num_sharing=1,
        num_threads=1,
        engine="sequential",
        precision="float32",
        lanes=1,
    )
    return replace(base, **changes)


def make_calibration_request(**changes: Any) -> CalibrationRequest:
    base = CalibrationRequest(
        model="mlp",
        spec=DATASETS["digits"],
        device="cpu",
        engine="stacked",
        precision="auto",
        num_cores=1,
        num_validation=300,
        configs=(make_config(layer_size=8), make_config(layer_size=64)),
        step_flops=(10, 20),
        lanes=((1, 4), (1, 2)),
        mix=tuple(make_config(number=n, layer_size=8 * 2**n) for n in range(3)),
        mix_flops=15,
    )
    return replace(base, **changes)


def made_up_calibration(request: CalibrationRequest, _server: object = None) -> Calibration:
    """What a machine would measure on which float32 is fastest and lanes pay."""
    precision = "float32" if request.precision == "auto" else request.precision

    def timings(flops: int, lanes: int) -> list[Timing]:
        seconds = 4e-4 + lanes * (1e-3 + flops / 1e11)
        return [
            Timing(flops, name, lanes, 1, slowness * seconds, 0.002 * lanes)
            for name, slowness in (("float32", 1.0), ("bfloat16", 1.5))
        ]

    equal = [
        timing
        for flops, counts in zip(request.step_flops, request.lanes, strict=True)
        for lanes in counts
        for timing in timings(flops, lanes)
    ]
    mixed = timings(request.mix_flops, 16) if request.mix else []
    products = {"float32": 1e11, "bfloat16": 5e10}
    return Calibration(
        "a processor", "2.0", products, precision, tuple(equal), tuple(mixed), 2.0, 1.0
    )


def make_metrics(trial: int, epoch: int, accuracy: float = 0.5, loss: float = 1.0) -> EpochMetrics:
    values = {"train_loss": loss, "train_accuracy": accuracy, "validation_loss": loss}
    shares = ("accuracy", "balanced_accuracy", "f1_macro")
    values |= {f"validation_{name}": accuracy for name in shares}
    return EpochMetrics(trial, epoch, values, learning_rate=1e-3, seconds=0.1)


def without_seconds(history: Sequence[EpochMetrics]) -> list[EpochMetrics]:
    return [replace(metrics, seconds=0.0) for metrics in history]


def timeless(outcome: TrialOutcome | None) -> TrialOutcome | None:
    """An outcome without what depends on time and place: wall time, worker, node, versions."""
    if outcome is None:
        return None
    history = tuple(without_seconds(outcome.history))
    return replace(outcome, seconds=0.0, environment=None, worker=None, node="", history=history)


def without_clock(study: StudyRecord) -> StudyRecord:
    """A study without the times of Optuna's clock, on which nothing depends."""
    trials = tuple(replace(trial, started_at=None, ended_at=None) for trial in study.trials)
    return replace(study, trials=trials)


def idx_bytes(values: np.ndarray) -> bytes:
    """An array of bytes in IDX format."""
    array = np.asarray(values, np.uint8)
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.tobytes()


def write_idx(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(idx_bytes(values))


def read_migrations_once() -> None:
    """Make Optuna read its thirty migrations once instead of for each new store (0.2 s)."""
    from optuna.storages._rdb.storage import _VersionManager

    read, found = _VersionManager._create_alembic_script, []

    def read_once(manager: Any) -> Any:
        if not found:
            found.append(read(manager))
        return found[0]

    _VersionManager._create_alembic_script = read_once


def made_once(
    tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]
) -> Path:
    """A folder shared by all processes of a test run; the first that needs it makes it."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder, done = root / name, root / f"{name}.done"
    with FileLock(root / f"{name}.lock"):
        if not done.exists():
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "sweep", *map(str, arguments)]


def cli_environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if name not in ("SWEEP_DATA_DIR", "COLUMNS", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE")
    }


def run_cli(
    *arguments: object, cwd: Path, timeout: float = 600
) -> subprocess.CompletedProcess[str]:
    with start_cli(*arguments, cwd=cwd) as process:
        output, errors = process.communicate(timeout=timeout)
    return subprocess.CompletedProcess(arguments, process.returncode, output, errors)


def start_cli(*arguments: object, cwd: Path) -> ForkedProcess:
    """Start the command line as a process."""
    return fork("cli", list(map(str, arguments)), cwd=cwd, environment=cli_environment())


def read_until(stream: Any, words: str) -> str:
    """The first line that contains these words; the end of the stream is an error."""
    seen = []
    for line in stream:
        if words in line:
            return str(line)
        seen.append(line)
    raise AssertionError(f"{words!r} never came, but: {''.join(seen)}")


def wait_for(happened: Callable[[], bool], patience: float = 600) -> None:
    """Wait for something that another process does without a message."""
    end = time.monotonic() + patience
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def children(pid: int | None = None, *, recursive: bool = False) -> set[int]:
    """Process ids of the children of a process (None: this one); empty once it is gone."""
    try:
        return {child.pid for child in psutil.Process(pid).children(recursive=recursive)}
    except psutil.NoSuchProcess:
        return set()


def workers(driver: int | None = None) -> set[int]:
    """Process ids of a driver's workers: the children of its fork servers."""
    return set().union(*(children(server) for server in children(driver)))


def best_epoch(history: tuple[EpochMetrics, ...], objective: Objective) -> int | None:
    """The epoch with the best objective (the first if tied), or None without epochs."""
    values = [objective.value(metrics) for metrics in history]
    if not values:
        return None
    best = max(values) if objective.goal == "maximize" else min(values)
    return history[values.index(best)].epoch
