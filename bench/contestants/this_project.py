"""This project's engines: one worker's training steps, without validation and without a driver."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch

import sweep
from contestants import workload
from contestants.serving import Prepared, Settings, serve
from sweep.data import load_training_data
from sweep.execution.freed_memory import keep_freed_memory
from sweep.families import load_family
from sweep.records import DataSettings, Objective, TrialConfig
from sweep.runner.automatic import full_stacks
from sweep.training.batches import Batches
from sweep.training.groups import BuildGroup
from sweep.training.hardware import choose_precision
from sweep.training.lane import Lane
from sweep.training.sequential import SequentialGroup
from sweep.training.stacked import StackedGroup

_MLP = load_family("mlp")
_GROUPS: dict[str, BuildGroup] = {
    "sequential": partial(SequentialGroup, family=_MLP),
    "stacked": partial(StackedGroup, family=_MLP),
}
_WARM_UP_STEPS = 40
_MANY_EPOCHS = 10_000  # a trial continues from `go` to `go`


def build_config(number: int, width: int) -> TrialConfig:
    params = {
        "num_layers": workload.NUM_HIDDEN_LAYERS + 1,
        "layer_size": width,
        "activation": "relu",
        "weight_decay": workload.WEIGHT_DECAY,
        "epochs": _MANY_EPOCHS,
        "learning_rate": workload.LEARNING_RATE,
        "batch_size": workload.BATCH_SIZE,
        "optimizer": "adamw",
        "momentum": 0.0,
        "dropout": 0.0,
        "learning_rate_schedule": "constant",
    }
    return TrialConfig(number, number, params)


@dataclass(frozen=True, slots=True)
class Automatic:
    """What this project chooses by itself."""

    processes: int
    threads: int
    precision: str
    lanes: int


def choose_automatically(width: int, data_dir: str) -> Automatic:
    """As `sweep run` chooses for a study of this network alone, where trials enough are waiting."""
    space = {
        "name": "bench",
        "dataset": "mnist",
        "parameters": build_config(0, width).params
        | {"epochs": 1, "weight_decay": {"low": 1e-3, "high": 0.1}},
        "sampler": {"type": "random"},
        "pruner": {"type": "none"},
        "budget": {"trials": 1000},
    }
    choices = sweep.check(space, data_dir=data_dir).cost.training
    fullest = full_stacks(choices)  # of the only network
    lanes = min(choices.lanes, round(fullest[0][1])) if fullest else choices.lanes
    return Automatic(choices.workers, choices.threads, choices.precision, lanes)


def prepare(settings: Settings) -> Prepared:
    torch.set_num_threads(settings.threads)
    torch.set_flush_denormal(True)  # as workers do
    keep_freed_memory()  # likewise
    data = load_training_data(DataSettings("builtin", "mnist", settings.data_dir))
    assert len(data.train) == workload.NUM_IMAGES
    device = torch.device("cpu")
    batches = Batches(data, 0, device, choose_precision(settings.precision, device))
    objective = Objective("validation_accuracy", "maximize")
    lanes = [
        Lane(build_config(number, settings.width), objective) for number in range(settings.lanes)
    ]
    group = _GROUPS[settings.engine](lanes, batches)

    def train(num_steps: int) -> None:
        """Part of an epoch, beginning included, or a whole one."""
        group.begin_epoch()
        for index in range(num_steps):
            group.step(index)
        for lane in group.lanes:
            lane.epoch += 1  # `Lane.record` does this after validation

    train(_WARM_UP_STEPS)

    def go() -> float:
        if settings.steps:
            train(settings.steps)
            return settings.steps / group.num_steps * settings.lanes
        for _ in range(settings.epochs):
            train(group.num_steps)
        return settings.epochs * settings.lanes

    return Prepared(go, "its own split of 50,000; the networks are kept between measurements")


if __name__ == "__main__":
    serve(prepare, ("sweep", "torch", "numpy"))
