"""Trials that are trained in one stack end as they do alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
import safetensors.torch
import torch
from effort import examples
from helpers import DIGITS, make_config, make_settings
from hypothesis import given
from hypothesis import strategies as st

from sweep.data import TrainingData, load_training_data
from sweep.definitions import parameters_of
from sweep.execution import Capacity
from sweep.records import Decision, Epoch, Message, TrialConfig, TrialOutcome, TrialState
from sweep.training import load_engine

# Of losses, relative and absolute. float64 rounding hides no mistake and flips no prediction.
TOLERANCES = {"float64": 1e-9, "float32": 1e-3}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As in a worker: for such small products, synchronising threads costs more than it gains."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def data() -> TrainingData:
    """A hundred training and forty validation images of digits."""
    digits = load_training_data(DIGITS)
    return replace(
        digits,
        train=digits.train.take(np.arange(100)),
        validation=digits.validation.take(np.arange(40)),
    )


@dataclass(frozen=True)
class Mixture:
    """Trials of one worker.

    Attributes:
        configs: The trials.
        ends: The epoch after which each trial is pruned, if it gets there.
        patience: Steps before an epoch is answered.
        lanes: The largest number of trials in one stack.
    """

    configs: tuple[TrialConfig, ...]
    ends: tuple[int | None, ...]
    patience: int
    lanes: int


def choice(name: str) -> st.SearchStrategy[str]:
    return st.sampled_from(parameters_of("mlp")[name].choices)


@st.composite
def trials(draw: st.DrawFn, number: int, min_units: int) -> TrialConfig:
    optimizer = draw(choice("optimizer"))
    return make_config(
        number=number,
        seed=draw(st.integers(0, 2**32 - 1)),
        num_layers=draw(st.integers(1, 6)),
        layer_size=draw(st.integers(min_units, 40)),
        activation=draw(choice("activation")),
        weight_decay=draw(st.sampled_from([0.0, 1e-4, 0.1])),
        epochs=draw(st.integers(1, 4)),
        learning_rate=draw(st.sampled_from([1e-4, 1e-3, 1e-2])) * (5 if optimizer == "sgd" else 1),
        batch_size=draw(st.sampled_from([25, 32, 100, 101])),
        optimizer=optimizer,
        momentum=draw(st.sampled_from([0.0, 0.5, 0.9])),
        dropout=draw(st.sampled_from([0.0, 0.2, 0.5])),
        learning_rate_schedule=draw(choice("learning_rate_schedule")),
        label_smoothing=draw(st.sampled_from([0.0, 0.1])),
        class_weights=draw(choice("class_weights")),
        augmentation=draw(choice("augmentation")),
        flip=draw(choice("flip")),
        width_shape=draw(choice("width_shape")),
        normalization=draw(choice("normalization")),
        initialization=draw(choice("initialization")),
        warmup=draw(st.sampled_from([0.0, 0.1, 0.5])),
        gradient_clip=draw(st.sampled_from([0.0, 0.3, 2.0])),
        max_norm=draw(st.sampled_from([0.0, 0.7, 2.0])),
        weight_averaging=draw(st.sampled_from([0.0, 0.5, 0.99])),
        input_dropout=draw(st.sampled_from([0.0, 0.2])),
        input_noise=draw(st.sampled_from([0.0, 0.3])),
    )


@st.composite
def mixtures(draw: st.DrawFn, min_units: int) -> Mixture:
    """Trials with at least so many units in a hidden layer.

    Normalisation of a few, of which relu and dropout may leave one, no longer depends on how large
    they are: the gradients below are nothing but rounding, of which Adam makes steps.
    """
    numbers = draw(st.lists(st.integers(0, 99), min_size=1, max_size=8, unique=True))
    return Mixture(
        tuple(draw(trials(number, min_units)) for number in numbers),
        tuple(draw(st.none() | st.integers(1, 4)) for _ in numbers),
        patience=draw(st.integers(0, 12)),
        lanes=draw(st.sampled_from([8, 3, 1])),
    )


def outcomes(engine: str, mixture: Mixture, precision: str) -> list[TrialOutcome]:
    """Train the stacks in turn, answering late; the outcomes in the order of the trials."""
    lanes = mixture.lanes if engine == "stacked" else 1
    settings = make_settings(engine=engine, lanes=lanes, precision=precision)
    trainer = load_engine(settings, data())
    ends = dict(zip([c.number for c in mixture.configs], mixture.ends, strict=True))
    ended: dict[int, TrialOutcome] = {}
    unanswered: deque[tuple[int, Epoch]] = deque()

    def take(messages: Sequence[Message], now: int) -> None:
        for message in messages:
            if isinstance(message, TrialOutcome):
                assert message.trial not in ended
                ended[message.trial] = message
            else:
                assert isinstance(message, Epoch)
                unanswered.append((now + mixture.patience, message))

    for stack in Capacity.of(settings).stacks(mixture.configs):
        trainer.add(stack)
    now = 0
    while len(ended) < len(mixture.configs):
        while unanswered and (unanswered[0][0] <= now or trainer.is_idle):
            _, epoch = unanswered.popleft()
            decisions = [
                Decision.PRUNE if ends[m.trial] == m.epoch else Decision.CONTINUE
                for m in epoch.metrics
            ]
            take(trainer.decide([m.trial for m in epoch.metrics], decisions), now)
        assert not trainer.is_idle or len(ended) == len(mixture.configs)
        take(trainer.advance(0.0), now)
        now += 1
    return [ended[config.number] for config in mixture.configs]


def losses(outcome: TrialOutcome) -> list[float]:
    names = ("train_loss", "validation_loss")
    return [metrics.values[name] for metrics in outcome.history for name in names]


def assert_ended_as_told(mixture: Mixture, results: Sequence[TrialOutcome]) -> None:
    for config, end, outcome in zip(mixture.configs, mixture.ends, results, strict=True):
        epochs = config.params["epochs"]
        pruned = end is not None and end <= epochs
        assert outcome.state is (TrialState.PRUNED if pruned else TrialState.COMPLETE)
        assert [m.epoch for m in outcome.history] == list(range(1, 1 + (end if pruned else epochs)))


@examples(12)
@given(mixtures(min_units=3))
def test_every_trial_of_a_stack_ends_as_it_does_alone(mixture):
    """In float64: losses, predictions, the best epoch and its weights."""
    stacked, alone = (outcomes(name, mixture, "float64") for name in ("stacked", "sequential"))
    assert_ended_as_told(mixture, stacked)
    tolerance = TOLERANCES["float64"]
    for ours, theirs in zip(stacked, alone, strict=True):
        assert ours.state is theirs.state
        assert losses(ours) == pytest.approx(losses(theirs), rel=tolerance, abs=tolerance)
        assert [m.learning_rate for m in ours.history] == pytest.approx(
            [m.learning_rate for m in theirs.history], rel=1e-12
        )
        assert ours.validation_predictions == theirs.validation_predictions
        assert ours.best_epoch == theirs.best_epoch
        assert ours.num_parameters == theirs.num_parameters
        assert (ours.weights is None) == (theirs.weights is None)
        if ours.weights is not None:
            mine, others = (safetensors.torch.load(o.weights) for o in (ours, theirs))
            torch.testing.assert_close(mine, others, rtol=tolerance, atol=tolerance)


@examples(12)
@given(mixtures(min_units=8))
def test_in_float32_the_losses_are_the_same_but_for_rounding(mixture):
    """Predictions may differ where two classes are nearly tied, which losses do not show."""
    stacked, alone = (outcomes(name, mixture, "float32") for name in ("stacked", "sequential"))
    assert_ended_as_told(mixture, stacked)
    tolerance = TOLERANCES["float32"]
    for ours, theirs in zip(stacked, alone, strict=True):
        assert losses(ours) == pytest.approx(losses(theirs), rel=tolerance, abs=tolerance)
