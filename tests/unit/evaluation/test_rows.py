"""Rows of a table as text: as they stand in the file, and bounded."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sweep.evaluation.rows import column_names, row_texts


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        ([39, 50, 38], ["39", "38"]),
        ([39.0, np.nan, 38.0], ["39", "38"]),
        ([np.nan, 1.0, 2.0], ["", "2"]),
        ([0.1, 2.0, 1e-7], ["0.1", "1e-07"]),
        ([1e300, 1.0, 2.0], ["1e+300", "2"]),
        ([True, False, False], ["True", "False"]),
        (["<b>", "x", None], ["<b>", ""]),
        (["y" * 61, "x", "z" * 60], ["y" * 59 + "…", "z" * 60]),
    ],
)
def test_values_are_written_as_they_stand(column, texts):
    found = row_texts(pd.DataFrame({"a": column}), np.array([0, 2]))
    assert [row[0] for row in found] == texts


def test_at_most_thirty_columns_are_kept():
    rows = pd.DataFrame(np.ones((2, 31)), columns=["n" * 70, *range(30)])
    assert column_names(rows)[:3] == ("n" * 59 + "…", "0", "1")
    assert len(column_names(rows)) == len(row_texts(rows, np.array([1]))[0]) == 30


def test_columns_of_an_array_are_numbered():
    rows = np.array([[1, 0.5], [2, 1 / 3]], np.float32)
    assert column_names(rows) == ("0", "1")
    assert row_texts(rows, np.array([1])) == [("2", "0.333333")]
