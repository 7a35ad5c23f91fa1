"""A trial whose numbers are lost fails as data, wherever it happens, and disturbs no other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from driving import GROUPS, Driver, make_engine, several
from helpers import make_config, make_settings, timeless

from sweep.data import TrainingData
from sweep.records import FailureKind, TrialConfig, TrialState
from sweep.training.batches import Batches
from sweep.training.engine import Engine
from sweep.training.groups import Group
from sweep.training.lane import Lane


class PoisonedGroup:
    """A group in which a trial's weights are lost before one of its steps."""

    def __init__(self, group: Group, trial: int, epoch: int, step: int) -> None:
        self._group = group
        self._when = (trial, epoch, step)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._group, name)

    def step(self, index: int) -> None:
        for position, lane in enumerate(self._group.lanes):
            if (lane.config.number, lane.epoch + 1, index) == self._when:
                for key, tensor in self._group.tensors(position).items():
                    if key.startswith("network.") and tensor.is_floating_point():
                        tensor.fill_(math.nan)
        self._group.step(index)


def train(
    data: TrainingData, name: str, when: tuple[int, int, int], configs: Sequence[TrialConfig]
) -> Driver:
    settings = make_settings(engine=name, lanes=1 if name == "sequential" else 8)

    def build(lanes: Sequence[Lane], batches: Batches) -> Group:
        return PoisonedGroup(GROUPS[name](lanes, batches), *when)

    driver = Driver(Engine(settings, data, build))
    driver.run(*configs)
    return driver


@pytest.mark.parametrize("step", [0, 2])
@pytest.mark.parametrize("epoch", [1, 2, 3])
@pytest.mark.parametrize("name", sorted(GROUPS))
def test_a_trial_fails_in_the_epoch_in_which_its_numbers_are_lost(
    small: TrainingData, name, epoch, step
):
    config = make_config(epochs=3)
    outcome = train(small, name, (0, epoch, step), [config]).outcomes[0]
    assert outcome.state is TrialState.FAIL
    assert outcome.failure.kind is FailureKind.NAN
    assert outcome.failure.reason.startswith(f"epoch {epoch}: training loss nan")
    assert [m.epoch for m in outcome.history] == list(range(1, epoch))
    assert all(math.isfinite(m.values["train_loss"]) for m in outcome.history)
    assert outcome.best_epoch == (None if epoch == 1 else outcome.best_epoch)
    assert outcome.weights is None


@pytest.mark.parametrize("epoch", [1, 2, 3])
@pytest.mark.parametrize("trial", [0, 3])
def test_the_lanes_beside_it_notice_nothing(small: TrainingData, trial, epoch):
    configs = several(num_layers=2, layer_size=16)
    undisturbed = Driver(make_engine(small)).run(*configs)
    driver = train(small, "stacked", (trial, epoch, 1), configs)
    for expected in undisturbed:
        outcome = driver.outcomes[expected.trial]
        if expected.trial == trial:
            assert outcome.failure.kind is FailureKind.NAN
        else:
            assert timeless(outcome) == timeless(expected)
