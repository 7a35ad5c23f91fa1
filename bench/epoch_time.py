"""Seconds of one epoch: the usual torchvision + DataLoader loop against this project's engine.

    make bench          or: python bench/epoch_time.py --data-dir DIR --out FILE.json

Same data (MNIST, 50,000 training images), network (three hidden layers of 512, ReLU), batch size
(128), optimiser (AdamW, fused), number of threads and process, no validation on either side.
Repeats are interleaved; medians and ratios are printed, with hardware and versions. Run it on a
machine that does nothing else.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torchvision
from torch import nn
from torch.utils.data import DataLoader, Subset
from torchvision import transforms

from sweep.data import TrainingData, default_data_dir, load_training_data
from sweep.models import MLP, build_mlp
from sweep.provenance import package_versions
from sweep.records import Objective, TrainingSettings, TrialConfig
from sweep.training.optimizers import build_optimizer
from sweep.training.sequential import SequentialEngine

BATCH = 128


def network(data: TrainingData, width: int) -> tuple[TrialConfig, MLP]:
    config = TrialConfig(
        number=0,
        seed=0,
        num_layers=4,
        layer_size=width,
        activation="relu",
        weight_decay=0.01,
        epochs=1000,
        learning_rate=1e-3,
        batch_size=BATCH,
        optimizer="adamw",
        momentum=0.9,
        dropout=0.0,
        learning_rate_schedule="constant",
    )
    return config, build_mlp(config, num_inputs=data.num_inputs, num_classes=data.num_classes)


def usual_epoch(
    folder: Path, data: TrainingData, width: int, num_workers: int
) -> Callable[[], float]:
    """The loop of PyTorch's own MNIST example, with a fused optimiser."""
    transform = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]
    )
    dataset = torchvision.datasets.MNIST(str(folder), train=True, transform=transform)
    loader = DataLoader(
        Subset(dataset, range(len(data.train))),
        batch_size=BATCH,
        shuffle=True,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
    )
    _, model = network(data, width)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01, fused=True)
    loss_function = nn.CrossEntropyLoss()

    def epoch() -> float:
        started = time.perf_counter()
        model.train()
        for images, labels in loader:
            optimizer.zero_grad()
            loss = loss_function(model(images.flatten(1)), labels)
            loss.backward()
            optimizer.step()
        return time.perf_counter() - started

    return epoch


def engine_epoch(data: TrainingData, width: int) -> Callable[[], float]:
    """One epoch as `SequentialEngine` trains it, its own code called from outside."""
    settings = TrainingSettings(
        dataset="mnist",
        num_validation=None,
        split_seed=0,
        data_dir="",
        order_seed=0,
        objective=Objective("validation_accuracy", "maximize"),
        device="cpu",
        num_threads=torch.get_num_threads(),
        engine="sequential",
    )
    config, model = network(data, width)
    engine = SequentialEngine(settings, data)
    optimizer = build_optimizer(model.parameters(), config)
    trial = engine.trial(config)
    number = iter(range(1, 1000))

    def epoch() -> float:
        started = time.perf_counter()
        trial.train_epoch(model, optimizer, next(number))
        return time.perf_counter() - started

    return epoch


def unpack(data_dir: Path, folder: Path) -> None:
    """Torchvision reads unpacked files only."""
    target = folder / "MNIST" / "raw"
    target.mkdir(parents=True)
    for file in (data_dir / "MNIST" / "raw").iterdir():
        if file.suffix == ".gz":
            (target / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
        elif not (target / file.name).exists():
            (target / file.name).write_bytes(file.read_bytes())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=default_data_dir())
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 512])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    data = load_training_data("mnist", arguments.data_dir, num_validation=None, split_seed=0)
    result: dict[str, object] = {
        "machine": {"cores": os.cpu_count(), "processor": platform.processor() or "unknown"},
        "threads": torch.get_num_threads(),
        "versions": package_versions() | {"torchvision": torchvision.__version__},
        "repeats": arguments.repeats,
        "seconds": {},
    }
    seconds: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        unpack(arguments.data_dir, Path(temporary))
        for width in arguments.widths:
            loops = {
                "usual loop, no loader processes": usual_epoch(Path(temporary), data, width, 0),
                "usual loop, 2 loader processes": usual_epoch(Path(temporary), data, width, 2),
                "sequential engine": engine_epoch(data, width),
            }
            times: dict[str, list[float]] = {name: [] for name in loops}
            for repeat in range(arguments.repeats + 1):
                for name, epoch in loops.items():
                    elapsed = epoch()
                    if repeat:  # the first round warms up
                        times[name].append(elapsed)
            seconds[str(width)] = times
            report(width, times)
    result["seconds"] = seconds
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(result, indent=2) + "\n")


def report(width: int, times: dict[str, list[float]]) -> None:
    medians = {name: statistics.median(values) for name, values in times.items()}
    ours = medians["sequential engine"]
    print(f"three hidden layers of {width}:")
    for name, median in medians.items():
        low, high = min(times[name]), max(times[name])
        print(
            f"  {name:32s} {median:6.2f} s  ({low:.2f} to {high:.2f})  {median / ours:5.1f} x ours"
        )


if __name__ == "__main__":
    main()
