"""What each parameter of the recipe and of the MLP costs a step of the stacked engine.

    python bench/recipe.py --data-dir DIR [--lanes 16] [--steps 20] [--repeats 5]

Trains stacks of lanes that all use one parameter, with one thread, three hidden layers and batches
of 128. For each width it prints the time of a step over that of a stack without the parameter, and
the time per lane over that of the sequential engine with the parameter: medians over interleaved
repeats of the ratio within each. It counts processor time, which other work disturbs less.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from contestants.this_project import build_config

from sweep.data import default_data_dir, load_training_data
from sweep.families import load_family
from sweep.records import DataSettings, Objective
from sweep.training.batches import Batches
from sweep.training.hardware import choose_precision
from sweep.training.lane import Lane
from sweep.training.sequential import SequentialGroup
from sweep.training.stacked import StackedGroup

CPU = torch.device("cpu")
PLAIN = "adamw alone"
PARAMETERS: dict[str, Mapping[str, Any]] = {
    PLAIN: {},
    "optimizer: adam": {"optimizer": "adam"},
    "optimizer: sgd": {"optimizer": "sgd", "momentum": 0.9},
    "optimizer: rmsprop": {"optimizer": "rmsprop"},
    "optimizer: nadam": {"optimizer": "nadam"},
    "optimizer: muon": {"optimizer": "muon"},
    "gradient_clip": {"gradient_clip": 1.0},
    "max_norm": {"max_norm": 2.0},
    "weight_averaging": {"weight_averaging": 0.999},
    "warmup": {"warmup": 0.1},
    "label_smoothing": {"label_smoothing": 0.1},
    "class_weights": {"class_weights": "balanced"},
    "dropout": {"dropout": 0.2},
    "normalization: batch": {"normalization": "batch"},
    "normalization: layer": {"normalization": "layer"},
    "width_shape: pyramid": {"width_shape": "pyramid"},
    "activation: gelu": {"activation": "gelu"},
    "activation: silu": {"activation": "silu"},
    "activation: elu": {"activation": "elu"},
    "activation: mish": {"activation": "mish"},
    "flip": {"flip": "horizontal"},
    "augmentation: shift": {"augmentation": "shift"},
    "augmentation: affine": {"augmentation": "affine"},
    "augmentation: elastic": {"augmentation": "elastic"},
    "input_noise": {"input_noise": 0.1},
    "input_dropout": {"input_dropout": 0.2},
}


def build(
    engine: str, batches: Batches, width: int, count: int, changes: Mapping[str, Any], steps: int
) -> Callable[[], float]:
    """Warm up a group; each call of the result returns the seconds of a step."""
    objective = Objective("validation_accuracy", "maximize")
    lanes = []
    for number in range(count):
        config = build_config(number, width)
        lanes.append(Lane(replace(config, params={**config.params, **changes}), objective))
    kind = StackedGroup if engine == "stacked" else SequentialGroup
    group = kind(lanes, batches, load_family("mlp"))
    group.begin_epoch()
    group.step(0)

    def measure() -> float:
        started = time.process_time()
        for index in range(steps):
            group.step(index)
        return (time.process_time() - started) / steps

    return measure


def ratio(times: list[float], others: list[float]) -> float:
    """The median of the ratios within each repeat."""
    return statistics.median(a / b for a, b in zip(times, others, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=default_data_dir())
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--lanes", type=int, default=16)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--parameters", nargs="+", choices=PARAMETERS, default=list(PARAMETERS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # as workers do
    data = load_training_data(DataSettings("builtin", "mnist", str(arguments.data_dir)))
    precision = choose_precision(arguments.precision, CPU)
    batches = Batches(data, 0, CPU, precision)
    names = [PLAIN, *(name for name in arguments.parameters if name != PLAIN)]
    for width in arguments.widths:
        groups = {
            (engine, name): build(engine, batches, width, count, PARAMETERS[name], arguments.steps)
            for engine, count in (("stacked", arguments.lanes), ("sequential", 1))
            for name in names
        }
        times: dict[tuple[str, str], list[float]] = {key: [] for key in groups}
        for _ in range(arguments.repeats):
            for key, measure in groups.items():
                times[key].append(measure())
        plain = times["stacked", PLAIN]
        print(f"\n{precision.name}, {arguments.lanes} lanes of {width}", end=", ")
        print(f"{statistics.median(plain) * 1e3:.2f} ms a step")
        print(f"{'':24}{'step':>8}{'lane / sequential':>20}")
        for name in names:
            step = times["stacked", name]
            of_lane = ratio(step, times["sequential", name]) / arguments.lanes
            print(f"{name:24}{ratio(step, plain):8.2f}{of_lane:20.2f}", flush=True)


if __name__ == "__main__":
    main()
