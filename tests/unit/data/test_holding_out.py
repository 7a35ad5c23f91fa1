"""Examples are held out in proportion, groups whole, and the same way every time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.data.holding_out import hold_out, hold_out_test, size_of
from sweep.errors import DataError
from sweep.records import DataSettings

LABELS = np.repeat([0, 1, 2], [600, 300, 100])
NAMES = ("common", "rare", "rarest")


def held(size: int, seed: int = 0, labels=LABELS, names=NAMES, groups=None):
    return hold_out(labels, size, seed, class_names=names, what="test", groups=groups)


@pytest.mark.parametrize(
    ("amount", "expected"), [(None, 20), (1, 1), (99, 99), (0.25, 25), (0.001, None), (0.999, None)]
)
def test_a_size_is_a_number_a_share_or_the_default(amount, expected):
    if expected is None:
        with pytest.raises(DataError, match=r"^dataset\.test (takes none|must be below 100)"):
            size_of(amount, 100, default=20, what="test")
    else:
        assert size_of(amount, 100, default=20, what="test") == expected


def test_a_size_that_leaves_nothing_is_refused():
    with pytest.raises(DataError, match=r"dataset\.test must be below 100, .*; found 1,000"):
        size_of(1000, 100, default=20, what="test")


def test_every_class_is_held_out_in_proportion():
    assert np.bincount(LABELS[held(200)]).tolist() == [120, 60, 20]


def test_a_size_that_no_proportion_meets_is_still_met():
    chosen = held(7)
    assert chosen.sum() == 7
    assert np.bincount(LABELS[chosen]).tolist() == [4, 2, 1]


def test_the_seed_alone_decides():
    assert (held(200, 3) == held(200, 3)).all()
    assert (held(200, 3) != held(200, 4)).any()


def test_the_order_of_the_classes_in_the_file_does_not_decide_which_rows_go():
    """Each row of a class is as likely as another: the first and the last are taken as often."""
    chosen = sum(held(200, seed).astype(int) for seed in range(400))
    first, last = chosen[:300].mean(), chosen[300:600].mean()
    assert first == pytest.approx(80, abs=3)
    assert last == pytest.approx(80, abs=3)


def test_a_class_of_one_example_is_refused_by_name():
    labels = np.array([0] * 10 + [1])
    with pytest.raises(DataError, match=r"^class 'b' has 1 example for training and the test"):
        held(3, labels=labels, names=("a", "b"))


def test_a_class_without_examples_is_refused_by_name():
    with pytest.raises(DataError, match=r"^class 'd' has 0 examples"):
        held(3, names=(*NAMES, "d"))


def test_groups_stay_together_and_classes_in_proportion():
    generator = np.random.default_rng(0)
    labels = generator.choice(3, 2000, p=[0.6, 0.3, 0.1])
    groups = generator.integers(0, 200, 2000)
    chosen = held(400, labels=labels, groups=groups)
    inside, outside = set(groups[chosen]), set(groups[~chosen])
    assert not inside & outside
    assert chosen.sum() == pytest.approx(400, abs=20)
    assert np.bincount(labels[chosen]) == pytest.approx(np.bincount(labels) / 5, abs=15)


def test_groups_of_one_class_each_are_divided():
    labels = np.repeat(np.arange(3), 100)
    groups = np.arange(300) // 10
    assert np.bincount(labels[held(60, labels=labels, groups=groups)]).tolist() == [20, 20, 20]


def test_a_class_whose_group_cannot_be_divided_is_refused():
    labels = np.repeat([0, 1], [90, 10])
    groups = np.where(labels == 1, 9, np.arange(100) // 10)
    with pytest.raises(DataError, match=r"no example of class 'b' would be .* its groups cannot"):
        held(20, labels=labels, names=("a", "b"), groups=groups)


@given(
    counts=st.lists(st.integers(2, 40), min_size=1, max_size=6),
    share=st.floats(0.05, 0.95),
    seed=st.integers(0, 2**32),
)
def test_both_sides_have_every_class_whatever_the_share(counts, share, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    size = min(max(1, round(share * len(labels))), len(labels) - 1)
    chosen = held(size, seed, labels, [str(index) for index in range(len(counts))])
    inside = np.bincount(labels[chosen], minlength=len(counts))
    assert (inside >= 1).all()
    assert (inside < counts).all()
    exact = np.array(counts) * size / len(labels)
    assert (np.abs(inside - exact) <= 1).all()


def test_a_size_that_cannot_be_met_is_said():
    settings = DataSettings("table", "t.csv", "t.csv", test=1)
    chosen, notes = hold_out_test(settings, LABELS, NAMES)
    assert chosen.sum() == 3
    assert notes == ("The test split has 3 examples in place of 1: each class needs one.",)
    _, notes = hold_out_test(settings, LABELS, NAMES, np.arange(len(LABELS)))
    assert notes[0].endswith("each class needs one, and groups stay whole.")
    assert hold_out_test(replace(settings, test=200), LABELS, NAMES)[1] == ()
    few = np.array([0] * 4 + [1] * 4 + [2] * 2)
    assert hold_out_test(replace(settings, test=None), few, NAMES)[1] == ()


def test_too_few_examples_are_called_so():
    with pytest.raises(DataError, match=r"^3 examples are too few to hold some out for validation"):
        size_of(None, 3, default=0, what="validation")
