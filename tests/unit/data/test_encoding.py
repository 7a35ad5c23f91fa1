"""Rows of a table as numbers: learnt on the training split alone, and finite whatever comes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sweep.data import encoding
from sweep.data.encoding import TableEncoder
from sweep.errors import DataError


def rows(number: int = 40, **columns: list) -> pd.DataFrame:
    base = {"x": np.arange(number, dtype=float), "kind": ["a", "b"] * (number // 2)}
    return pd.DataFrame({**base, **columns})


def test_numbers_are_standardised_and_missing_ones_filled_and_flagged():
    frame = rows(x=[np.nan, *range(39)])
    encoded = TableEncoder.fit(frame[["x"]]).transform(frame)
    known = np.array(range(39))
    filled = np.array([np.median(known), *known])
    np.testing.assert_allclose(encoded[:, 0], (filled - filled.mean()) / filled.std(), rtol=1e-6)
    np.testing.assert_array_equal(encoded[:, 1], [1] + [0] * 39)
    assert encoded.dtype == np.float32


def test_categories_have_an_input_each_and_rare_and_unseen_ones_share_one():
    train = rows(kind=["a"] * 20 + ["b"] * 15 + ["c"] * 3 + ["d"] * 2)[["kind"]]
    encoder = TableEncoder.fit(train)
    of = {
        kind: encoder.transform(pd.DataFrame({"kind": [kind]}))[0].tolist()
        for kind in ("a", "b", "c", "d", "never seen", None)
    }
    assert of["a"] == [1, 0, 0]
    assert of["b"] == [0, 1, 0]
    assert of["c"] == of["d"] == of["never seen"] == of[None] == [0, 0, 1]


def test_missing_text_is_a_category():
    train = rows(kind=["a"] * 20 + [None] * 20)[["kind"]]
    np.testing.assert_array_equal(
        TableEncoder.fit(train).transform(train), np.repeat(np.eye(2), 20, axis=0)
    )


def test_only_the_training_split_is_learnt_from():
    train = rows()
    encoder = TableEncoder.fit(train)
    alone = encoder.transform(train)
    others = rows(x=[1e6] * 40, kind=["z"] * 40)
    encoder.transform(others)
    np.testing.assert_array_equal(encoder.transform(train), alone)
    assert encoder.num_inputs == 3  # z has none


def test_what_training_never_saw_does_no_harm():
    train = rows()
    strange = rows(2, x=[np.nan, 3e38], kind=[None, "z"])
    encoded = TableEncoder.fit(train).transform(strange)
    assert np.isfinite(encoded).all()
    assert encoded[0, 0] == pytest.approx(0.0)  # the median is the mean here
    assert (encoded[:, 1:] == 0).all()


def test_integers_of_few_values_are_numbers():
    train = rows(x=[1, 2, 3, 4] * 10)[["x"]]
    assert TableEncoder.fit(train).transform(train).shape == (40, 1)


def test_columns_that_tell_nothing_are_left_out_and_named():
    train = rows(
        same=[7] * 40, empty=[np.nan] * 40, none=[None] * 40, key=[f"id {i}" for i in range(40)]
    )
    encoder = TableEncoder.fit(train)
    assert (encoder.numbers, encoder.texts) == (("x",), ("kind",))
    assert list(encoder.notes) == [
        "Left out as inputs, since they have one value only in the training split: 'same', "
        "'empty', 'none'.",
        "Left out as inputs, since no value stands in 10 rows of the training split: 'key'.",
    ]
    encoder.transform(train[["x", "kind"]])  # they need not be there
    with pytest.raises(DataError, match="no column of the table can be an input"):
        TableEncoder.fit(train[["same", "key"]])


def test_a_column_has_no_more_than_a_hundred_inputs():
    kinds = [f"kind {i}" for i in range(300) for _ in range(10)]
    train = pd.DataFrame({"kind": [*kinds, *["kind 7"] * 5]})
    encoder = TableEncoder.fit(train)
    assert encoder.num_inputs == 100
    assert encoder.transform(train)[-1].sum() == 1
    assert encoder.notes == (
        "Column 'kind' has 300 categories: the 99 most frequent ones have an input each, the "
        "others one together.",
    )


def test_more_than_memory_is_refused(monkeypatch):
    encoder = TableEncoder.fit(rows())
    monkeypatch.setattr(encoding, "available_host_bytes", lambda: 2 * 40 * 3 * 4 - 1)
    with pytest.raises(DataError, match=r"40 rows of 3 numbers each take .* leave out rows, or"):
        encoder.transform(rows())


def test_rows_of_another_form_are_refused():
    encoder = TableEncoder.fit(rows())
    with pytest.raises(DataError, match=r"no column 'kind' \(did you mean 'kinds'\?\)"):
        encoder.transform(rows().rename(columns={"kind": "kinds"}))
    with pytest.raises(DataError, match=r"column 'x' must hold numbers, .* found 'much'"):
        encoder.transform(rows(2, x=[None, "much"]))
    numbers = rows(2, kind=[1, 2])  # a category may look like a number
    assert (encoder.transform(numbers)[:, 1:] == 0).all()


def test_many_rows_are_encoded_as_few_are(monkeypatch):
    frame = rows()
    encoder = TableEncoder.fit(frame)
    whole = encoder.transform(frame)
    monkeypatch.setattr(encoding, "_ROWS_AT_ONCE", 7)
    np.testing.assert_array_equal(encoder.transform(frame), whole)
