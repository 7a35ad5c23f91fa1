"""Stores with finished studies of many trials: made up, but written as a sweep writes them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.made_up import (
    FINGERPRINT,
    NUM_IMAGES,
    accuracy_of,
    make_metrics,
    make_outcome,
    make_space,
)
from sweep.codec import pack_labels
from sweep.definitions import DATASETS
from sweep.records import (
    CalibrationBin,
    ConfusionMatrix,
    DataFacts,
    Failure,
    FailureKind,
    Mistake,
    TestReading,
    TrialConfig,
    TrialOutcome,
    TrialState,
)
from sweep.store import Store, StoredStudy
from sweep.study import StudySession

__all__ = ["NAME", "fill"]

NAME = "large"
EPOCHS = 12
NUM_CLASSES = 10
NUM_MISTAKES = 24
NUM_BINS = 15
BATCH = 500  # trials that are committed together

Classes = npt.NDArray[np.uint8]


def fill(file: Path, num_trials: int) -> None:
    """Make a store with one finished study whose test split was read."""
    generator = np.random.default_rng(0)
    images = _Images.make(generator)
    store = Store(f"sqlite:///{file}", to_write=True)
    space = make_space(num_trials, EPOCHS, name=NAME)
    # Sampling at random and deciding nothing takes the least time.
    quick = {"sampler": {"type": "random"}, "pruner": {"type": "none"}}
    session = StudySession(store.storage, NAME, make_space(num_trials, EPOCHS, name=NAME, **quick))
    facts = DataFacts(DATASETS["mnist"], FINGERPRINT, pack_labels(images.labels, NUM_CLASSES))
    store.write_study(NAME, StoredStudy(space.to_json(), facts, num_trials=num_trials))
    trials = store.trials(NAME)
    values: dict[int, float] = {}
    for first in range(0, num_trials, BATCH):
        last = min(first + BATCH, num_trials)
        with store.transaction():
            for number in range(first, last):
                config = session.ask()
                trials.change(config.number, config=config)
                outcome = _outcome(generator, images, config)
                for metrics in outcome.history:
                    session.report(metrics)
                trials.write_outcome(outcome, keep=set())
                session.tell(outcome)
                if outcome.state is TrialState.COMPLETE and outcome.best:
                    values[number] = accuracy_of(outcome.best)
        print(f"  {last} of {num_trials} trials", file=sys.stderr)
    best = max(values, key=lambda number: (values[number], -number))
    store.change_study(NAME, finished_by="trials")
    store.write_test_reading(NAME, _reading(generator, best, values[best], num_trials))


@dataclass(frozen=True, slots=True)
class _Images:
    """A split that nobody has seen.

    Attributes:
        labels: True class of each image, shape (NUM_IMAGES,).
        hardness: Between 0 and 1, same shape. Networks get hard images wrong first.
    """

    labels: Classes
    hardness: npt.NDArray[np.float64]

    @classmethod
    def make(cls, generator: np.random.Generator) -> _Images:
        """Most images are easy, a few are hard for every network."""
        labels = generator.integers(NUM_CLASSES, size=NUM_IMAGES, dtype=np.uint8)
        return cls(labels, generator.random(NUM_IMAGES) ** 4)

    def predictions(self, generator: np.random.Generator, accuracy: float) -> Classes:
        """Predicted classes with this accuracy, shape (NUM_IMAGES,)."""
        scores = self.hardness + generator.normal(0, 0.1, NUM_IMAGES)
        wrong = np.argsort(-scores)[: NUM_IMAGES - round(accuracy * NUM_IMAGES)]
        predicted = self.labels.copy()
        predicted[wrong] = (predicted[wrong] + generator.integers(1, 4, len(wrong))) % NUM_CLASSES
        return predicted

    def confusion_matrix(self, predicted: Classes) -> ConfusionMatrix:
        cells = np.bincount(NUM_CLASSES * self.labels.astype(int) + predicted, minlength=100)
        return tuple(map(tuple, cells.reshape(NUM_CLASSES, NUM_CLASSES).tolist()))


def _outcome(generator: np.random.Generator, images: _Images, config: TrialConfig) -> TrialOutcome:
    """One trial in three is pruned, one in fifty fails."""
    state, failure = TrialState.COMPLETE, None
    if config.number % 50 == 49:
        state, failure = TrialState.FAIL, Failure(FailureKind.NAN, "the loss became nan")
    elif config.number % 3 == 2:
        state = TrialState.PRUNED
    num_epochs = EPOCHS if state is TrialState.COMPLETE else 1 + config.number % (EPOCHS - 3)
    history = [
        make_metrics(config, epoch, noise=float(generator.normal(0, 0.002)))
        for epoch in range(1, num_epochs + 1)
    ]
    predicted = images.predictions(generator, max(map(accuracy_of, history)))
    return make_outcome(
        config, history, pack_labels(predicted, NUM_CLASSES), state=state, failure=failure
    )


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
        labels=pack_labels(images.labels, NUM_CLASSES),
        predictions=pack_labels(predicted, NUM_CLASSES),
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
