"""Seconds and memory that `sweep report` takes for large studies.

    python bench/report.py --folder DIR [--trials 1000 10000] [--repeats 3] [--trees DIR ...]

A study is like `search_spaces/mnist.yaml`: five sampled hyperparameters, twelve epochs a trial,
predictions on 10,000 validation images, a third of the trials pruned, one in fifty failed, the test
split read. Its store is made in the folder, at 50 ms a trial, unless it is there already.

Each report runs in its own process: `sweep report` with timers around its parts. Several trees
(checkouts of this repository; by default this one) take turns, as the sizes do. Printed are medians
of processor seconds for the parts and the whole process, wall-clock seconds, peak memory and file
sizes. `start` is everything outside the other parts: interpreter, imports, command line.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.large_studies import NAME, fill
from harness.machine import load_words, peak_mebibytes

ROOT = Path(__file__).resolve().parents[1]

# The parts of a report and their functions. The time of a function excludes that of others listed
# here that it calls. A function that a tree does not have is skipped.
WRITING = "sweep.reporting.writing"
PARTS = (
    ("reading", WRITING, "read_studies"),
    ("statistics", WRITING, "reported"),
    ("statistics", WRITING, "findings"),
    ("statistics", WRITING, "study_document"),
    ("statistics", WRITING, "compare_studies"),
    ("drawing", WRITING, "study_pictures"),
    ("drawing", WRITING, "comparison_pictures"),
    ("drawing", WRITING, "thumbnails"),
    ("rendering", WRITING, "render_page"),
    ("writing", WRITING, "trials_csv"),
    ("writing", WRITING, "epochs_csv"),
    ("writing", WRITING, "_json"),
    ("writing", WRITING, "_write"),
)
COLUMNS = ("start", *dict.fromkeys(part for part, *_ in PARTS), "processor", "clock", "MiB")
FILES = ("report.html", "report.json", "trials.csv", "epochs.csv")


class Clock:
    """Processor seconds of the parts of a program, each without the parts that it called."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._called = [0.0]

    def around(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, timed."""

        def timed(*arguments: Any, **options: Any) -> Any:
            self._called.append(0.0)
            started = time.process_time()
            try:
                return function(*arguments, **options)
            finally:
                spent = time.process_time() - started
                own = spent - self._called.pop()
                self._called[-1] += spent
                self.seconds[part] = self.seconds.get(part, 0.0) + own

        return timed


def report_here(store: str, folder: str) -> None:
    """Run the command in this process; the last line of standard error is its figures."""
    from sweep.cli import main as sweep

    clock = Clock()
    for part, module, name in PARTS:
        room = importlib.import_module(module)
        if hasattr(room, name):
            setattr(room, name, clock.around(part, getattr(room, name)))
    sys.argv = ["sweep", "report", NAME, "--storage", f"sqlite:///{store}", "--out", folder]
    try:
        sweep()
    finally:
        spent = time.process_time()
        start = spent - sum(clock.seconds.values())
        whole = {"start": start, "processor": spent, "MiB": peak_mebibytes()}
        print(json.dumps(clock.seconds | whole), file=sys.stderr)


def report_apart(tree: Path, store: Path, folder: Path) -> dict[str, float]:
    """Run the command in its own process: seconds, peak memory, megabytes of its files."""
    command = [sys.executable, __file__, "--here", str(store), "--folder", str(folder)]
    environment = os.environ | {"PYTHONPATH": str(tree)}
    started = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"{tree}: {done.stderr}")
    figures: dict[str, float] = json.loads(done.stderr.splitlines()[-1])
    figures["clock"] = seconds
    for name in FILES:
        if (folder / name).exists():
            figures[name] = (folder / name).stat().st_size / 1e6
    return figures


def store_of(folder: Path, num_trials: int) -> Path:
    """A store with this many trials, made unless it exists."""
    file = folder / f"{num_trials}.db"
    if not file.exists():
        print(f"making {file}", file=sys.stderr)
        unfinished = folder / f"{num_trials}.unfinished.db"
        unfinished.unlink(missing_ok=True)
        fill(unfinished, num_trials)
        unfinished.rename(file)
    return file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="for stores and reports")
    parser.add_argument("--trials", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--trees", type=Path, nargs="+", default=[ROOT])
    parser.add_argument("--here", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        report_here(arguments.here, str(arguments.folder))
        return
    arguments.folder.mkdir(parents=True, exist_ok=True)
    stores = {number: store_of(arguments.folder, number) for number in arguments.trials}
    print(load_words())
    found: dict[tuple[int, Path], list[dict[str, float]]] = {}
    for repeat in range(arguments.repeats):
        for number, store in stores.items():
            for tree in arguments.trees:
                print(f"repeat {repeat + 1}: {number} trials, {tree}", file=sys.stderr)
                folder = arguments.folder / f"report-{number}"
                figures = report_apart(tree.resolve(), store, folder)
                found.setdefault((number, tree), []).append(figures)
    print("Medians: processor seconds, wall-clock seconds, MiB at the peak, MB of files.")
    print(f"{'trials':>7s}", *(f"{name:>12s}" for name in (*COLUMNS, *FILES)), " tree")
    for (number, tree), repeats in found.items():
        medians = (
            statistics.median(figures.get(name, 0.0) for figures in repeats)
            for name in (*COLUMNS, *FILES)
        )
        print(f"{number:7d}", *(f"{median:12.2f}" for median in medians), f" {tree.name}")


if __name__ == "__main__":
    main()
