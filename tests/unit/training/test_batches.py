"""What a batch holds, and in which order the images come."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from driving import make_batches, make_group, train
from helpers import make_config

from sweep.training.batches import Batches


def test_the_order_of_images_belongs_to_study_and_epoch(digits):
    batches = make_batches(digits, order_seed=3)
    first = batches.order(0, 1)
    assert sorted(first.tolist()) == list(range(len(digits.train)))
    assert torch.equal(first, batches.order(0, 1))
    assert torch.equal(first, make_batches(digits, order_seed=3).order(0, 1))
    assert not torch.equal(first, batches.order(0, 2))
    assert not torch.equal(first, batches.order(1, 1))
    assert not torch.equal(first, make_batches(digits, order_seed=4).order(0, 1))


@pytest.mark.parametrize("name", ["sequential", "stacked"])
def test_a_trial_reads_its_order_of_each_epoch_whatever_its_seed(small, monkeypatch, name):
    asked = []
    real = Batches.order

    def spy(self, which, epoch):
        asked.append((which, epoch))
        return real(self, which, epoch)

    monkeypatch.setattr(Batches, "order", spy)
    for seed, order in ((1, 0), (2, 0), (1, 4)):
        train(small, replace(make_config(seed=seed, epochs=2), order=order), name=name)
    assert asked == [(0, 1), (0, 2), (0, 1), (0, 2), (4, 1), (4, 2)]


@pytest.mark.parametrize("name", ["sequential", "stacked"])
def test_another_order_gives_another_trial(small, name):
    config = make_config(epochs=1)
    outcomes = [
        train(small, config, name=name),
        train(small, config, name=name, order_seed=1),
        train(small, replace(config, order=1), name=name),
    ]
    assert len({outcome.weights for (outcome,) in outcomes}) == 3


def test_lanes_of_different_orders_cannot_share_a_stack(small):
    configs = [replace(make_config(number=number), order=number) for number in (0, 1)]
    with pytest.raises(ValueError, match=r"share their batches; .* \[\(32, 0\), \(32, 1\)\]"):
        make_group("stacked", configs, small)


def test_an_epoch_reads_every_image_once(small, monkeypatch):
    seen = []
    real = Batches.read

    def spy(self, split, rows, *change):
        if split is self.train:
            seen.append(rows.tolist())
        return real(self, split, rows, *change)

    monkeypatch.setattr(Batches, "read", spy)
    group = make_group("sequential", [make_config(batch_size=32)], small)
    assert group.num_steps == 4
    group.begin_epoch()
    for step in range(group.num_steps):
        group.step(step)
    assert [len(rows) for rows in seen] == [32, 32, 32, 24]
    assert [row for rows in seen for row in rows] == make_batches(small).order(0, 1).tolist()


@pytest.mark.parametrize(
    ("batch_size", "sizes"),
    [
        (1, [1] * 49),
        (2, [2] * 23 + [3]),
        (16, [16, 16, 17]),
        (20, [20, 20, 9]),
        (48, [49]),
        (49, [49]),
        (100, [49]),
    ],
)
def test_a_single_image_that_is_left_over_joins_the_batch_before(digits, batch_size, sizes):
    batches = make_batches(replace(digits, train=digits.train.take(np.arange(49))))
    assert batches.sizes(batch_size) == sizes


def test_a_single_image_is_a_batch_where_there_is_no_other(digits):
    assert make_batches(replace(digits, train=digits.train.take(np.arange(1)))).sizes(32) == [1]


@pytest.mark.parametrize("name", ["sequential", "stacked"])
def test_an_epoch_with_a_single_image_left_over_reads_all(digits, monkeypatch, name):
    seen = []
    real = Batches.read

    def spy(self, split, rows, *change):
        seen.extend([rows.tolist()] if split is self.train else [])
        return real(self, split, rows, *change)

    monkeypatch.setattr(Batches, "read", spy)
    tiny = replace(digits, train=digits.train.take(np.arange(33)))
    (outcome,) = train(tiny, make_config(batch_size=8, epochs=1), name=name)
    assert [len(rows) for rows in seen] == [8, 8, 8, 9]
    assert sorted(row for rows in seen for row in rows) == list(range(33))
    assert outcome.history[0].values["train_loss"] > 0


@pytest.mark.parametrize(
    ("precision", "dtype", "tolerance"),
    [
        ("float64", torch.float64, 1e-12),
        ("float32", torch.float32, 1e-6),
        ("bfloat16", torch.float32, 1e-6),
    ],
)
def test_a_batch_is_normalised_by_the_training_split(digits, precision, dtype, tolerance):
    """With bfloat16 in float32, which autocast rounds: bytes less their mean would be rounded."""
    batches = make_batches(digits, precision)
    rows = torch.tensor([5, 0, 238, 5])
    inputs, labels = batches.read(batches.validation, rows)
    part = digits.validation
    raw = part.inputs[rows.numpy()].reshape(4, -1).astype(np.float64)
    expected = (raw - digits.train.inputs.mean()) / digits.train.inputs.std()
    assert inputs.dtype is dtype
    assert inputs.shape == (4, 1, 8, 8)
    found = inputs.flatten(1).double().numpy()
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()
    assert labels.tolist() == part.labels[rows.numpy()].tolist()


def test_reading_a_batch_leaves_the_images_as_they_are(digits):
    batches = make_batches(digits)
    before = batches.train.inputs.clone()
    first, _ = batches.read(batches.train, torch.tensor([3, 4]))
    first.zero_()
    assert torch.equal(batches.train.inputs, before)
    assert batches.read(batches.train, torch.tensor([3, 4]))[0].any()


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("float64", torch.float64), ("float32", torch.float32), ("bfloat16", torch.bfloat16)],
)
def test_products_have_their_precision(digits, precision, dtype):
    batches = make_batches(digits, precision)
    inputs = batches.read(batches.train, torch.arange(3))[0].flatten(1)
    with batches.autocast():
        assert (inputs @ inputs.t()).dtype is dtype
    assert (inputs @ inputs.t()).dtype is inputs.dtype
