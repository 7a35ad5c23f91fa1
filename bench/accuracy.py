"""Test accuracy of the write-up's network by engine and precision, over several seeds.

    python bench/accuracy.py --data-dir DIR [--seeds 10] [--epochs 20] [--workers 2]

Trains `search_spaces/article.yaml` (four layers of 512, Leaky ReLU, Adam with a decay of 0.01) once
for each seed, engine and precision, and measures the weights that a sweep would keep (best epoch on
validation data) on the test split. Prints the differences of the means with Welch's 95 % intervals.
Nothing is chosen by these figures.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from harness import machine
from scipy import stats

from sweep.data import Part, TrainingData, default_data_dir, load_training_data
from sweep.data.sealed import open_test_split
from sweep.families import load_family
from sweep.records import (
    DataSettings,
    Decision,
    Objective,
    TrainingSettings,
    TrialConfig,
    TrialOutcome,
    trials_of,
)
from sweep.space import load_space
from sweep.training import load_engine
from sweep.training.engine import Engine

REPOSITORY = Path(__file__).parents[1]
SPACE = REPOSITORY / "search_spaces" / "article.yaml"
OUT = REPOSITORY / "out" / "accuracy.json"
VARIANTS = (
    ("sequential", "float32"),
    ("sequential", "bfloat16"),
    ("stacked", "float32"),
    ("stacked", "bfloat16"),
)


def train(
    engine: str, precision: str, seeds: Sequence[int], epochs: int, *, data_dir: Path
) -> list[float]:
    """Train the network with each seed; the test accuracies in the order of the seeds."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # as workers do
    where = DataSettings("builtin", "mnist", str(data_dir))
    data = load_training_data(where)
    together = len(seeds) if engine == "stacked" else 1
    settings = TrainingSettings(
        model="mlp",
        spec=data.spec,
        order_seed=0,
        objective=Objective("validation_accuracy", "maximize"),
        device="cpu",
        num_sharing=machine.num_cores(),
        num_threads=1,
        engine=engine,
        precision=precision,
        lanes=together,
    )
    configs = [build_config(seed, epochs) for seed in seeds]
    trained = load_engine(settings, data)
    outcomes: dict[int, TrialOutcome] = {}
    for first in range(0, len(configs), together):
        outcomes |= run_trials(trained, configs[first : first + together])
    return [
        measure_accuracy(outcomes[seed], config, data, open_test_split(where))
        for seed, config in zip(seeds, configs, strict=True)
    ]


def build_config(seed: int, epochs: int) -> TrialConfig:
    return TrialConfig(seed, seed, {**load_space(SPACE).domains, "epochs": epochs})


def run_trials(engine: Engine, configs: Sequence[TrialConfig]) -> dict[int, TrialOutcome]:
    """Train one stack to the end, like a driver that prunes nothing."""
    outcomes: dict[int, TrialOutcome] = {}
    engine.add(configs)
    while len(outcomes) < len(configs):
        messages = list(engine.advance(seconds=1.0))
        while messages:
            message = messages.pop(0)
            if isinstance(message, TrialOutcome):
                outcomes[message.trial] = message
                continue
            trials = trials_of(message)
            messages += engine.decide(trials, [Decision.CONTINUE] * len(trials))
    return outcomes


@torch.no_grad()
def measure_accuracy(
    outcome: TrialOutcome, config: TrialConfig, data: TrainingData, test: Part
) -> float:
    """Accuracy of the kept weights on the test split, computed in float32."""
    if outcome.weights is None:
        raise RuntimeError(f"seed {config.seed}: no weights; {outcome.failure}")
    model = load_family("mlp").build(config.params, data.spec)
    model.load_state_dict(safetensors.torch.load(outcome.weights))
    mean, std = (torch.tensor(each, dtype=torch.float32) for each in (data.mean, data.std))
    pixels = torch.tensor(test.inputs.reshape(len(test), -1), dtype=torch.float32)
    predicted = model.eval()((pixels - mean) / std).argmax(1).numpy()
    return float((predicted == test.labels).mean())


def difference(ones: Sequence[float], others: Sequence[float]) -> tuple[float, float, float]:
    """Mean of `ones` minus mean of `others`, and the limits of Welch's 95 % interval."""
    result = stats.ttest_ind(ones, others, equal_var=False)
    interval = result.confidence_interval(0.95)
    return statistics.mean(ones) - statistics.mean(others), interval.low, interval.high


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=default_data_dir())
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--workers", type=int, default=machine.num_cores())
    parser.add_argument("--out", type=Path, default=OUT, help="default: out/accuracy.json")
    arguments = parser.parse_args()
    if arguments.seeds < 2:
        parser.error("--seeds must be at least 2: one seed has no standard deviation")
    return arguments


def main() -> None:
    arguments = parse_arguments()
    num_parts = min(arguments.workers, arguments.seeds)
    parts = [part.tolist() for part in np.array_split(range(arguments.seeds), num_parts)]
    found: dict[str, list[float]] = {}
    # PyTorch must not be forked once it has threads.
    with ProcessPoolExecutor(num_parts, mp_context=get_context("spawn")) as pool:
        for engine, precision in VARIANTS:
            work = partial(
                train, engine, precision, epochs=arguments.epochs, data_dir=arguments.data_dir
            )
            accuracies = [accuracy for part in pool.map(work, parts) for accuracy in part]
            found[f"{engine} {precision}"] = accuracies
            report(f"{engine} {precision}", accuracies, next(iter(found.values())))
    machine.write_result(arguments.out, epochs=arguments.epochs, test_accuracies=found)


def report(name: str, accuracies: list[float], reference: list[float]) -> None:
    mean = statistics.mean(accuracies)
    deviation = statistics.stdev(accuracies)
    error = deviation / len(accuracies) ** 0.5
    line = f"{name:20s} {mean:.3%}  deviation {deviation:.3%}  standard error {error:.3%}"
    if accuracies is not reference:
        apart, low, high = difference(accuracies, reference)
        line += f"  from the first row {apart:+.3%} ({low:+.3%} to {high:+.3%})"
    print(line, flush=True)


if __name__ == "__main__":
    main()
