"""The convolutional network in the engine that trains it."""

from __future__ import annotations

from typing import Any

import pytest
from driving import Driver
from helpers import make_settings, timeless

from sweep.data import TrainingData
from sweep.definitions import parameters_of, with_defaults
from sweep.records import Checkpoint, TrialConfig, TrialState
from sweep.training import load_engine
from sweep.training.engine import Engine


def engine(data: TrainingData) -> Engine:
    return load_engine(make_settings(model="cnn", spec=data.spec), data)


def config(**params: Any) -> TrialConfig:
    return TrialConfig(0, 7, with_defaults(parameters_of("cnn"), params))


def test_the_defaults_learn_the_digits(digits):
    (outcome,) = Driver(engine(digits)).run(config(epochs=3, batch_size=32))
    assert outcome.state is TrialState.COMPLETE
    assert outcome.best.values["validation_accuracy"] > 0.93


@pytest.mark.parametrize("normalization", ["batch", "layer"])
def test_a_trial_goes_on_to_the_last_bit(small, normalization):
    """In the middle of an epoch, running means and dropout included."""
    trial = config(
        epochs=3, batch_size=32, channels=4, dropout=0.3, head_size=8, normalization=normalization
    )
    (undisturbed,) = Driver(engine(small)).run(trial)
    assert undisturbed.state is TrialState.COMPLETE

    first = Driver(engine(small))
    first.add(trial)
    for _ in range(6):
        first.turn()
    (saved,) = first.engine.save()
    assert isinstance(saved, Checkpoint)
    assert (saved.epoch, saved.step > 0) == (1, True)
    second = Driver(engine(small))
    second.add(trial, checkpoints={0: saved})
    while second.num_open:
        second.turn()
    assert second.refused == {}
    assert timeless(second.outcomes[0]) == timeless(undisturbed)
