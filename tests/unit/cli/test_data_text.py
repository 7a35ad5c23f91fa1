"""What `check` says of the data: a few lines, whatever the number of classes and columns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sweep.cli.data_text import data_lines
from sweep.data import DataOverview, MissingValues
from sweep.records import DataSettings, DataSpec


def overview(num_classes: int, **changes: Any) -> DataOverview:
    names = tuple(f"class {index}" for index in range(num_classes))
    counts = tuple(10 + index for index in range(num_classes))
    spec = DataSpec("table", (9,), names, sum(counts), 40)
    settings = DataSettings("table", "rows.csv", "rows.csv")
    whole = DataOverview(settings, spec, 90, 10, is_here=True, class_counts=counts, num_columns=4)
    return replace(whole, **{"num_in_training": 0, **changes})


@pytest.mark.parametrize("num_classes", [2, 10, 47, 100, 1000])
def test_classes_take_one_line(num_classes):
    lines = data_lines(overview(num_classes))
    assert len(lines) == 4
    assert max(map(len, lines)) < 240
    last = num_classes - 1
    share = f"'class {last}' {(10 + last) / overview(num_classes).spec.num_pool:.1%}"
    assert share in lines[1]
    assert (
        lines[2]
        == f"baseline: always saying {share.replace('%', '')}%".replace(
            f"'class {last}' ", f"'class {last}' gets "
        )
        + " of the training pool right"
    )
    assert ("least: " in lines[1]) == (num_classes > 12)
    assert lines[3] == "missing values: none"


def test_many_columns_are_counted_and_the_worst_named():
    missing = tuple(MissingValues(f"column {index}", 20 - index) for index in range(7))
    found = overview(2, missing=missing, identifiers=tuple("abcdefg"))
    lines = data_lines(found)
    assert lines[3].startswith("missing values: 'column 0' 95.2%, 'column 1' 90.5%")
    assert lines[3].endswith("'column 4' 76.2%, and 2 other columns")
    assert lines[8].startswith("warning: every row has its own value of 'e'")
    assert lines[9] == "warning: so it is with 2 other columns"


def test_a_small_share_is_not_none():
    spec = replace(overview(2).spec, num_test=100_000)
    line = data_lines(overview(2, spec=spec, num_in_training=1))[-1]
    assert line.startswith("warning: 1 of 100,000 test examples (< 0.1%) also stands in the")


def test_names_are_short_and_in_one_line():
    names = ("a\nb", "x" * 90)
    spec = replace(overview(2).spec, class_names=names)
    line = data_lines(overview(2, spec=spec))[1]
    assert "'a\\nb'" in line
    assert f"'{'x' * 39}…'" in line


def test_what_must_be_downloaded_is_said():
    spec = DataSpec("image", (1, 28, 28), ("a", "b"), 60, 10)
    found = DataOverview(DataSettings("builtin", "mnist", "data"), spec, 50, 10)
    assert data_lines(found) == [
        "data: grey images of 28 x 28; 50 for training, 10 for validation, 10 sealed for the test",
        "classes: 2",
        "note: it is not in 'data' yet: `sweep run` downloads it",
    ]


def test_a_column_that_is_no_input_is_not_warned_of():
    found = overview(
        2, identifiers=("id", "name"), unused=("name",), notes=("'name' is left out.",)
    )
    text = "\n".join(data_lines(found))
    assert "its own value of 'id'" in text
    assert "its own value of 'name'" not in text
