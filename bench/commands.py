"""How long a user waits: the first epoch of a sweep, and the commands that read a study.

    python bench/commands.py --data-dir DIR [--repeats 3]

Makes the study `digits` and its confirmation in a temporary store, and copies the reference studies
for the report on three of them. Prints medians of seconds by the clock and of the processor, child
processes included, and compares them with the targets. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from harness import machine
from harness.processes import BENCH
from harness.targets import Target, as_markdown

from sweep.data import default_data_dir

ROOT = BENCH.parent
DIGITS = str(ROOT / "search_spaces" / "digits.yaml")
REFERENCES = ("article", "mnist", "mnist-random")
# Trains until the first epoch is reported, which is when the clock stops; no child outlives it.
_FIRST_EPOCH = """
import os, sys
import sweep.cli
from sweep.cli import progress
from sweep.records import Epoch
shown = progress.Progress.on_event
def heard(self, event):
    if isinstance(event, Epoch): os._exit(0)
    shown(self, event)
progress.Progress.on_event = heard
sys.argv = ["sweep", "run", sys.argv[1], "--storage", sys.argv[2]]
sweep.cli.main()
"""


def timed(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Seconds by the clock, and of the processor, child processes included."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env=environment, capture_output=True, check=True)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=default_data_dir())
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="JSON file")
    arguments = parser.parse_args()
    print(machine.load_words())
    environment = {**os.environ, "SWEEP_DATA_DIR": str(arguments.data_dir.resolve())}
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), environment, arguments.repeats)
    for name, (clock, processor) in figures.items():
        print(f"{name:32} {clock:6.2f} s  {processor:6.2f} s of the processor")
    aims = {
        "first epoch on digits": (0, 2.5),
        "show digits": (0, 1.0),
        "report digits": (0, 5.0),
        "report on three MNIST studies": (1, 12.0),
        "confirm with nothing to do": (0, 2.0),
    }
    targets = [
        Target(
            f"{name}, {('by the clock', 'of the processor')[column]}",
            figures[name][column],
            aim,
            at_least=False,
            unit=" s",
        )
        for name, (column, aim) in aims.items()
    ]
    print(as_markdown(targets))
    if arguments.out:
        machine.write_result(
            arguments.out, seconds=figures, targets=[asdict(each) for each in targets]
        )


def measure(
    folder: Path, environment: dict[str, str], repeats: int
) -> dict[str, tuple[float, float]]:
    """Medians of both times by what was done."""
    store, copy = f"sqlite:///{folder}/digits.db", folder / "studies.db"
    shutil.copy(ROOT / "studies.db", copy)
    if (ROOT / "studies").is_dir():
        shutil.copytree(ROOT / "studies", folder / "studies")
    sweep = [sys.executable, "-m", "sweep"]
    for words in (["run", DIGITS], ["confirm", "digits", "--top", "2", "--seeds", "2"]):
        subprocess.run(
            [*sweep, *words, "--storage", store], env=environment, capture_output=True, check=True
        )
    out = ["--out", f"{folder}/report"]
    there = ["--storage", store]
    commands = {
        "--help": [*sweep, "--help"],
        "list": [*sweep, "list", *there],
        "show digits": [*sweep, "show", "digits", *there],
        "confirm with nothing to do": [*sweep, "confirm", "digits", *there],
        "report digits": [*sweep, "report", "digits", *there, *out],
        "report on three MNIST studies": [
            *sweep, "report", *REFERENCES, "--storage", f"sqlite:///{copy}", *out
        ],
    }  # fmt: skip
    found: dict[str, list[tuple[float, float]]] = {}
    for repeat in range(repeats):
        fresh = f"sqlite:///{folder}/fresh-{repeat}.db"
        first = [sys.executable, "-c", _FIRST_EPOCH, DIGITS, fresh]
        for name, command in {"first epoch on digits": first, **commands}.items():
            found.setdefault(name, []).append(timed(command, environment))
    return {
        name: (statistics.median(each[0] for each in times), statistics.median(t[1] for t in times))
        for name, times in found.items()
    }


if __name__ == "__main__":
    main()
