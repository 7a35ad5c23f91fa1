"""Whole sweeps as `auto` trains them, and with precision and lanes set by hand.

    python bench/choices.py --data-dir DIR [--space digits] [--trials 200] [--out FILE.json]

`bench/engines.py` trains equal networks in full stacks; here stacks are as a sweep has them, of
different networks that end at different times. Each contestant runs `sweep run` in a fresh store on
the same configurations, drawn at random and not pruned; repeats are interleaved, and medians count.
The calibration is made anew, and counts. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from dataclasses import asdict
from pathlib import Path

import yaml
from estimate import make_space, real_seconds
from harness import machine
from harness.targets import Target, as_markdown

from sweep.data import default_data_dir

OUT = Path(__file__).parents[1] / "out" / "bench" / "choices.json"
LEAST = 0.95  # of the speed of the best by hand
BY_HAND = [("float32", 16), ("float32", 8), ("bfloat16", 16)]
AUTO = "auto"


def run(space: Path, options: list[str], data_dir: Path) -> float:
    """Wall time of a sweep on a machine that was never seen, in seconds."""
    with tempfile.TemporaryDirectory(prefix="choices-") as made:
        os.environ["SWEEP_CACHE_DIR"] = made
        return real_seconds(space, data_dir, Path(made), options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=default_data_dir())
    parser.add_argument("--space", default="digits", choices=("digits", "mnist"))
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=OUT, help="default: out/bench/choices.json")
    arguments = parser.parse_args()
    load = machine.load_words()
    contestants: dict[str, list[str]] = {AUTO: []}
    for precision, lanes in BY_HAND:
        options = ["--precision", precision, "--lanes", str(lanes)]
        contestants[f"{precision}, {lanes} lanes"] = options
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    with tempfile.TemporaryDirectory(prefix="choices-") as folder:
        space = Path(folder) / "space.yaml"
        made = make_space(arguments.space, arguments.trials, seed=0)
        space.write_text(yaml.safe_dump(made))
        for _ in range(arguments.repeats):
            for name, options in contestants.items():
                seconds[name].append(run(space, options, arguments.data_dir.resolve()))
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    print(f"| {arguments.trials} trials of {arguments.space} | seconds |\n|---|---|")
    for name, median in medians.items():
        print(f"| {name} | {median:.1f} |")
    best = min(median for name, median in medians.items() if name != AUTO)
    targets = [Target("a whole sweep, auto over the best by hand", best / medians[AUTO], LEAST)]
    print(as_markdown(targets))
    machine.write_result(
        arguments.out, load=load, seconds=seconds, targets=[asdict(each) for each in targets]
    )


if __name__ == "__main__":
    main()
