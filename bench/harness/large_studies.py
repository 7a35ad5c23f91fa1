"""Stores with studies of many trials, made without training anything.

What training would have measured is made up, and written as a sweep writes it: through Optuna,
with this project's digests, an outcome with its reports for every trial.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from sweep.codec import to_plain
from sweep.definitions import DATASETS
from sweep.records import (
    CalibrationBin,
    ConfusionMatrix,
    DataFacts,
    EpochMetrics,
    Failure,
    FailureKind,
    Mistake,
    TestReading,
    TrialConfig,
    TrialOutcome,
    TrialState,
)
from sweep.space import SearchSpace, load_space
from sweep.store import Store, StoredStudy
from sweep.store.digests import with_digest
from sweep.store.stored import StoredTrial, trial_summary
from sweep.study import RECORD, StudySession, distributions

__all__ = ["NAME", "fill"]

SPACE = Path(__file__).parents[2] / "search_spaces" / "mnist.yaml"
NAME = "large"
EPOCHS = 12
NUM_CLASSES = 10
NUM_IMAGES = 10_000  # of MNIST's validation split, and of its test split
NUM_MISTAKES = 24
NUM_BINS = 15
BATCH = 500  # trials that are committed together
BEGINNING = datetime(2026, 1, 1)  # Optuna's times have no zone
ENVIRONMENT = {"python": "3.11.7", "torch": "2.15.0", "sweep": "0.1.0", "commit": "f" * 40}

Classes = npt.NDArray[np.uint8]


def fill(file: Path, num_trials: int) -> None:
    """Make a store with one finished study whose test split was read."""
    generator = np.random.default_rng(0)
    space = _space(num_trials)
    ranges = distributions(space)
    images = _Images.make(generator)
    store = Store(f"sqlite:///{file}", to_write=True)
    StudySession(store.storage, NAME, space)
    facts = DataFacts(DATASETS["mnist"], "f" * 64, images.labels.tobytes())
    store.write_study(NAME, StoredStudy(space.to_json(), facts, num_trials=num_trials))
    study_id = store.storage.get_study_id_from_name(NAME)
    values: dict[int, float] = {}
    for first in range(0, num_trials, BATCH):
        with store.transaction():
            for number in range(first, min(first + BATCH, num_trials)):
                config = _config(space, generator, number)
                outcome = _outcome(generator, images, config)
                store.storage.create_new_trial(study_id, _trial(config, outcome, ranges))
                if outcome.state is TrialState.COMPLETE and outcome.best:
                    values[number] = _accuracy(outcome.best)
        print(f"  {min(first + BATCH, num_trials)} of {num_trials} trials", file=sys.stderr)
    best = max(values, key=lambda number: (values[number], -number))
    store.change_study(NAME, finished_by="trials")
    store.write_test_reading(NAME, _reading(generator, best, values[best], num_trials))


def _space(num_trials: int) -> SearchSpace:
    data = load_space(SPACE).to_json()
    data["name"] = NAME
    data["parameters"]["epochs"] = EPOCHS
    data["parameters"]["dropout"] = {"low": 0.0, "high": 0.5}  # in place of epochs, a fifth one
    data["enqueue"] = []
    data["budget"] = {"trials": num_trials}
    return load_space(data)


class _Random:
    """Draws the values that a search space asks for."""

    def __init__(self, generator: np.random.Generator) -> None:
        self._generator = generator

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        assert not log, name
        return low + step * int(self._generator.integers((high - low) // step + 1))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None, log: bool
    ) -> float:
        assert step is None, name
        if log:
            drawn = math.exp(self._generator.uniform(math.log(low), math.log(high)))
            return min(max(drawn, low), high)
        return float(self._generator.uniform(low, high))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        assert choices, name
        return choices[int(self._generator.integers(len(choices)))]


def _config(space: SearchSpace, generator: np.random.Generator, number: int) -> TrialConfig:
    return TrialConfig(number, number, space.suggest(_Random(generator)))


def _accuracy(metrics: EpochMetrics) -> float:
    return metrics.values["validation_accuracy"]


def _trial(
    config: TrialConfig, outcome: TrialOutcome, ranges: dict[str, BaseDistribution]
) -> FrozenTrial:
    """A finished trial as Optuna keeps it, with what the project adds to it."""
    reports = {metrics.epoch: _accuracy(metrics) for metrics in outcome.history}
    value = None
    if outcome.state is TrialState.COMPLETE and outcome.best:
        value = _accuracy(outcome.best)
    elif outcome.state is TrialState.PRUNED:
        value = _accuracy(outcome.history[-1])
    record = StoredTrial(config=config, outcome=outcome, reports=reports)
    started = BEGINNING + timedelta(seconds=8 * config.number)
    return FrozenTrial(
        number=config.number,
        trial_id=-1,  # Optuna gives it one
        state=OptunaState[outcome.state.name],
        value=value,
        datetime_start=started,
        datetime_complete=started + timedelta(seconds=outcome.seconds),
        params={name: config.params[name] for name in ranges},
        distributions=ranges,
        user_attrs=dict(trial_summary(record)),
        system_attrs={RECORD: with_digest([NAME, config.number], to_plain(record))},
        intermediate_values=reports,
    )


@dataclass(frozen=True, slots=True)
class _Images:
    """A split that nobody has seen.

    Attributes:
        labels: True class of each image, shape (NUM_IMAGES,).
        hardness: How many networks get an image wrong, between 0 and 1, same shape.
    """

    labels: Classes
    hardness: npt.NDArray[np.float64]

    @classmethod
    def make(cls, generator: np.random.Generator) -> _Images:
        """Most images are easy, a few are hard for everybody."""
        labels = generator.integers(NUM_CLASSES, size=NUM_IMAGES, dtype=np.uint8)
        return cls(labels, generator.random(NUM_IMAGES) ** 4)

    def predictions(self, generator: np.random.Generator, accuracy: float) -> Classes:
        """Answers of which this share is right; the hard images are wrong first."""
        scores = self.hardness + generator.normal(0, 0.1, NUM_IMAGES)
        wrong = np.argsort(-scores)[: NUM_IMAGES - round(accuracy * NUM_IMAGES)]
        predicted = self.labels.copy()
        predicted[wrong] = (predicted[wrong] + generator.integers(1, 4, len(wrong))) % NUM_CLASSES
        return predicted

    def confusion_matrix(self, predicted: Classes) -> ConfusionMatrix:
        cells = np.bincount(NUM_CLASSES * self.labels.astype(int) + predicted, minlength=100)
        return tuple(map(tuple, cells.reshape(NUM_CLASSES, NUM_CLASSES).tolist()))


def _outcome(generator: np.random.Generator, images: _Images, config: TrialConfig) -> TrialOutcome:
    """How a trial ended: one in three is pruned, one in fifty fails."""
    state, failure = TrialState.COMPLETE, None
    if config.number % 50 == 49:
        state, failure = TrialState.FAIL, Failure(FailureKind.NAN, "the loss became nan")
    elif config.number % 3 == 2:
        state = TrialState.PRUNED
    num_epochs = EPOCHS if state is TrialState.COMPLETE else 1 + config.number % (EPOCHS - 3)
    history = _history(generator, config, num_epochs)
    best = max(history, key=_accuracy)
    predicted = images.predictions(generator, _accuracy(best))
    size = config.params["layer_size"]
    return TrialOutcome(
        trial=config.number,
        state=state,
        history=history,
        seconds=1.5 * num_epochs,
        num_parameters=size * (795 + (config.params["num_layers"] - 2) * size),
        device="cpu (AMD EPYC)",
        precision="bfloat16",
        engine="stacked",
        num_threads=1,
        num_lanes=16,
        environment=ENVIRONMENT,
        data_fingerprint="f" * 64,
        best_epoch=None if failure else best.epoch,
        validation_predictions=None if failure else predicted.tobytes(),
        failure=failure,
        worker=config.number % 2,
    )


def _history(
    generator: np.random.Generator, config: TrialConfig, num_epochs: int
) -> tuple[EpochMetrics, ...]:
    """A learning curve that depends on the configuration."""
    params = config.params
    limit = 0.985 - 0.02 * abs(math.log10(params["weight_decay"]) + 4) - 0.1 * params["dropout"]
    speed = math.log2(params["layer_size"]) / 8
    history = []
    for epoch in range(1, num_epochs + 1):
        share = limit * (1 - math.exp(-speed * (epoch + 2))) + float(generator.normal(0, 0.002))
        accuracy = round(min(max(share, 0.1), 0.999) * NUM_IMAGES) / NUM_IMAGES
        loss = -math.log(accuracy)
        history.append(
            EpochMetrics(
                trial=config.number,
                epoch=epoch,
                values={
                    "train_loss": 0.9 * loss,
                    "train_accuracy": min(1.0, accuracy + 0.005),
                    "validation_loss": loss + float(generator.random()) / 100,
                    "validation_accuracy": accuracy,
                    "validation_balanced_accuracy": accuracy,
                    "validation_f1_macro": accuracy,
                },
                learning_rate=1e-3 * (1 - (epoch - 1) / EPOCHS),
                seconds=1.5,
            )
        )
    return tuple(history)


def _reading(
    generator: np.random.Generator, trial: int, accuracy: float, num_trials: int
) -> TestReading:
    images = _Images.make(generator)
    predicted = images.predictions(generator, accuracy)
    wrong = np.flatnonzero(predicted != images.labels)[:NUM_MISTAKES].tolist()
    confidences = np.sqrt(generator.uniform(0.25, 1, NUM_IMAGES))
    bins = np.minimum((confidences * NUM_BINS).astype(int), NUM_BINS - 1)
    right = predicted == images.labels
    return TestReading(
        trial=trial,
        opened_at="2026-01-02T00:00:00+00:00",
        num_trials=num_trials,
        num_images=NUM_IMAGES,
        fingerprint="e" * 64,
        confusion_matrix=images.confusion_matrix(predicted),
        mistakes=tuple(
            Mistake(
                index, int(images.labels[index]), int(predicted[index]), 0.999,
                generator.integers(256, size=28 * 28, dtype=np.uint8).tobytes(),
            )
            for index in wrong
        ),
        image_shape=(1, 28, 28),
        labels=images.labels.tobytes(),
        predictions=predicted.tobytes(),
        calibration=tuple(
            CalibrationBin(
                int((bins == index).sum()),
                int(right[bins == index].sum()),
                float(confidences[bins == index].sum()),
            )
            for index in range(NUM_BINS)
        ),
        loss=0.07,
    )  # fmt: skip
