"""Groups trained to the end on digits, in one process, and how far their losses are apart."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

import torch

from sweep.data import TrainingData, load_training_data
from sweep.definitions import parameters_of, with_defaults
from sweep.families import load_family
from sweep.records import DataSettings, Objective, TrialConfig
from sweep.training.batches import Batches
from sweep.training.groups import Group
from sweep.training.hardware import PRECISIONS, Precision
from sweep.training.lane import Lane
from sweep.training.sequential import SequentialGroup
from sweep.training.stacked import StackedGroup

__all__ = ["CPU", "Losses", "apart", "config", "gap", "group_of", "losses_of", "plain_float32"]

CPU = torch.device("cpu")
OBJECTIVE = Objective("validation_accuracy", "maximize")
Losses = dict[int, list[float]]
"""Training and validation loss of each epoch, by trial number."""


@cache
def digits() -> TrainingData:
    return load_training_data(DataSettings("builtin", "digits", "data"))


def config(number: int, model: str = "mlp", **params: Any) -> TrialConfig:
    return TrialConfig(number, 1000 + number, with_defaults(parameters_of(model), params))


@contextmanager
def plain_float32() -> Iterator[Precision]:
    """Context in which a GPU, too, multiplies in float32 and not in TF32."""
    settings = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [each.allow_tf32 for each in settings]
    for each in settings:
        each.allow_tf32 = False
    try:
        yield PRECISIONS["float32"]
    finally:
        for each, allowed in zip(settings, before, strict=True):
            each.allow_tf32 = allowed


def group_of(engine: str, lanes: Sequence[Lane], batches: Batches, model: str = "mlp") -> Group:
    kind = StackedGroup if engine == "stacked" else SequentialGroup
    return kind(lanes, batches, load_family(model))


def losses_of(
    engine: str,
    configs: Sequence[TrialConfig],
    device: torch.device,
    precision: Precision,
    *,
    model: str = "mlp",
    ends: Mapping[int, int] | None = None,
) -> Losses:
    """Train to the end, or each trial to the epoch at which it `ends`; what they lose."""
    batches = Batches(digits(), 0, device, precision)
    build = partial(group_of, engine, batches=batches, model=model)
    lanes = [Lane(each, OBJECTIVE) for each in configs]
    losses: Losses = {}
    for together in [lanes] if engine == "stacked" else [[lane] for lane in lanes]:
        _train(build(together), ends or {}, losses)
    return losses


def _train(group: Group, ends: Mapping[int, int], losses: Losses) -> None:
    while True:
        group.begin_epoch()
        for index in range(group.num_steps):
            group.step(index)
        staying = []
        for position, measured in enumerate(group.finish_epoch()):
            lane = group.lanes[position]
            number = lane.config.number
            lane.epoch += 1  # `Lane.record` does this in an engine
            losses.setdefault(number, []).extend(
                measured.values[name] for name in ("train_loss", "validation_loss")
            )
            if lane.epoch < ends.get(number, lane.recipe.epochs):
                staying.append(position)
        if not staying:
            return
        if len(staying) < len(group.lanes):
            group.keep(staying)


def gap(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The largest difference relative to their loss, or to 0.1 where that is less."""
    if len(ours) != len(theirs) or not all(map(math.isfinite, [*ours, *theirs])):
        return math.inf
    return max(abs(a - b) / max(abs(b), 0.1) for a, b in zip(ours, theirs, strict=True))


def apart(ours: Losses, theirs: Losses) -> float:
    """The largest gap of any trial."""
    if ours.keys() != theirs.keys():
        return math.inf
    return max(gap(ours[number], theirs[number]) for number in ours)
