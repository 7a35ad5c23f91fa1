"""Rare classes count as much as common ones where the recipe says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from driving import assert_same, make_batches, train
from helpers import make_config

from sweep.data import TrainingData

ENGINES = ("sequential", "stacked")


@pytest.fixture(scope="module")
def unbalanced(digits: TrainingData) -> TrainingData:
    """Ones, and a twentieth as many eights and nines; of the other classes, nothing."""
    labels = digits.train.labels
    ones, eights, nines = (np.flatnonzero(labels == label) for label in (1, 8, 9))
    kept = np.concatenate([ones[:100], eights[:5], nines[:5]])
    known = np.flatnonzero(np.isin(digits.validation.labels, (1, 8, 9)))
    return replace(digits, train=digits.train.take(kept), validation=digits.validation.take(known))


def test_weights_are_those_of_the_training_split(unbalanced):
    batches = make_batches(unbalanced)
    weights = batches.class_weights("balanced")
    expected = torch.zeros(10, dtype=weights.dtype)
    expected[1], expected[8], expected[9] = 110 / 1000, 110 / 50, 110 / 50
    torch.testing.assert_close(weights, expected)
    assert batches.class_weights("none") is None
    labels = batches.train.labels
    assert float(weights[labels].sum()) == pytest.approx(len(labels) * 3 / 10)


@pytest.mark.parametrize("name", ENGINES)
def test_they_find_what_is_rare(unbalanced, name):
    changes = {"learning_rate": 1e-3, "epochs": 4, "batch_size": 32}
    plain, weighted = (
        train(unbalanced, make_config(class_weights=kind, **changes), name=name)[0]
        for kind in ("none", "balanced")
    )
    found = [each.best.values["validation_balanced_accuracy"] for each in (plain, weighted)]
    assert found[1] > found[0] + 0.1


def test_a_loss_is_what_was_minimised_and_validation_is_not_weighted(unbalanced):
    """One step of a rate of almost 0: both losses are those of the first weights."""
    changes = {"learning_rate": 1e-8, "weight_decay": 0.0, "epochs": 1, "batch_size": 110}
    plain, weighted = (
        train(unbalanced, make_config(class_weights=kind, **changes), name="sequential")[0]
        for kind in ("none", "balanced")
    )
    first, second = (each.history[0].values for each in (plain, weighted))
    assert first["validation_loss"] == pytest.approx(second["validation_loss"], rel=1e-5)
    assert abs(first["train_loss"] - second["train_loss"]) > 1e-3
    same = [each.best.values["validation_accuracy"] for each in (plain, weighted)]
    assert same[0] == same[1]


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_lanes_with_and_without_them_share_a_stack(unbalanced, smoothing):
    configs = [
        make_config(number=n, seed=n, class_weights=kind, label_smoothing=smoothing, optimizer=how)
        for n, (kind, how) in enumerate(
            [("none", "adamw"), ("balanced", "sgd"), ("balanced", "adamw"), ("none", "adam")]
        )
    ]
    stacked = train(unbalanced, *configs, name="stacked", precision="float64")
    for ours, config in zip(stacked, configs, strict=True):
        (alone,) = train(unbalanced, config, name="sequential", precision="float64")
        assert_same(ours, alone)
