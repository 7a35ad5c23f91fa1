"""One group on the device, timed: its steps, and what an epoch does besides."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from contestants.this_project import build_config

from gpu_proof.findings import Setting
from gpu_proof.timing import seconds_of, seconds_of_call
from gpu_proof.training import OBJECTIVE, group_of
from sweep.data import load_training_data
from sweep.records import DataSettings, TrialConfig
from sweep.training import PRECISION_NAMES
from sweep.training.batches import Batches
from sweep.training.groups import Group
from sweep.training.hardware import choose_precision
from sweep.training.lane import Lane
from sweep.training.timing import product_rate

__all__ = ["Epoch", "batches_of", "mlp_configs", "time_epoch"]

_WARM_UP_STEPS = 6  # past the capture of a graph


@dataclass(frozen=True, slots=True)
class Epoch:
    """Seconds of an epoch of a group.

    Attributes:
        lanes: Networks in the group.
        num_steps: Of an epoch.
        step: Of one step.
        rest: What an epoch does besides: its order, its validation, copies of weights.
        leaving: What it costs that a lane leaves, new graphs included; 0 for a single lane.
    """

    lanes: int
    num_steps: int
    step: float
    rest: float
    leaving: float

    @property
    def trial_epochs_per_second(self) -> float:
        """Epochs of all lanes together."""
        return self.lanes / (self.num_steps * self.step + self.rest)


def batches_of(setting: Setting) -> Batches:
    """MNIST on the device, in the precision of its fastest bare products."""
    device = torch.device(setting.device)
    data = load_training_data(DataSettings("builtin", "mnist", setting.data_dir))
    fastest = max(PRECISION_NAMES, key=lambda name: product_rate(name, device))
    return Batches(data, 0, device, choose_precision(fastest, device))


def mlp_configs(width: int, lanes: int) -> list[TrialConfig]:
    """Networks of three hidden layers, as in the other benchmarks."""
    return [build_config(number, width) for number in range(lanes)]


def time_epoch(
    engine: str, configs: list[TrialConfig], batches: Batches, model: str, seconds: float
) -> Epoch:
    """Train for about so many seconds and measure."""
    group = group_of(engine, [Lane(each, OBJECTIVE) for each in configs], batches, model)
    device = batches.device
    group.begin_epoch()
    # The last batch of an epoch may be smaller: another graph.
    full = itertools.cycle(range(max(1, group.num_steps - 1)))
    for _ in range(_WARM_UP_STEPS):
        group.step(next(full))
    step = seconds_of_call(lambda: group.step(next(full)), device, seconds)
    for _ in range(4):
        group.finish_epoch()
    rest = seconds_of(lambda: _turn(group), device)

    def leave() -> None:
        group.keep(range(len(configs) - 1))
        for _ in range(_WARM_UP_STEPS):
            group.step(next(full))

    leaving = seconds_of(leave, device) - _WARM_UP_STEPS * step if len(configs) > 1 else 0.0
    return Epoch(len(configs), group.num_steps, step, rest, leaving)


def _turn(group: Group) -> None:
    """End an epoch as an engine does, with weights copied, and begin the next."""
    group.finish_epoch()
    for position in range(len(group.lanes)):
        group.copy_weights(position)
    group.begin_epoch()
