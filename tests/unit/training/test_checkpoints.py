"""A trial that continues from its checkpoint ends as if it had never been interrupted."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import safetensors.torch
import torch
from driving import (
    Driver,
    assert_same,
    continued,
    interrupted,
    make_engine,
    prune_at,
    several,
    train,
)
from helpers import changed, make_config, timeless

from sweep.data import TrainingData
from sweep.records import Checkpoint, Decision, Epoch, Objective, TrialState
from sweep.training.checkpoints import unpack

ENGINES = ("sequential", "stacked")
OPTIMIZERS = ("adamw", "adam", "sgd")
STEPS = (1, 2, 3, 4, 5, 6, 8, 9, 11)  # of the twelve or so that the trial has


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", ENGINES)
def test_a_trial_goes_on_to_the_last_bit(small: TrainingData, name, optimizer, steps):
    config = make_config(optimizer=optimizer, dropout=0.3, learning_rate_schedule="one_cycle")
    (undisturbed,) = train(small, config, name=name)

    states = interrupted(make_engine(small, name), steps, config)
    driver = continued(make_engine(small, name), states, config)

    assert driver.refused == {}
    assert timeless(driver.outcomes[0]) == timeless(undisturbed)
    progress, _ = unpack(states[0].state)
    assert driver.resumed[0] == progress.history
    trained = sum(len(epoch) for epoch in driver.epochs)
    assert trained == config.params["epochs"] - len(progress.history)


def test_there_is_something_left_to_train_wherever_the_test_above_stops(small: TrainingData):
    engine = make_engine(small, "sequential")
    places = set()
    for steps in STEPS:
        states = interrupted(make_engine(small, "sequential"), steps, make_config())
        progress, _ = unpack(states[0].state)
        places.add((states[0].epoch, states[0].step))
        assert (len(progress.history), progress.step) == (states[0].epoch, states[0].step)
    assert {epoch for epoch, _ in places} >= {0, 1, 2}
    assert len({step for _, step in places}) > 2
    assert list(engine.save()) == []


@pytest.mark.parametrize("patience", [0, 3])
def test_lanes_go_on_together(small: TrainingData, patience):
    configs = several()
    undisturbed = train(small, *configs, precision="float64")
    driver = Driver(make_engine(small, precision="float64"), patience=patience)
    driver.add(*configs)
    for _ in range(9):
        driver.turn()
    driver._take(list(driver.engine.save()))
    states = {trial: saved[-1] for trial, saved in driver.checkpoints.items()}
    assert len(states) == len(configs)

    later = continued(make_engine(small, precision="float64"), states, *configs)
    for outcome in undisturbed:
        ours = later.outcomes[outcome.trial]
        assert_same(ours, replace(outcome, num_lanes=ours.num_lanes))
        assert ours.num_lanes == 5
    assert any(len(epoch) == 5 for epoch in later.epochs), "they were stacked again"


@pytest.mark.parametrize("normalization", ["batch", "layer"])
@pytest.mark.parametrize("first", ENGINES)
def test_either_engine_goes_on_from_the_other(small: TrainingData, first, normalization):
    second = next(name for name in ENGINES if name != first)
    config = make_config(
        layer_size=17, num_layers=4, dropout=0.2, activation="sigmoid", width_shape="pyramid",
        normalization=normalization,
    )  # fmt: skip
    (undisturbed,) = train(small, config, name="sequential", precision="float64")
    states = interrupted(make_engine(small, first, precision="float64"), 6, config)
    driver = continued(make_engine(small, second, precision="float64"), states, config)
    assert driver.refused == {}
    assert_same(driver.outcomes[0], undisturbed)


def test_lanes_of_different_epochs_go_on_each_at_its_own(small: TrainingData):
    configs = [make_config(number=n, seed=n, epochs=3) for n in range(2)]
    undisturbed = train(small, *configs, precision="float64")
    states = {}
    for steps, config in zip((3, 7), configs, strict=True):
        states |= interrupted(make_engine(small, precision="float64"), steps, config)
    driver = continued(make_engine(small, precision="float64"), states, *configs)
    for outcome in undisturbed:
        ours = driver.outcomes[outcome.trial]
        assert_same(ours, replace(outcome, num_lanes=ours.num_lanes))


@pytest.mark.parametrize("name", ENGINES)
def test_a_trial_that_waits_for_its_last_decision_is_saved(small: TrainingData, name):
    config = make_config(epochs=2)
    engine = make_engine(small, name)
    engine.add([config])
    messages = []
    while sum(isinstance(m, Epoch) for m in messages) < 1:
        messages += engine.advance(math.inf)
    engine.decide([0], [Decision.CONTINUE])
    while sum(isinstance(m, Epoch) for m in messages) < 2:
        messages += engine.advance(math.inf)
    (saved,) = engine.save()
    assert isinstance(saved, Checkpoint)
    assert saved.epoch == 2

    driver = continued(make_engine(small, name), {0: saved}, config)
    assert driver.epochs == []
    (undisturbed,) = train(small, config, name=name)
    assert timeless(driver.outcomes[0]) == timeless(undisturbed)


@pytest.mark.parametrize("name", ENGINES)
def test_a_decision_that_was_not_heard_of_is_made_again(small: TrainingData, name):
    config = make_config(epochs=3)
    engine = make_engine(small, name)
    engine.add([config])
    messages = []
    while not any(isinstance(m, Epoch) for m in messages):
        messages += engine.advance(math.inf)
    (saved,) = engine.save()
    driver = Driver(make_engine(small, name), answer=prune_at({0: 1}))
    driver.add(config, checkpoints={0: saved})
    while driver.num_open:
        driver.turn()
    assert driver.outcomes[0].state is TrialState.PRUNED
    assert [m.epoch for m in driver.outcomes[0].history] == [1]


def other_network(state: bytes) -> bytes:
    """The checkpoint with a weight of another shape."""
    (length,) = struct.unpack_from("<Q", state)
    header = json.loads(state[8 : 8 + length])
    tensors = safetensors.torch.load(state)
    name = next(name for name in tensors if name.startswith("group.network"))
    return safetensors.torch.save({**tensors, name: torch.zeros(1)}, header["__metadata__"])


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda state: b"", "not a checkpoint"),
        (lambda state: state[:-1], "not a checkpoint"),
        (lambda state: b"\x80\x04." + state, "not a checkpoint"),
        (other_network, "a tensor of torch.float32 .* is needed; found torch.float32 \\(1,\\)"),
    ],
)
def test_what_is_no_checkpoint_of_the_trial_is_said_and_passed_over(
    small: TrainingData, name, spoil, words
):
    config = make_config()
    (undisturbed,) = train(small, config, name=name)
    states = interrupted(make_engine(small, name), 6, config)
    driver = continued(
        make_engine(small, name), {0: replace(states[0], state=spoil(states[0].state))}, config
    )
    assert re.search(words, driver.refused[0])
    assert timeless(driver.outcomes[0]) == timeless(undisturbed)


@pytest.mark.parametrize("name", ENGINES)
def test_hits_before_and_after_an_interruption_are_counted_together(small: TrainingData, name):
    """A checkpoint in the middle of an epoch holds the hits so far."""
    config = make_config(epochs=1, dropout=0.3)
    (undisturbed,) = train(small, config, name=name)
    (epoch,) = undisturbed.history
    num_right = epoch.values["train_accuracy"] * 120
    assert 0 < num_right == round(num_right) < 120
    states = interrupted(make_engine(small, name), 2, config)
    progress, tensors = unpack(states[0].state)
    assert progress.step == 2
    assert tensors["group.train_correct"] > 0
    driver = continued(make_engine(small, name), states, config)
    assert driver.outcomes[0].history[0].values == epoch.values


def without_hits(state: bytes) -> bytes:
    """A checkpoint from before they were counted."""
    (length,) = struct.unpack_from("<Q", state)
    header = json.loads(state[8 : 8 + length])
    tensors = safetensors.torch.load(state)
    del tensors["group.train_correct"]
    return safetensors.torch.save(tensors, header["__metadata__"])


@pytest.mark.parametrize("name", ENGINES)
def test_a_checkpoint_from_before_hits_were_counted_is_passed_over(small: TrainingData, name):
    config = make_config()
    (undisturbed,) = train(small, config, name=name)
    states = interrupted(make_engine(small, name), 6, config)
    driver = continued(
        make_engine(small, name),
        {0: replace(states[0], state=without_hits(states[0].state))},
        config,
    )
    assert "train_correct" in driver.refused[0]
    assert timeless(driver.outcomes[0]) == timeless(undisturbed)


def test_a_checkpoint_of_another_configuration_or_precision_is_passed_over(small: TrainingData):
    states = interrupted(make_engine(small), 6, make_config())
    driver = continued(make_engine(small), states, make_config(layer_size=16))
    assert "another configuration" in driver.refused[0]
    driver = continued(make_engine(small, precision="float64"), states, make_config())
    assert "another precision: float32 instead of float64" in driver.refused[0]


def test_a_lane_that_cannot_be_saved_stops_neither_itself_nor_the_others(small: TrainingData):
    configs = [make_config(number=n, epochs=2) for n in range(2)]

    def watch(what: str, _trials: list[int], *arguments: object) -> None:
        if what == "tensors" and arguments == (0,):
            raise RuntimeError("no")

    driver = Driver(make_engine(small, watch=watch))
    driver.add(*configs)
    driver.turn()
    driver._take(list(driver.engine.save()))
    assert len(driver.checkpoints) == 1
    assert driver.notices == ["trial 0 could not be saved: no"]
    while driver.num_open:
        driver.turn()
    assert {o.state for o in driver.outcomes.values()} == {TrialState.COMPLETE}


def with_parameters(state: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    """A checkpoint of a version that has other parameters."""
    (length,) = struct.unpack_from("<Q", state)
    metadata = json.loads(state[8 : 8 + length])["__metadata__"]
    ((progress,),) = [json.loads(text) for text in metadata.values()]
    change(progress["config"]["params"])
    metadata = dict.fromkeys(metadata, json.dumps([progress]))
    return safetensors.torch.save(safetensors.torch.load(state), metadata)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_parameter_that_is_newer_than_the_checkpoint_had_its_default(
    small: TrainingData, optimizer
):
    rate = {"adamw": 1e-3, "sgd": 0.05}[optimizer]
    config = make_config(optimizer=optimizer, learning_rate=rate)
    (undisturbed,) = train(small, config)
    states = interrupted(make_engine(small), 6, config)
    for name in ("dropout", "learning_rate"):
        state = with_parameters(states[0].state, lambda params, name=name: params.pop(name))
        older = {0: replace(states[0], state=state)}
        driver = continued(make_engine(small), older, config)
        assert driver.refused == {}
        assert timeless(driver.outcomes[0]) == timeless(undisturbed)
        driver = continued(make_engine(small), older, changed(config, **{name: 0.5}))
        assert "another configuration" in driver.refused[0]


def test_a_checkpoint_with_a_parameter_that_is_not_known_is_passed_over(small: TrainingData):
    states = interrupted(make_engine(small), 6, make_config())
    state = with_parameters(states[0].state, lambda params: params.update(num_heads=4))
    driver = continued(make_engine(small), {0: replace(states[0], state=state)}, make_config())
    assert "another configuration" in driver.refused[0]
    assert "num_heads" in driver.refused[0]


@pytest.mark.parametrize("name", ENGINES)
def test_a_checkpoint_holds_what_the_best_epoch_is_told_of(small: TrainingData, name):
    """The losses, too, where the study ranks by them."""
    objective = Objective("validation_loss", "minimize")
    config = make_config(epochs=4, dropout=0.2)
    (undisturbed,) = train(small, config, name=name, objective=objective)
    assert len(undisturbed.validation_losses) == 4 * len(small.validation)
    states = interrupted(make_engine(small, name, objective=objective), 10, config)
    driver = continued(make_engine(small, name, objective=objective), states, config)
    assert driver.refused == {}
    assert timeless(driver.outcomes[0]) == timeless(undisturbed)
