"""Trains the configurations of the search benchmark and keeps their learning curves.

    python bench/search/collect.py --data-dir DIR [--tasks digits-five …] [--processes 2]

Some hours of two cores; an interrupted run continues where it stopped. Every configuration is
trained by this project's engine to its last epoch, those of the mlp in stacks. The fifty best are
trained with three more seeds, each with an order of the examples of its own. What has been trained
lies in `out/bench/search/curves`; when a task is complete, it is packed into `bench/search/curves`.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from curve_files import CURVES, METRICS, Curves
from judging import JudgedGroup
from tasks import MAX_EPOCHS, TASKS, Task

from sweep.data import TrainingData, data_settings, default_data_dir, load_training_data
from sweep.records import (
    Decision,
    Epoch,
    FailureKind,
    Objective,
    TrainingSettings,
    TrialConfig,
    TrialOutcome,
)
from sweep.space import random_configurations

if TYPE_CHECKING:
    from sweep.training.engine import Engine

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
        numbers.sort(key=lambda n: (drawn[n].get("layer_size", 0), drawn[n]["epochs"]))
        for start in range(0, len(numbers), LANES):
            yield Chunk(task, seed, tuple(numbers[start : start + LANES]), data_dir)


def thirds(task: Task, data_dir: Path) -> TrainingData:
    """A task's data: two thirds are held out, every other example of them to judge on."""
    settings = data_settings(task.space().dataset, data_dir)
    data = load_training_data(replace(settings, validation=HELD_OUT))
    train, held_out = (
        part.take(np.arange(0, len(part), task.thinning)) for part in (data.train, data.validation)
    )
    return replace(data, train=train, validation=held_out)


def train(chunk: Chunk) -> None:
    """Train a chunk and write its curves."""
    import torch

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    engine = load_judged_engine(chunk)
    drawn = random_configurations(chunk.task.space(), chunk.task.num_configurations)
    configs = [
        TrialConfig(n, seed=1000 * chunk.seed + n, params=drawn[n], order=chunk.seed)
        for n in chunk.configurations
    ]
    groups = [configs] if chunk.task.model == "mlp" else [[config] for config in configs]
    curves = np.concatenate([record(engine, group) for group in groups])
    chunk.file.parent.mkdir(parents=True, exist_ok=True)
    part = chunk.file.with_suffix(".part")
    with part.open("wb") as file:
        np.savez_compressed(file, curves=curves)
    part.rename(chunk.file)


def load_judged_engine(chunk: Chunk) -> Engine:
    """The engine that trains a chunk, which measures both halves of what is held out."""
    from sweep.training import load_groups
    from sweep.training.engine import Engine

    data = thirds(chunk.task, chunk.data_dir)
    training = TrainingSettings(
        model=chunk.task.model,
        spec=data.spec,
        order_seed=0,
        objective=Objective("validation_loss", "minimize"),  # or examples have no losses
        device="cpu",
        num_sharing=1,
        num_threads=1,
        engine="stacked" if chunk.task.model == "mlp" else "sequential",
        precision=chunk.task.precision,
        lanes=len(chunk.configurations),
    )
    build = load_groups(training.model, training.engine)
    return Engine(training, data, lambda *made: JudgedGroup(build(*made), data.validation.labels))


def record(engine: Engine, configs: Sequence[TrialConfig]) -> np.ndarray:
    """Train trials to their end: their curves, (trials, epochs, metrics); NaN once they diverge."""
    place = {config.number: row for row, config in enumerate(configs)}
    curves = np.full((len(configs), MAX_EPOCHS, len(METRICS)), np.nan)
    messages = engine.add(configs)
    while messages or not engine.is_idle:
        for message in messages:
            if isinstance(message, TrialOutcome):
                failure = message.failure
                if failure and failure.kind is not FailureKind.NAN:
                    raise RuntimeError(f"trial {message.trial}: {failure.reason}")
            elif isinstance(message, Epoch):
                for found in message.metrics:
                    row = [found.values[name] for name in METRICS[:-1]]
                    curves[place[found.trial], found.epoch - 1] = [*row, found.seconds]
                trials = [found.trial for found in message.metrics]
                engine.decide(trials, [Decision.CONTINUE] * len(trials))
        messages = engine.advance(60)
    return curves


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
    data = thirds(task, data_dir)
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
