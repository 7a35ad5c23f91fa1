"""Does `engine: auto` pick the number of lanes beyond which a lane gets no cheaper?

    python bench/lanes.py --data-dir DIR [--precision bfloat16] [--steps 60]

Trains stacks of 1 to 16 lanes of one width with one thread and prints milliseconds of a step per
lane, the median of interleaved repeats. A star marks the number of lanes nearest to where the model
in `sweep/execution/capacity.py` calls a stack full. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from contestants.this_project import build_config

from sweep.data import TrainingData, default_data_dir, load_training_data
from sweep.execution.capacity import MAX_LANES, STACK_FLOPS, Capacity
from sweep.families import load_family
from sweep.records import DataSettings, Objective
from sweep.training.batches import Batches
from sweep.training.hardware import choose_precision
from sweep.training.lane import Lane
from sweep.training.stacked import StackedGroup

LANES = (1, 2, 4, 8, 16)
CPU = torch.device("cpu")


def build(batches: Batches, width: int, count: int, steps: int) -> Callable[[], float]:
    """Warm up a stack; each call of the result returns the seconds of a step per lane."""
    objective = Objective("validation_accuracy", "maximize")
    lanes = [Lane(build_config(number, width), objective) for number in range(count)]
    group = StackedGroup(lanes, batches, load_family("mlp"))
    group.begin_epoch()
    for index in range(3):
        group.step(index)

    def measure() -> float:
        started = time.perf_counter()
        for index in range(steps):
            group.step(index)
        return (time.perf_counter() - started) / steps / count

    return measure


def full_at(data: TrainingData, width: int) -> int:
    """The number of lanes of this width at which the model calls a stack full."""
    room = Capacity(MAX_LANES["cpu"], STACK_FLOPS["cpu"], "mlp", data.spec)
    configs = [build_config(number, width) for number in range(MAX_LANES["cpu"])]
    return len(room.stacks(configs)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=default_data_dir())
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 128, 256, 512])
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # as workers do
    data = load_training_data(DataSettings("builtin", "mnist", str(arguments.data_dir)))
    precision = choose_precision(arguments.precision, CPU)
    batches = Batches(data, 0, CPU, precision)
    print(f"{precision.name}, milliseconds of a step per lane")
    print(f"{'width':>8}" + "".join(f"{count:>9}" for count in LANES))
    for width in arguments.widths:
        stacks = {count: build(batches, width, count, arguments.steps) for count in LANES}
        times: dict[int, list[float]] = {count: [] for count in LANES}
        for _ in range(arguments.repeats):
            for count, measure in stacks.items():
                times[count].append(measure())
        full = full_at(data, width)
        nearest = min(LANES, key=lambda count: abs(count - full))
        cells = (
            f"{statistics.median(times[count]) * 1e3:8.3f}{'*' if count == nearest else ' '}"
            for count in LANES
        )
        print(f"{width:8d}" + "".join(cells) + f"  full at {full}", flush=True)


if __name__ == "__main__":
    main()
