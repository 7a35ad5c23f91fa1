"""A table as a data set: classes, splits, groups, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sweep.data import TrainingData, load_training_data
from sweep.data.sealed import open_test_split
from sweep.data.sources import open_source
from sweep.errors import DataError
from sweep.records import DataSettings


def frame(number: int = 60, **columns: Any) -> pd.DataFrame:
    base = {
        "x": range(number),
        "kind": ["a", "b", "c"] * (number // 3),
        "class": ["u", "v"] * (number // 2),
    }
    return pd.DataFrame({**base, **columns})


def settings(
    folder: Path, table: pd.DataFrame, test_rows: pd.DataFrame | None = None, **changes: Any
):
    """Settings of a table that is written to a folder."""
    table.to_csv(folder / "t.csv", index=False)
    found = DataSettings("table", "t.csv", str(folder / "t.csv"), target="class")
    if test_rows is not None:
        test_rows.to_csv(folder / "test.csv", index=False)
        found = replace(found, test_path=str(folder / "test.csv"))
    return replace(found, **changes)


def test_three_disjoint_splits_with_classes_in_proportion(tmp_path):
    where = settings(tmp_path, frame())
    pool, test = open_source(where).pool(), open_test_split(where)
    assert (len(pool.examples), len(test), pool.num_test) == (48, 12, 12)
    assert sorted([*pool.examples.inputs["x"], *test.inputs["x"]]) == list(range(60))
    assert np.bincount(test.labels).tolist() == [6, 6]
    assert list(pool.examples.inputs) == ["x", "kind"]
    data = load_training_data(where)
    assert (len(data.train), len(data.validation)) == (40, 8)
    assert data.spec.input_shape == (4,)
    assert data.encoded(test).inputs.shape == (12, 4)


def test_the_seed_and_the_share_decide_what_is_held_out(tmp_path):
    def held_out(**changes: Any) -> list[int]:
        return open_test_split(settings(tmp_path, frame(), **changes)).inputs["x"].tolist()

    assert held_out() == held_out()
    assert held_out() != held_out(split_seed=1)
    assert len(held_out(test=0.5)) == len(held_out(test=30)) == 30


@pytest.mark.parametrize(
    ("classes", "names", "first"),
    [
        ([10, 9], ("9", "10"), "10"),
        (["b", "A"], ("A", "b"), "b"),
        ([True, False], ("False", "True"), "True"),
        ([1.0, 0.0], ("0", "1"), "1"),
        ([2**53 + 1, 2**53], ("9007199254740992", "9007199254740993"), "9007199254740993"),
    ],
)
def test_classes_are_named_in_order(tmp_path, classes, names, first):
    where = settings(tmp_path, frame(**{"class": classes * 30}))
    pool = open_source(where).pool()
    assert pool.class_names == names
    rows = zip(pool.examples.inputs["x"], pool.examples.labels, strict=True)
    of_even = {names[label] for x, label in rows if x % 2 == 0}
    assert of_even == {first}


def test_rows_without_a_class_are_left_out_and_counted(tmp_path):
    where = settings(tmp_path, frame(**{"class": [None, None, *["u", "v"] * 29]}))
    data = load_training_data(where)
    assert data.spec.num_pool + data.spec.num_test == 58
    assert data.notes == (
        "Table 't.csv': 2 rows were left out for want of a value of the target, 'class'.",
    )


def test_what_the_encoder_leaves_out_is_said_too(tmp_path):
    data = load_training_data(settings(tmp_path, frame(same=1)))
    assert len(data.facts.notes) == 1
    assert "one value only in the training split: 'same'" in data.facts.notes[0]


def test_held_out_rows_have_no_influence_on_the_encoding(tmp_path):
    table = frame(kind=["a", "b"] * 30)
    where = settings(tmp_path, table, frame(12, kind="a"))
    before = load_training_data(where)
    mean, scale = _moments_of(before)
    training = {round(x * scale + mean) for x in before.train.inputs[:, 0].tolist()}
    held_out = ~table["x"].isin(training)
    assert held_out.sum() == 10
    table.loc[held_out, ["x", "kind"]] = [10**6, "z"]
    after = load_training_data(settings(tmp_path, table, frame(12, x=-(10**6), kind="y")))
    np.testing.assert_array_equal(after.train.inputs, before.train.inputs)
    assert after.validation.inputs[:, 0].min() > 1000


def _moments_of(data: TrainingData) -> tuple[float, float]:
    """Mean and scale of the first column of numbers, by which a row is known again."""
    assert data.encoder is not None
    scaler = data.encoder._transformer.named_transformers_["numbers"][1]
    return scaler.mean_[0], scaler.scale_[0]


def test_rows_of_a_group_stay_in_one_split(tmp_path):
    who = [f"p{index // 4}" for index in range(60)]
    where = settings(tmp_path, frame(who=who), group="who")
    pool, test = open_source(where).pool(), open_test_split(where)
    assert "who" not in pool.examples.inputs
    data = load_training_data(where)
    # Each row has its own x, by which its group is known again.
    mean, scale = _moments_of(data)
    splits = [
        {round(x * scale + mean) // 4 for x in part.inputs[:, 0].tolist()}
        for part in (data.train, data.validation, data.encoded(test))
    ]
    assert sum(map(len, splits)) == len(set.union(*splits)) == 15


def test_a_test_table_is_the_test_part(tmp_path):
    test = frame(12)[["class", "kind", "x"]]
    where = settings(tmp_path, frame(), test)
    pool, part = open_source(where).pool(), open_test_split(where)
    assert (len(pool.examples), pool.num_test) == (60, 12)
    pd.testing.assert_frame_equal(part.inputs, frame(12)[["x", "kind"]])
    assert part.labels.tolist() == [0, 1] * 6


def test_text_of_the_training_table_is_text_in_the_test_table(tmp_path):
    codes = settings(tmp_path, frame(kind=["01", "A"] * 30), frame(12, kind=["01"] * 12))
    assert set(open_test_split(codes).inputs["kind"]) == {"01"}


def test_a_changed_file_is_other_content(tmp_path):
    where = settings(tmp_path, frame(), frame(12))
    before = load_training_data(where).fingerprint
    settings(tmp_path, frame(), frame(12, x=range(1, 13)))
    assert load_training_data(where).fingerprint != before
    settings(tmp_path, frame(), frame(12))
    assert load_training_data(where).fingerprint == before


IDS = [f"c{index}" for index in range(60)]


@pytest.mark.parametrize(
    ("columns", "changes", "message"),
    [
        (
            {},
            {"target": "clas"},
            r"dataset.target: table .* no column 'clas' \(did you mean 'class'",
        ),
        (
            {},
            {"group": "who"},
            "dataset.group: table .* no column 'who'; it has 'x', 'kind', 'class'",
        ),
        ({}, {"group": "class"}, "dataset.group is the target, 'class'"),
        (
            {"who": [None, *range(59)]},
            {"group": "who"},
            "'who' .*, the group, has no value in 1 row",
        ),
        ({"class": "u"}, {}, "the target, has the same value in all rows: u"),
        ({"class": None}, {}, "column 'class' of table .*, the target, is empty"),
        (
            {"class": [0.5, 1.25] * 30},
            {},
            "has numbers such as 0.5: .* regression is not supported",
        ),
        ({"class": range(60)}, {}, "has 60 different numbers in 60 rows: .* regression is not"),
        ({"class": IDS}, {}, "class 'c0' has 1 example for training and the test split together"),
        ({"class": ["w", "w", *["u", "v"] * 29]}, {}, "class 'w' has 1 example for .* validation"),
        ({"who": ["p", "q"] * 30}, {"group": "who"}, "no example of class '.' would be .* groups"),
        ({}, {"test": 60}, "dataset.test must be below 60"),
        ({}, {"test": 0.001}, "dataset.test takes none of 60 examples"),
    ],
)
def test_tables_that_are_no_data_set(tmp_path, columns, changes, message):
    with pytest.raises(DataError, match=message) as refused:
        load_training_data(settings(tmp_path, frame(**columns), **changes))
    assert "\n" not in str(refused.value)


def test_a_table_without_inputs(tmp_path):
    with pytest.raises(DataError, match=r"no column beside dataset.target, hence no input"):
        load_training_data(settings(tmp_path, frame().drop(columns=["x", "kind"])))


@pytest.mark.parametrize(
    ("test", "changes", "message"),
    [
        (frame(12), {"test": 5}, "dataset.test and dataset.test_table exclude each other"),
        (frame(12).drop(columns="kind"), {}, "must have the columns of .*, and lacks 'kind'"),
        (frame(12, more=1), {}, "must have the columns of .*, and has 'more' besides"),
        (frame(12).rename(columns={"x": "y"}), {}, "lacks 'x' and has 'y' besides"),
        (frame(12, **{"class": ["u", "w"] * 6}), {}, "has rows of class 'w', which .* does not"),
        (frame(12, **{"class": "u"}), {}, "has no row of class 'v'; each split needs one of every"),
        (frame(12, x="many"), {}, "column 'x' of .*test.csv' has text, such as 'many'"),
        (frame(12), {"group": "kind"}, "3 values of column 'kind' .*such as a, also stand in"),
    ],
)
def test_test_tables_that_do_not_fit(tmp_path, test, changes, message):
    with pytest.raises(DataError, match=message):
        open_source(settings(tmp_path, frame(), test, **changes)).pool()
