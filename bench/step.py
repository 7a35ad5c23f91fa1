"""Where a step of the stacked engine spends its time, beside its bare matrix products.

    python bench/step.py --data-dir DIR [--widths 64 ...] [--lanes 1 4 16] [--repeats 5]

One thread, three hidden layers, batches of 128, AdamW. For each width, precision and number of
lanes it prints the time of a step per lane, the share of it that its bare products in the same
precision would take, and what the profiler says of the rest. Medians of interleaved repeats.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from contestants import workload
from contestants.matrix_products import build_product
from contestants.this_project import build_config

from sweep.data import default_data_dir, load_training_data
from sweep.execution.freed_memory import keep_freed_memory
from sweep.families import load_family
from sweep.records import DataSettings, Objective
from sweep.training.batches import Batches
from sweep.training.hardware import choose_precision
from sweep.training.lane import Lane
from sweep.training.stacked import StackedGroup

CPU = torch.device("cpu")
KINDS = {
    "products": {"aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "aten::baddbmm_"},
    "optimiser": {"aten::_fused_adamw_"},
    "copies": {"aten::copy_"},
}


def timed(work: Callable[[], object], count: int) -> float:
    """Seconds of processor time of one call."""
    started = time.process_time()
    for _ in range(count):
        work()
    return (time.process_time() - started) / count


def build_group(batches: Batches, width: int, lanes: int) -> StackedGroup:
    objective = Objective("validation_accuracy", "maximize")
    configs = [build_config(number, width) for number in range(lanes)]
    return StackedGroup(
        [Lane(config, objective) for config in configs], batches, load_family("mlp")
    )


def profile(step: Callable[[], object], count: int) -> dict[str, float]:
    """The share of a step's time that each kind of operation takes by itself."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities) as found:
        for _ in range(count):
            step()
    times: dict[str, float] = defaultdict(float)
    for event in found.key_averages():
        kind = next((kind for kind, names in KINDS.items() if event.key in names), "rest")
        times[kind] += event.self_cpu_time_total
    whole = sum(times.values())
    return {kind: times[kind] / whole for kind in [*KINDS, "rest"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=default_data_dir())
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 128, 256, 512, 1024])
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # as workers do
    keep_freed_memory()  # likewise
    data = load_training_data(DataSettings("builtin", "mnist", str(arguments.data_dir)))
    all_batches = {
        name: Batches(data, 0, CPU, choose_precision(name, CPU)) for name in arguments.precisions
    }
    print("width lanes precision   ms/lane  products alone  " + "  ".join([*KINDS, "rest"]))
    for width in arguments.widths:
        for lanes in arguments.lanes:
            for name, batches in all_batches.items():
                show(batches, name, width, lanes, arguments.steps, arguments.repeats)


def show(batches: Batches, name: str, width: int, lanes: int, steps: int, repeats: int) -> None:
    """Measure one stack and print its line."""
    group = build_group(batches, width, lanes)
    group.begin_epoch()
    step = partial(group.step, 0)
    dtype = batches.precision.products
    bare = [build_product(product, dtype) for product in workload.step_products(width, lanes)]

    def products() -> None:
        with torch.inference_mode():
            for product in bare:
                product()

    for _ in range(3):
        step()
        products()
    pairs = [(timed(step, steps), timed(products, steps)) for _ in range(repeats)]
    seconds = statistics.median(pair[0] for pair in pairs)
    share = statistics.median(pair[1] / pair[0] for pair in pairs)
    shares = profile(step, steps)
    cells = "  ".join(f"{shares[kind]:{len(kind)}.0%}" for kind in shares)
    print(
        f"{width:5}{lanes:6} {name:10}{seconds / lanes * 1e3:9.3f}{share:16.0%}  {cells}",
        flush=True,
    )


if __name__ == "__main__":
    main()
