"""A driver for engines under test, and groups that can be watched or made to fail."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from helpers import make_config, make_settings

from sweep.data import TrainingData
from sweep.execution import Capacity
from sweep.execution.workload import Submission, Workload
from sweep.families import load_family
from sweep.records import (
    Checkpoint,
    CheckpointRefused,
    Decision,
    Epoch,
    EpochMetrics,
    Message,
    Notice,
    OutOfMemory,
    Paused,
    Resumed,
    TrialConfig,
    TrialOutcome,
)
from sweep.training.batches import Batches
from sweep.training.engine import Engine
from sweep.training.groups import BuildGroup, Group
from sweep.training.hardware import PRECISIONS
from sweep.training.lane import Lane
from sweep.training.sequential import SequentialGroup
from sweep.training.stacked import StackedGroup

MLP = load_family("mlp")
GROUPS: dict[str, BuildGroup] = {
    "sequential": partial(SequentialGroup, family=MLP),
    "stacked": partial(StackedGroup, family=MLP),
}

Answer = Callable[[EpochMetrics], Decision]
Watch = Callable[..., None]
"""Receives the method, the trial numbers of the lanes, and the arguments; may raise."""


def go_on(_: EpochMetrics) -> Decision:
    return Decision.CONTINUE


def pause_at(epochs: dict[int, int]) -> Answer:
    """Pause these trials after these epochs."""
    return lambda m: Decision.PAUSE if epochs.get(m.trial) == m.epoch else Decision.CONTINUE


def prune_at(epochs: dict[int, int]) -> Answer:
    """Prune these trials after these epochs."""
    return lambda m: Decision.PRUNE if epochs.get(m.trial) == m.epoch else Decision.CONTINUE


class WatchedGroup:
    """A group that announces each call before it does it."""

    def __init__(self, group: Group, watch: Watch) -> None:
        self._group, self._watch = group, watch

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._group, name)
        if not callable(value):
            return value

        def call(*arguments: Any) -> Any:
            self._watch(name, numbers(self._group.lanes), *arguments)
            return value(*arguments)

        return call


def numbers(lanes: Sequence[Lane]) -> list[int]:
    return sorted(lane.config.number for lane in lanes)


def make_engine(
    data: TrainingData, name: str = "stacked", watch: Watch | None = None, **changes: Any
) -> Engine:
    """An engine by name: sequential with one lane, stacked with eight."""
    settings = make_settings(
        **{"engine": name, "lanes": 1 if name == "sequential" else 8, **changes}
    )
    if watch is None:
        return Engine(settings, data, GROUPS[name])

    def build(lanes: Sequence[Lane], batches: Batches) -> Group:
        watch("build", numbers(lanes))
        return WatchedGroup(GROUPS[name](lanes, batches), watch)

    return Engine(settings, data, build)


class Driver:
    """Adds trials to an engine, answers its epochs, collects its messages.

    Args:
        engine: Advanced one step at a time.
        answer: Decides after each trial's epoch.
        patience: Steps before an epoch is answered, unless the engine is idle without the answer.
    """

    def __init__(self, engine: Engine, answer: Answer = go_on, patience: int = 0) -> None:
        self.engine = engine
        self.epochs: list[tuple[EpochMetrics, ...]] = []
        self.outcomes: dict[int, TrialOutcome] = {}
        self.notices: list[str] = []
        self.refused: dict[int, str] = {}
        self.out_of_memory: list[OutOfMemory] = []
        self.checkpoints: dict[int, list[Checkpoint]] = {}
        self.resumed: dict[int, tuple[EpochMetrics, ...]] = {}
        self.paused: dict[int, TrialOutcome] = {}
        self._answer, self._patience = answer, patience
        self._open: deque[tuple[int, tuple[EpochMetrics, ...]]] = deque()
        self._trials: dict[int, TrialConfig] = {}
        self._now = 0

    def run(self, *configs: TrialConfig) -> list[TrialOutcome]:
        """Train these to the end; their outcomes in this order."""
        self.add(*configs)
        while self.num_open:
            self.turn()
        return [self.outcomes[config.number] for config in configs]

    def add(
        self, *configs: TrialConfig, checkpoints: Mapping[int, Checkpoint] | None = None
    ) -> None:
        """Add trials in the stacks that a pool would form."""
        load = Workload(Capacity.of(self.engine._settings))
        for config in configs:
            self._trials[config.number] = config
            checkpoint = (checkpoints or {}).get(config.number)
            load.take(Submission(0, config, lambda: None), checkpoint)
        for assignments in load.start():
            known = {c.trial: c for a in assignments if (c := a.checkpoint)}
            self._take(self.engine.add([a.config for a in assignments], known))

    @property
    def num_open(self) -> int:
        """Trials that have neither ended nor paused."""
        return len(self._trials.keys() - self.outcomes.keys())

    def turn(self) -> None:
        """Answer what is due and train one step."""
        while self._open and (self._open[0][0] <= self._now or self.engine.is_idle):
            _, metrics = self._open.popleft()
            trials = [m.trial for m in metrics]
            self._take(self.engine.decide(trials, [self._answer(m) for m in metrics]))
        waits = self.engine.is_idle and not self._open and self.num_open
        assert not waits, f"the engine waits for nothing, {self.num_open} trials are lost"
        self._take(self.engine.advance(0.0))
        self._now += 1

    def _take(self, messages: Iterable[Message]) -> None:
        for message in messages:
            match message:
                case TrialOutcome():
                    assert message.trial not in self.outcomes, "a trial ends once"
                    self.outcomes[message.trial] = message
                case Checkpoint():
                    self.checkpoints.setdefault(message.trial, []).append(message)
                case Notice(text):
                    self.notices.append(text)
                case CheckpointRefused(trial, reason):
                    self.refused[trial] = reason
                    self.add(self._trials[trial])
                case OutOfMemory(trials, _):
                    self.out_of_memory.append(message)
                    for trial in trials:
                        del self._trials[trial]  # retrying is the job of the pool
                case Paused(outcome):
                    self.paused[outcome.trial] = outcome
                    del self._trials[outcome.trial]
                case Resumed(trial, history):
                    self.resumed[trial] = history
                    self._open.append((self._now + self._patience, history[-1:]))
                case Epoch(epoch):
                    self.epochs.append(epoch)
                    self._open.append((self._now + self._patience, epoch))


def train(
    data: TrainingData,
    *configs: TrialConfig,
    name: str = "stacked",
    answer: Answer = go_on,
    patience: int = 0,
    **changes: Any,
) -> list[TrialOutcome]:
    """The outcomes of these trials, in this order."""
    return Driver(make_engine(data, name, **changes), answer, patience).run(*configs)


def interrupted(engine: Engine, steps: int, *configs: TrialConfig) -> dict[int, Checkpoint]:
    """Train so many steps, then save what is under way, as a driver that is stopped does."""
    driver = Driver(engine)
    driver.add(*configs)
    for _ in range(steps):
        driver.turn()
    driver._take(list(engine.save()))
    assert driver.checkpoints.keys() == {config.number for config in configs}, "it is over already"
    return {trial: saved[-1] for trial, saved in driver.checkpoints.items()}


def continued(engine: Engine, states: Mapping[int, Checkpoint], *configs: TrialConfig) -> Driver:
    """Train these from their checkpoints to the end."""
    driver = Driver(engine)
    driver.add(*configs, checkpoints=states)
    while driver.num_open:
        driver.turn()
    return driver


def make_batches(data: TrainingData, precision: str = "float32", order_seed: int = 0) -> Batches:
    return Batches(data, order_seed, torch.device("cpu"), PRECISIONS[precision])


def make_group(
    name: str, configs: Sequence[TrialConfig], data: TrainingData, precision: str = "float32"
) -> Group:
    objective = make_settings().objective
    lanes = [Lane(config, objective) for config in configs]
    return GROUPS[name](lanes, make_batches(data, precision))


def logits_of(outcome: TrialOutcome, config: TrialConfig, data: TrainingData) -> np.ndarray:
    """Validation logits of the network with the outcome's weights."""
    assert outcome.weights is not None
    network = MLP.build(config.params, data.spec)
    weights = safetensors.torch.load(outcome.weights)
    network.load_state_dict(weights)
    network.eval()
    values = data.validation.inputs.reshape(len(data.validation), -1).astype(np.float64)
    values = (values - data.mean) / data.std
    with torch.no_grad():
        return network.double()(torch.tensor(values)).numpy()


def several(**changes) -> list[TrialConfig]:
    """Five trials of one batch size that differ in everything else."""
    kinds = [
        {
            "activation": "sigmoid",
            "layer_size": 17,
            "num_layers": 3,
            "dropout": 0.2,
            "label_smoothing": 0.1,
            "class_weights": "balanced",
            "normalization": "batch",
            "width_shape": "pyramid",
        },
        {
            "activation": "tanh",
            "layer_size": 18,
            "optimizer": "adam",
            "class_weights": "balanced",
            "normalization": "layer",
            "initialization": "orthogonal",
        },
        {"activation": "relu", "num_layers": 4, "dropout": 0.4},
        {"activation": "leaky_relu", "optimizer": "sgd", "learning_rate": 0.05},
        {"num_layers": 1, "learning_rate_schedule": "one_cycle"},
    ]
    return [
        make_config(**{"number": n, "seed": 50 + n, "epochs": 3 + n % 2, **kind, **changes})
        for n, kind in enumerate(kinds)
    ]


def assert_same(ours: TrialOutcome, theirs: TrialOutcome, tolerance: float = 1e-10) -> None:
    """Two trials agree up to float64 rounding."""
    assert (ours.trial, ours.state) == (theirs.trial, theirs.state)
    assert len(ours.history) == len(theirs.history)
    for mine, other in zip(ours.history, theirs.history, strict=True):
        assert mine.epoch == other.epoch
        assert mine.values["train_accuracy"] == other.values["train_accuracy"]
        expected = pytest.approx(dict(other.values), rel=tolerance, abs=tolerance)
        assert dict(mine.values) == expected, f"values of trial {ours.trial}"
        rate = pytest.approx(other.learning_rate, rel=tolerance, abs=tolerance)
        assert mine.learning_rate == rate, f"learning rate of trial {ours.trial}"
    assert ours.best_epoch == theirs.best_epoch
    assert ours.validation_predictions == theirs.validation_predictions
    assert (ours.validation_losses is None) == (theirs.validation_losses is None)
    assert ours.num_parameters == theirs.num_parameters
    assert (ours.weights is None) == (theirs.weights is None)
    if ours.weights is not None:
        mine, other = (safetensors.torch.load(o.weights) for o in (ours, theirs))
        assert mine.keys() == other.keys()
        for key, weight in mine.items():
            torch.testing.assert_close(weight, other[key], rtol=tolerance, atol=tolerance)
