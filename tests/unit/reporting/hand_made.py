"""Hand-made studies: what a store could hold, without training anything."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from helpers import best_epoch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from sweep.codec import pack_labels
from sweep.records import (
    Confirms,
    DataFacts,
    DataSpec,
    EpochMetrics,
    Failure,
    FailureKind,
    Mistake,
    StudyRecord,
    StudyState,
    TestReading,
    TrialOutcome,
    TrialRecord,
    TrialState,
)
from sweep.space import SearchSpace, load_space

SPACE: dict[str, Any] = {
    "name": "hand-made",
    "dataset": "digits",
    "parameters": {
        "num_layers": {"low": 1, "high": 4},
        "activation": {"choices": ["relu", "tanh"]},
        "weight_decay": {"low": 1e-6, "high": 1e-1, "log": True},
        "optimizer": {"choices": ["adamw", "sgd"]},
        "momentum": {"low": 0.0, "high": 0.99, "when": {"optimizer": "sgd"}},
        "epochs": 3,
    },
    "sampler": {"type": "random", "seed": 7},
    "pruner": {"type": "hyperband"},
    "budget": {"trials": 12},
}
NUM_CLASSES = 3
DATA = DataSpec("image", (1, 2, 2), ("zero", "one", "two"), 240, 20)
FAIL = -1
LABELS = [0, 1, 2, 0, 1, 2, 0, 1, 2, 0] * 4


def packed(labels: Sequence[int]) -> bytes:
    return pack_labels(labels, NUM_CLASSES)


PACKED = packed(LABELS)


def predictions(num_wrong: int, first: int = 0) -> tuple[int, ...]:
    """What a network says that is wrong for some neighbouring images."""
    wrong = range(first, first + num_wrong)
    return tuple(
        (label + 1) % NUM_CLASSES if index in wrong else label for index, label in enumerate(LABELS)
    )


def confusion_matrix(predicted: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    cells = [[0] * NUM_CLASSES for _ in range(NUM_CLASSES)]
    for true, guess in zip(LABELS, predicted, strict=True):
        cells[true][guess] += 1
    return tuple(map(tuple, cells))


def metrics_of(labels: Sequence[int], predicted: Sequence[int]) -> dict[str, float]:
    """Accuracy, balanced accuracy and F1 of an answer, by scikit-learn."""
    true, guesses = list(labels), list(predicted)
    with warnings.catch_warnings():  # of classes that only the answer has
        warnings.filterwarnings("ignore", message="y_pred contains classes")
        balanced = balanced_accuracy_score(true, guesses)
    return {
        "accuracy": accuracy_score(true, guesses),
        "balanced_accuracy": float(balanced),
        "f1_macro": float(f1_score(true, guesses, average="macro", zero_division=0)),
    }


@cache
def _shares(predicted: Sequence[int]) -> dict[str, float]:
    """Thousands of trials are made, and scikit-learn takes ten milliseconds for each answer."""
    return metrics_of(LABELS, predicted)


def _values(epoch: int, accuracy: float, predicted: Sequence[int]) -> dict[str, float]:
    """What an epoch measured: in the first of two half of what the predictions give."""
    shares = _shares(predicted)
    values = {f"validation_{name}": share * epoch / 2 for name, share in shares.items()}
    losses = {"train_loss": 1 / epoch, "validation_loss": 0.9 / epoch}
    return {**losses, "train_accuracy": accuracy * epoch / 2, **values}


def make_trial(
    space: SearchSpace,
    number: int,
    num_wrong: int = 4,
    *,
    state: TrialState = TrialState.COMPLETE,
    first_wrong: int = 0,
    **params: Any,
) -> TrialRecord:
    """A trial of two epochs, the second of which is its best."""
    values: dict[str, Any] = {
        "num_layers": 1 + number % 4,
        "layer_size": 64,
        "activation": ("relu", "tanh")[number % 2],
        "weight_decay": 10.0 ** -(1 + number % 5),
        "epochs": 3,
        "learning_rate": 1e-3,
        "batch_size": 128,
        "optimizer": ("adamw", "sgd")[number % 3 == 0],
        "momentum": 0.9,
        "dropout": 0.0,
        "learning_rate_schedule": "cosine",
    } | params
    if state in (TrialState.RUNNING, TrialState.WAITING):
        return TrialRecord(number, state, {} if state is TrialState.WAITING else values, {}, None)
    accuracy = 1 - num_wrong / len(LABELS)
    predicted = predictions(num_wrong, first_wrong)
    history = tuple(
        EpochMetrics(number, epoch, _values(epoch, accuracy, predicted), 1e-3, 0.5)
        for epoch in (1, 2)
    )
    failed = state is TrialState.FAIL
    outcome = TrialOutcome(
        trial=number,
        state=state,
        history=history,
        seconds=1.0,
        num_parameters=1000 + number,
        device="cpu",
        precision="float32",
        environment={"torch": "2.6.0"},
        data_fingerprint="ab" * 32,
        best_epoch=None if failed else best_epoch(history, space.trial_objective),
        validation_predictions=None if failed else packed(predicted),
        failure=Failure(FailureKind.NAN, "loss became nan in epoch 3") if failed else None,
    )
    return TrialRecord(number, state, values, {}, outcome)


def with_values(metrics: EpochMetrics, **values: float) -> EpochMetrics:
    """The same epoch with other values of some metrics."""
    assert not values.keys() - metrics.values.keys()
    return replace(metrics, values={**metrics.values, **values})


def make_study(
    trials: Sequence[TrialRecord],
    space: SearchSpace,
    *,
    name: str | None = None,
    class_names: tuple[str, ...] = ("zero", "one", "two"),
    readings: tuple[TestReading, ...] = (),
) -> StudyRecord:
    return StudyRecord(
        name=name or space.name,
        state=StudyState.FINISHED,
        space=space.to_json(),
        objective=space.trial_objective,
        num_trials=len(trials),
        finished_by="trials",
        timeout_seconds=None,
        data=DataFacts(replace(DATA, class_names=class_names), "ab" * 32, PACKED),
        trials=tuple(trials),
        test_readings=readings,
    )


def make_reading(trial: int, **changes: Any) -> TestReading:
    reading = TestReading(
        trial=trial,
        opened_at="2026-01-01T00:00:00+00:00",
        num_images=20,
        fingerprint="cd" * 32,
        confusion_matrix=((8, 1, 0), (0, 6, 0), (1, 0, 4)),
        mistakes=(
            Mistake(3, 0, 1, 0.9, bytes([0, 16, 16, 0])),
            Mistake(5, 2, 0, 0.6, bytes([16, 0, 0, 16])),
        ),
        image_shape=(1, 2, 2),
    )
    return replace(reading, **changes)


def opened(num_wrong: int, first_wrong: int = 0, **changes: Any) -> TestReading:
    """A reading of a test split like the validation split, with its predictions."""
    predicted = predictions(num_wrong, first_wrong)
    facts: dict[str, Any] = {
        "labels": PACKED,
        "predictions": packed(predicted),
        "num_images": len(LABELS),
        "confusion_matrix": confusion_matrix(predicted),
        "loss": 0.3,
    }
    return make_reading(0, **(facts | changes))


def study_of_runs(
    wrong: Sequence[Sequence[int]],
    trials: Sequence[int],
    readings: Sequence[TestReading] = (),
    space: SearchSpace | None = None,
    baselines: Sequence[str] = (),
) -> StudyRecord:
    """Runs of a confirmation with so many mistakes each, by candidate; FAIL is a failed run.

    Those of the baselines come last.
    """
    space = space or load_space(SPACE)
    runs = [
        make_trial(
            space, number, max(mistakes, 0),
            state=TrialState.FAIL if mistakes == FAIL else TrialState.COMPLETE,
        )
        for number, mistakes in enumerate(m for of in wrong for m in of)
    ]  # fmt: skip
    runs = [replace(run, order=run.number % len(wrong[0])) for run in runs]
    study = make_study(runs, space, name="hand-made.confirm", readings=tuple(readings))
    confirms = Confirms("hand-made", tuple(trials), len(wrong[0]), 3, "x")
    return replace(study, confirms=replace(confirms, baselines=tuple(baselines)))
