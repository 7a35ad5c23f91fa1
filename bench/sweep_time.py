"""Minutes of a whole sweep, and of the same trials with the usual loop.

    python bench/sweep_time.py [SPACE.yaml] --data-dir DIR [--run-options --engine sequential ...]

Runs `sweep run` on a fresh store in a temporary folder, counts the epochs at each width and
multiplies them by the usual loop's seconds per epoch at that width. Run it on an idle machine.

The comparison favours the usual loop: its epochs are those of three hidden layers without
validation, and it is granted the same pruning, while the minutes of `sweep run` include everything.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from contestants.serving import Settings
from harness import machine, tables
from harness.lineup import lineup
from harness.mnist import unpacked_mnist
from harness.processes import leave_on_signals
from harness.racing import race

from sweep.data import default_data_dir
from sweep.errors import SweepError
from sweep.space import load_space

REPOSITORY = Path(__file__).parents[1]
SPACE = REPOSITORY / "search_spaces" / "mnist.yaml"
OUT = REPOSITORY / "out" / "sweep_time.json"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("space", type=Path, nargs="?", default=SPACE)
    parser.add_argument("--data-dir", type=Path, default=default_data_dir())
    parser.add_argument(
        "--repeats", type=int, default=3, help="epochs of the usual loop (default: 3)"
    )
    parser.add_argument("--out", type=Path, default=OUT, help="default: out/sweep_time.json")
    parser.add_argument(
        "--run-options",
        nargs=argparse.REMAINDER,
        default=[],
        help="all that follows goes to `sweep run`",
    )
    return parser.parse_args()


def run_sweep(
    space: Path, study: str, data_dir: Path, options: list[str]
) -> tuple[float, dict[str, Any]]:
    """Wall time of `sweep run` in seconds, and the output of `sweep show --json`."""
    with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
        storage = ["--storage", f"sqlite:///{folder}/studies.db"]
        command = [sys.executable, "-m", "sweep", "run", str(space), *storage]
        command += ["--data-dir", str(data_dir), *options]
        started = time.perf_counter()
        subprocess.run(command, check=True)
        seconds = time.perf_counter() - started
        shown = subprocess.run(
            [sys.executable, "-m", "sweep", "show", study, *storage, "--json"],
            check=True,
            capture_output=True,
            text=True,
        )
    return seconds, json.loads(shown.stdout)


def epochs_by_width(trials: list[dict[str, Any]]) -> dict[int, int]:
    """Epochs trained at each width."""
    counts: Counter[int] = Counter()
    for trial in trials:
        counts[trial["params"]["layer_size"]] += trial["epochs_run"]
    return dict(sorted(counts.items()))


def usual_seconds(width: int, data_dir: Path, repeats: int) -> float:
    """Seconds of one epoch of the faster usual loop at this width.

    Raises:
        RuntimeError: it cannot be measured.
    """
    cores = machine.num_cores()
    with unpacked_mnist(data_dir) as folder:
        settings = Settings(width, 1, folder, threads=cores)
        results = race(lineup(list(tables.USUAL), settings, cores), repeats)
    rate = tables.fastest(results, tables.USUAL)
    if rate is None:
        raise RuntimeError(f"the usual loop cannot be measured at the width {width}")
    return 1 / rate


def main() -> None:
    arguments = parse_arguments()
    options = arguments.run_options
    leave_on_signals()
    try:
        study = load_space(arguments.space).name
    except SweepError as error:
        sys.exit(f"sweep_time.py: {error}")
    seconds, shown = run_sweep(arguments.space, study, arguments.data_dir, options)
    epochs = epochs_by_width(shown["trials"])
    each = {width: usual_seconds(width, arguments.data_dir, arguments.repeats) for width in epochs}
    extrapolated = sum(each[width] * count for width, count in epochs.items())
    states = dict(Counter(trial["state"] for trial in shown["trials"]))
    best = shown["best"] or {}
    print(f"sweep run {study}: {seconds / 60:.1f} minutes, {len(shown['trials'])} trials {states}")
    print(f"best trial {best.get('number')}: {best.get('value')}")
    for width, count in epochs.items():
        print(f"  width {width}: {count} epochs; usual loop {each[width]:.2f} s an epoch")
    print(f"usual loop, the same {sum(epochs.values())} epochs: {extrapolated / 60:.1f} minutes")
    print(f"ratio: {extrapolated / seconds:.2f}")
    machine.write_result(
        arguments.out,
        options=options,
        seconds=seconds,
        states=states,
        best=best,
        epochs_by_width=epochs,
        usual_epoch_seconds=each,
        usual_seconds=extrapolated,
        ratio=extrapolated / seconds,
    )


if __name__ == "__main__":
    main()
