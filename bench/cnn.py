"""What a step of the CNN costs in the engine, beside the same network's bare steps and usual loop.

    python bench/cnn.py --data-dir DIR [--precision float32] [--threads 1] [--steps 40]

All train the same network on MNIST with batches of 128 and fused AdamW, in one process, in turn:
`engine` is the sequential engine; `bare` reads its batches from bytes in memory, in the engine's
form of the network, in float32; `usual` is plain PyTorch, fed by torchvision's data set and a
DataLoader without processes. Prints milliseconds of a step, medians of interleaved repeats, and
their ratios; `epoch` is an epoch of the engine, order and validation of 10,000 images included,
over as many bare steps. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from contestants.usual_loop import build_loader
from harness.machine import load_words
from harness.mnist import unpacked_mnist
from torch import Tensor, nn
from torch.nn import functional

from sweep.data import TrainingData, default_data_dir, load_training_data
from sweep.definitions import DATASETS, Params, parameters_of, with_defaults
from sweep.families import load_family
from sweep.records import DataSettings, Objective, TrialConfig
from sweep.training.batches import Batches
from sweep.training.hardware import choose_precision
from sweep.training.lane import Lane
from sweep.training.sequential import SequentialGroup

CPU = torch.device("cpu")
NETWORKS = (
    {},
    {"pooling": "stride"},
    {"channels": 32},
    {"channels": 32, "pooling": "stride"},
    {"normalization": "none", "dropout": 0.25, "head_size": 128},
)
Steps = Iterator[object]
"""Each `next` trains one step."""


def engine(params: Params, data: TrainingData, precision: str) -> SequentialGroup:
    batches = Batches(data, 0, CPU, choose_precision(precision, CPU))
    lane = Lane(TrialConfig(0, 0, params), Objective("validation_accuracy", "maximize"))
    return SequentialGroup([lane], batches, load_family("cnn"))


def engine_steps(group: SequentialGroup) -> Steps:
    group.begin_epoch()
    while True:
        for index in range(group.num_steps):
            yield group.step(index)


def engine_rest(group: SequentialGroup) -> Steps:
    """What an epoch does besides its steps."""
    while True:
        group.begin_epoch()
        yield group.finish_epoch()


def bare_steps(params: Params, data: TrainingData) -> Steps:
    network = load_family("cnn").build(params, data.spec)
    pixels, labels = torch.tensor(data.train.inputs), torch.tensor(data.train.labels)
    mean, std = float(data.mean.mean()), float(data.std.mean())

    def read() -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            for rows in torch.randperm(len(labels)).split(int(params["batch_size"])):
                yield (pixels[rows].float() - mean) / std, labels[rows]

    return train(network, read(), params)


def usual_steps(params: Params, data_dir: str) -> Steps:
    network = load_family("cnn").build(params, DATASETS["mnist"])
    return train(network.layers, endless(build_loader(data_dir, 0)), params)


def endless(loader: torch.utils.data.DataLoader) -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        yield from loader


def train(network: nn.Module, batches: Iterator[tuple[Tensor, Tensor]], params: Params) -> Steps:
    rate, decay = float(params["learning_rate"]), float(params["weight_decay"])
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=decay, fused=True)
    for images, labels in batches:
        optimizer.zero_grad()
        functional.cross_entropy(network(images), labels).backward()
        yield optimizer.step()


def milliseconds(steps: Steps, number: int) -> float:
    started = time.perf_counter()
    for _ in range(number):
        next(steps)
    return (time.perf_counter() - started) / number * 1e3


def measure(contestants: Sequence[tuple[Steps, int]], repeats: int) -> list[float]:
    """The median of each contestant, timed for so many of its steps."""
    times: list[list[float]] = [[] for _ in contestants]
    for steps, _ in contestants:
        milliseconds(steps, 3)
    for _ in range(repeats):
        for (steps, number), found in zip(contestants, times, strict=True):
            found.append(milliseconds(steps, number))
    return [statistics.median(found) for found in times]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=default_data_dir())
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)  # as workers do
    data = load_training_data(DataSettings("builtin", "mnist", str(arguments.data_dir)))
    print(load_words())
    print(f"milliseconds of a step, {arguments.precision}, {arguments.threads} thread(s)")
    heads = f"{'engine/bare':>13}{'usual/engine':>14}{'epoch/bare':>12}"
    print(f"{'engine':>8}{'bare':>8}{'usual':>8}{heads}")
    with unpacked_mnist(arguments.data_dir) as data_dir:
        for changes in NETWORKS:
            params = with_defaults(parameters_of("cnn"), changes)
            group = engine(params, data, arguments.precision)
            contestants = [
                (engine_steps(group), arguments.steps),
                (bare_steps(params, data), arguments.steps),
                (usual_steps(params, data_dir), arguments.steps),
                (engine_rest(engine(params, data, arguments.precision)), 1),
            ]
            ours, bare, usual, rest = measure(contestants, arguments.repeats)
            epoch = (group.num_steps * ours + rest) / (group.num_steps * bare)
            ratios = f"{ours / bare:13.2f}{usual / ours:14.2f}{epoch:12.2f}"
            words = ", ".join(f"{name} {value}" for name, value in changes.items()) or "defaults"
            print(f"{ours:8.1f}{bare:8.1f}{usual:8.1f}{ratios}  {words}", flush=True)


if __name__ == "__main__":
    main()
