"""Trains the configurations of the search benchmark and keeps their learning curves.

    python bench/search/collect.py --data-dir DIR [--tasks digits-five …] [--processes 2]

Some hours of two cores; an interrupted run continues where it stopped. Every configuration is
trained by this project's engine, in stacks, to its last epoch. The fifty best are trained with
three more seeds, each with an order of the examples of its own. What has been trained lies in
`out/bench/search/curves`; when a task is complete, it is packed into `bench/search/curves`.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from curve_files import CURVES, METRICS, Curves
from judging import JudgedGroup
from tasks import MAX_EPOCHS, TASKS, Task

from sweep.data import data_settings, default_data_dir, load_training_data
from sweep.records import Decision, Epoch, Objective, TrainingSettings, TrialConfig
from sweep.space import random_configurations

ROOT = Path(__file__).parents[2]
CHUNKS = ROOT / "out" / "bench" / "search" / "curves"
LANES = 16
HELD_OUT = 2 / 3  # of the pool: half to choose on, half to judge on
NUM_BEST = 50
NUM_SEEDS = 4


@dataclass(frozen=True, slots=True)
class Chunk:
    """Configurations that are trained as one stack, and the file of their curves."""

    task: Task
    seed: int
    configurations: tuple[int, ...]
    data_dir: Path

    @property
    def file(self) -> Path:
        """Where the curves lie, (lanes, epochs, metrics), NaN after the last epoch."""
        numbers = "-".join(map(str, self.configurations))
        return CHUNKS / self.task.name / f"seed{self.seed}-{numbers}.npz"

    @property
    def is_done(self) -> bool:
        """Whether it has been trained."""
        return self.file.exists()


def chunks(task: Task, seed: int, configurations: Sequence[int], data_dir: Path) -> Iterator[Chunk]:
    """Configurations that stack well, together."""
    drawn = random_configurations(task.space(), task.num_configurations)
    kinds: dict[Any, list[int]] = {}
    for number in configurations:
        params = drawn[number]
        kinds.setdefault((params["batch_size"], params["normalization"]), []).append(number)
    for _, numbers in sorted(kinds.items()):
        numbers.sort(key=lambda n: (drawn[n]["layer_size"], drawn[n]["epochs"]))
        for start in range(0, len(numbers), LANES):
            yield Chunk(task, seed, tuple(numbers[start : start + LANES]), data_dir)


def train(chunk: Chunk) -> None:
    """Train a chunk and write its curves."""
    import torch

    from sweep.training import load_groups
    from sweep.training.engine import Engine

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    settings = data_settings(chunk.task.space().dataset, chunk.data_dir)
    data = load_training_data(replace(settings, validation=HELD_OUT))
    training = TrainingSettings(
        model="mlp",
        data=settings,
        spec=data.spec,
        order_seed=0,
        objective=Objective("validation_loss", "minimize"),  # or examples have no losses
        device="cpu",
        num_sharing=1,
        num_threads=1,
        engine="stacked",
        precision=chunk.task.precision,
        lanes=len(chunk.configurations),
    )
    build = load_groups(training.model, training.engine)
    labels = data.validation.labels
    engine = Engine(training, data, lambda *made: JudgedGroup(build(*made), labels))
    drawn = random_configurations(chunk.task.space(), chunk.task.num_configurations)
    configs = [
        TrialConfig(n, seed=1000 * chunk.seed + n, params=drawn[n], order=chunk.seed)
        for n in chunk.configurations
    ]
    place = {number: lane for lane, number in enumerate(chunk.configurations)}
    curves = np.full((len(configs), MAX_EPOCHS, len(METRICS)), np.nan)
    messages = engine.add(configs)
    while messages or not engine.is_idle:
        for message in messages:
            if isinstance(message, Epoch):
                for found in message.metrics:
                    row = [found.values[name] for name in METRICS[:-1]]
                    curves[place[found.trial], found.epoch - 1] = [*row, found.seconds]
                trials = [found.trial for found in message.metrics]
                engine.decide(trials, [Decision.CONTINUE] * len(trials))
        messages = engine.advance(60)
    chunk.file.parent.mkdir(parents=True, exist_ok=True)
    part = chunk.file.with_suffix(".part")
    with part.open("wb") as file:
        np.savez_compressed(file, curves=curves)
    part.rename(chunk.file)


def read(task: Task, found: Sequence[Chunk]) -> np.ndarray:
    """Curves of chunks, by configuration: (configurations, epochs, metrics), NaN for no curve."""
    curves = np.full((task.num_configurations, MAX_EPOCHS, len(METRICS)), np.nan)
    for chunk in found:
        with np.load(chunk.file) as file:
            curves[list(chunk.configurations)] = file["curves"]
    return curves


def best_of(curves: np.ndarray) -> list[int]:
    """The configurations with the highest validation accuracy at any epoch."""
    highest = np.nanmax(curves[:, :, METRICS.index("validation_accuracy")], axis=1, initial=0.0)
    return sorted(np.argsort(-highest, kind="stable")[:NUM_BEST].tolist())


def train_all(todo: Sequence[Chunk], processes: int) -> None:
    """Train what has not been trained yet, the longest first."""
    left = [chunk for chunk in todo if not chunk.is_done]
    left.reverse()  # the widest networks come last in each kind
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes) as pool:
        for number, _ in enumerate(pool.imap_unordered(train, left), start=1):
            print(f"  {number} of {len(left)} stacks", flush=True)


def collect(task: Task, data_dir: Path, processes: int) -> None:
    """All curves of a task, packed."""
    print(task.name, flush=True)
    first = list(chunks(task, 0, range(task.num_configurations), data_dir))
    train_all(first, processes)
    curves = read(task, first)
    best = best_of(curves)
    again = {seed: list(chunks(task, seed, best, data_dir)) for seed in range(1, NUM_SEEDS)}
    train_all([chunk for found in again.values() for chunk in found], processes)
    more = np.stack([read(task, found)[best] for found in again.values()])
    settings = replace(data_settings(task.space().dataset, data_dir), validation=HELD_OUT)
    data = load_training_data(settings)
    Curves(
        curves=curves,
        best=np.array(best),
        repeated=more,
        num_train=len(data.train),
        num_judged=len(data.validation) // 2,
    ).write(CURVES / f"{task.name}.npz")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=default_data_dir())
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    for name in arguments.tasks:
        collect(TASKS[name], arguments.data_dir.resolve(), arguments.processes)


if __name__ == "__main__":
    main()
