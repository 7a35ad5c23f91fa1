"""This project's engines: one worker's training steps, without validation and without a driver."""

from __future__ import annotations

from functools import partial

import torch

from contestants import workload
from contestants.serving import Prepared, Settings, serve
from sweep.data import load_training_data
from sweep.families import load_family
from sweep.records import DataSettings, Objective, TrialConfig
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


def prepare(settings: Settings) -> Prepared:
    torch.set_num_threads(settings.threads)
    torch.set_flush_denormal(True)  # as workers do
    data = load_training_data(DataSettings("builtin", "mnist", settings.data_dir))
    assert len(data.train) == workload.NUM_IMAGES
    device = torch.device("cpu")
    batches = Batches(data, 0, device, choose_precision(settings.precision, device))
    objective = Objective("validation_accuracy", "maximize")
    lanes = [
        Lane(build_config(number, settings.width), objective) for number in range(settings.lanes)
    ]
    group = _GROUPS[settings.engine](lanes, batches)

    def train_epoch() -> None:
        group.begin_epoch()
        for index in range(group.num_steps):
            group.step(index)
        for lane in group.lanes:
            lane.epoch += 1  # `Lane.record` does this after validation

    train_epoch()

    def go() -> int:
        for _ in range(settings.epochs):
            train_epoch()
        return settings.epochs * settings.lanes

    return Prepared(go, "its own split of 50,000; the networks are kept between measurements")


if __name__ == "__main__":
    serve(prepare, ("sweep", "torch", "numpy"))
