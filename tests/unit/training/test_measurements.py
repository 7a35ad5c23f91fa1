"""The metrics of an epoch against scikit-learn's, lane by lane and class by class."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from sweep.definitions import METRICS, OBJECTIVES, class_metrics
from sweep.training.measurements import Measurement, measure


def counts(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> tuple[np.ndarray, ...]:
    """How often each class is right, there, and predicted, one by one."""
    classes = range(num_classes)
    return (
        np.array([float(((labels == c) & (predicted == c)).sum()) for c in classes]),
        np.array([float((labels == c).sum()) for c in classes]),
        np.array([float((predicted == c).sum()) for c in classes]),
    )


def known(labels: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that are predicted and not there
        return {
            "accuracy": accuracy_score(labels, predicted),
            "balanced_accuracy": balanced_accuracy_score(labels, predicted),
            "f1_macro": f1_score(labels, predicted, average="macro"),
        }


CASES = {
    "all classes": (range(10), range(10)),
    "classes that are not there are predicted": (range(4), range(10)),
    "classes that are there are not predicted": (range(10), range(4)),
    "nothing in common": (range(5), range(5, 10)),
    "one class": ([3], [3]),
    "classes that are nowhere": ([0, 9], [0, 5, 9]),
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("there", "answered"), CASES.values(), ids=CASES)
def test_they_are_scikit_learns(there, answered, seed):
    generator = np.random.default_rng(seed)
    labels, predicted = generator.choice(there, 200), generator.choice(answered, 200)
    right = (generator.random(200) < 0.3) & np.isin(labels, answered)
    predicted[right] = labels[right]
    found = class_metrics(*counts(labels, predicted, 10))
    values = {name: float(value) for name, value in found.items()}
    assert values == pytest.approx(known(labels, predicted), abs=1e-12)


def test_many_lanes_are_measured_at_once():
    generator = np.random.default_rng(0)
    lanes = [(generator.integers(0, 6, 50), generator.integers(0, 7, 50)) for _ in range(4)]
    stacked = (np.stack(each) for each in zip(*(counts(*lane, 8) for lane in lanes), strict=True))
    found = class_metrics(*stacked)
    for index, lane in enumerate(lanes):
        assert {name: v[index] for name, v in found.items()} == pytest.approx(known(*lane))


def trained(num_train: int, labels: torch.Tensor, num_classes: int) -> SimpleNamespace:
    """What `measure` reads of the data."""
    return SimpleNamespace(
        train=range(num_train),
        validation=SimpleNamespace(labels=labels),
        spec=SimpleNamespace(num_classes=num_classes),
    )


@pytest.mark.parametrize("num_classes", [2, 10, 300])
@pytest.mark.parametrize("num_lanes", [1, 3])
def test_an_epoch_has_every_metric_of_each_lane(num_classes, num_lanes):
    generator = torch.Generator().manual_seed(0)
    shape = (num_lanes, 400)
    labels = torch.randint(num_classes, (400,), generator=generator)
    predictions = torch.randint(num_classes, shape, generator=generator)
    predictions[:, :150] = labels[:150]
    losses = torch.rand(shape, generator=generator)
    sums = torch.rand((3, num_lanes), generator=generator, dtype=torch.float64)
    rates = torch.rand(num_lanes, generator=generator, dtype=torch.float64)
    measured = measure(
        trained(200, labels, num_classes),
        sums=sums[:2],
        validation_losses=sums[2],
        predictions=predictions,
        losses=losses,
        rates=rates,
    )
    assert len(measured) == num_lanes
    for lane, found in enumerate(measured):
        assert isinstance(found, Measurement)
        expected = known(labels.numpy(), predictions[lane].numpy())
        assert found.values == {
            "train_loss": sums[0, lane].item() / 200,
            "train_accuracy": sums[1, lane].item() / 200,
            "validation_loss": sums[2, lane].item() / 400,
            **{f"validation_{name}": pytest.approx(value) for name, value in expected.items()},
        }
        assert found.learning_rate == rates[lane].item()
        assert torch.equal(found.predictions, predictions[lane])
        assert torch.equal(found.losses, losses[lane])


def test_every_objective_is_measured():
    """What a study may rank by is what an epoch has, under that name and with its goal."""
    (found,) = measure(
        trained(3, torch.zeros(3, dtype=torch.int64), 2),
        sums=torch.ones((2, 1)),
        validation_losses=torch.ones(1),
        predictions=torch.zeros((1, 3), dtype=torch.int64),
        losses=None,
        rates=torch.ones(1),
    )
    assert OBJECTIVES.keys() == {name for name in found.values if name.startswith("validation_")}
    assert {name: metric.goal for name, metric in METRICS.items()} == {
        "accuracy": "maximize",
        "loss": "minimize",
        "balanced_accuracy": "maximize",
        "f1_macro": "maximize",
    }
    assert found.losses is None
