"""What a batch holds, and in which order the images come."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from driving import make_batches, make_group, train
from helpers import make_config

from sweep.training.batches import Batches


def test_the_order_of_images_belongs_to_study_and_epoch(digits):
    batches = make_batches(digits, order_seed=3)
    first = batches.order(1)
    assert sorted(first.tolist()) == list(range(len(digits.train)))
    assert torch.equal(first, batches.order(1))
    assert torch.equal(first, make_batches(digits, order_seed=3).order(1))
    assert not torch.equal(first, batches.order(2))
    assert not torch.equal(first, make_batches(digits, order_seed=4).order(1))


@pytest.mark.parametrize("name", ["sequential", "stacked"])
def test_a_trial_reads_the_order_of_its_epoch_whatever_its_seed(small, monkeypatch, name):
    asked = []
    real = Batches.order
    monkeypatch.setattr(Batches, "order", lambda s, epoch: asked.append(epoch) or real(s, epoch))
    for seed in (1, 2):
        train(small, make_config(seed=seed, epochs=3), name=name)
    assert asked == [1, 2, 3, 1, 2, 3]


def test_another_order_gives_another_trial(small):
    (one,), (other,) = (
        train(small, make_config(epochs=1), name="sequential", order_seed=seed) for seed in (0, 1)
    )
    assert one.weights != other.weights


def test_an_epoch_reads_every_image_once(small, monkeypatch):
    seen = []
    real = Batches.read

    def spy(self, split, indices, inputs, labels):
        if split is self.train:
            seen.append(indices.tolist())
        return real(self, split, indices, inputs, labels)

    monkeypatch.setattr(Batches, "read", spy)
    group = make_group("sequential", [make_config(batch_size=32)], small)
    assert group.num_steps == 4
    group.begin_epoch()
    for step in range(group.num_steps):
        group.step(step)
    assert [len(rows) for rows in seen] == [32, 32, 32, 24]
    assert [row for rows in seen for row in rows] == make_batches(small).order(1).tolist()


@pytest.mark.parametrize(
    ("precision", "tolerance"), [("float64", 1e-12), ("float32", 1e-6), ("bfloat16", 2**-8)]
)
def test_a_batch_is_normalised_by_the_training_split(digits, precision, tolerance):
    batches = make_batches(digits, precision)
    rows = torch.tensor([5, 0, 238, 5])
    inputs = torch.full((4, 64), 9.0, dtype=batches.precision.products)
    labels = torch.empty(4, dtype=torch.int64)
    for call in batches.read(batches.validation, rows, inputs, labels):
        call()
    part = digits.validation
    raw = part.images[rows.numpy()].reshape(4, -1).astype(np.float64)
    expected = (raw - digits.train.images.mean()) / digits.train.images.std()
    assert np.abs(inputs.double().numpy() - expected).max() <= tolerance * np.abs(expected).max()
    assert labels.tolist() == part.labels[rows.numpy()].tolist()


def test_a_program_reads_the_rows_of_the_moment(digits):
    batches = make_batches(digits)
    rows = torch.tensor([3, 4])
    inputs, labels = torch.empty(2, 64), torch.empty(2, dtype=torch.int64)
    program = batches.read(batches.train, rows, inputs, labels)
    found = []
    for values in ([3, 4], [4, 3], [3, 4]):
        rows.copy_(torch.tensor(values))
        for call in program:
            call()
        found.append((inputs.clone(), labels.clone()))
    assert torch.equal(found[0][0], found[2][0])
    assert torch.equal(found[0][0].flip(0), found[1][0])
    assert torch.equal(found[0][1].flip(0), found[1][1])
