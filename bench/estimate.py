"""How far `sweep check` is from the time that a sweep takes: on digits and on MNIST.

    python bench/estimate.py --data-dir DIR [--repeats 3] [--quick] [--out FILE.json]

Each space is estimated, then run as a command in a fresh store; the error is the median of the
repeats, and all are shown. Each repeat draws other configurations: the estimate is about the mean,
and what a few trials cost is luck. Nothing is pruned, and configurations are drawn at random,
because that is what the estimate is about: a sampler that learns may settle on larger networks.
The calibration is made anew, as on a machine that was never seen, but not counted. Run it on an
idle machine.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from harness import machine
from harness.targets import Target, as_markdown

import sweep
from sweep.data import default_data_dir

SPACES = Path(__file__).parents[1] / "search_spaces"
OUT = Path(__file__).parents[1] / "out" / "bench" / "estimate.json"
ERROR = 0.3
SWEEPS = [("digits", 40), ("digits", 200), ("mnist", 64)]
QUICK_SWEEPS = [("digits", 6)]


def make_space(name: str, trials: int, seed: int) -> dict[str, Any]:
    """A search space of this project without pruning and without given configurations."""
    space = yaml.safe_load((SPACES / f"{name}.yaml").read_text())
    if name == "mnist":
        # Some two minutes on two cores. Few long trials would measure the luck of the draw.
        space["parameters"]["epochs"] = {"low": 1, "high": 2}
    return space | {
        "sampler": {"type": "random", "seed": seed},
        "pruner": {"type": "none"},
        "enqueue": [],
        "budget": {"trials": trials},
    }


def estimated_seconds(space: Path, data_dir: Path) -> float | None:
    return sweep.check(space, data_dir=data_dir).cost.seconds


def real_seconds(space: Path, data_dir: Path, folder: Path, options: Sequence[str] = ()) -> float:
    """Wall time of `sweep run` in a fresh store."""
    command = [sys.executable, "-m", "sweep", "run", str(space), "--data-dir", str(data_dir)]
    command += ["--storage", f"sqlite:///{folder}/studies.db", *options]
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def measure(name: str, trials: int, seed: int, data_dir: Path) -> dict[str, Any]:
    """Estimate, and the run that it is about."""
    with tempfile.TemporaryDirectory(prefix="estimate-") as made:
        folder = Path(made)
        os.environ["SWEEP_CACHE_DIR"] = made
        space = folder / f"{name}.yaml"
        space.write_text(yaml.safe_dump(make_space(name, trials, seed)))
        estimated = estimated_seconds(space, data_dir)
        real = real_seconds(space, data_dir, folder)
    error = math.inf if estimated is None else abs(estimated / real - 1)
    return {"space": name, "trials": trials, "estimate": estimated, "real": real, "error": error}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=default_data_dir())
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="six trials of digits, once")
    parser.add_argument("--out", type=Path, default=OUT, help="default: out/bench/estimate.json")
    arguments = parser.parse_args()
    load = machine.load_words()
    print("| space | trials | estimate, s | real, s | error |\n|---|---|---|---|---|")
    rows = []
    for seed in range(1 if arguments.quick else arguments.repeats):
        for name, trials in QUICK_SWEEPS if arguments.quick else SWEEPS:
            row = measure(name, trials, seed, arguments.data_dir.resolve())
            rows.append(row)
            estimate = "–" if row["estimate"] is None else f"{row['estimate']:.1f}"
            print(f"| {name} | {trials} | {estimate} | {row['real']:.1f} | {row['error']:.0%} |")
    errors: dict[str, list[float]] = {}
    for row in rows:
        errors.setdefault(f"{row['trials']} trials of {row['space']}", []).append(row["error"])
    targets = [
        Target(f"error of the estimate, {name}", statistics.median(found), ERROR, at_least=False)
        for name, found in errors.items()
    ]
    print(as_markdown(targets))
    machine.write_result(
        arguments.out, load=load, rows=rows, targets=[asdict(target) for target in targets]
    )


if __name__ == "__main__":
    main()
