"""What is said of data before anything is trained, and of test examples that are no news."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers import write_idx

from sweep.data import DataOverview, MissingValues, data_overview
from sweep.data.overlap import num_shared
from sweep.data.parts import Part, Pool
from sweep.data.sources import OWN_SOURCES
from sweep.records import DataSettings

NUM_ROWS = 60


class Given:
    """A source whose parts are given."""

    def __init__(self, pool: Pool, test: Part) -> None:
        self._pool, self._test = pool, test

    def pool(self) -> Pool:
        return self._pool

    def test(self) -> Part:
        return self._test


@pytest.fixture
def describe(monkeypatch: pytest.MonkeyPatch) -> Callable[..., DataOverview]:
    def describe(inputs: Any, test: Any, labels: Any = None, **pool: Any) -> DataOverview:
        labels = np.arange(len(inputs)) % 2 if labels is None else labels
        examples = Part(inputs, labels)
        sealed = Part(test, np.zeros(len(test), np.int64))
        source = Given(Pool(examples, ("no", "yes"), len(test), content="x", **pool), sealed)
        monkeypatch.setitem(OWN_SOURCES, "table", lambda _settings: source)
        return data_overview(DataSettings("table", "rows.csv", "rows.csv"))

    return describe


def rows(**columns: Any) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    return pd.DataFrame({"height": generator.normal(170.0, 10, NUM_ROWS), **columns})


def test_a_tables_classes_columns_and_splits_are_counted(describe):
    inputs = rows(colour=["red", "green", "blue"] * 20)
    labels = (np.arange(NUM_ROWS) >= 45).astype(np.int64)
    found = describe(inputs, inputs.iloc[:0], labels, notes=("2 rows were left out",))
    assert (found.num_train, found.num_validation, found.spec.num_test) == (50, 10, 0)
    assert found.class_counts == (45, 15)
    assert found.num_columns == 2
    assert found.spec.input_shape == (4,)
    assert found.missing == ()
    assert found.notes == ("2 rows were left out",)


def test_missing_values_are_counted_by_column_the_worst_first(describe):
    few = np.where(np.arange(NUM_ROWS) < 3, np.nan, 1.5)
    many = [None if index % 2 else "a" for index in range(NUM_ROWS)]
    inputs = rows(few=few, many=many)
    found = describe(inputs, inputs.iloc[:0])
    assert found.missing == (MissingValues("many", 30), MissingValues("few", 3))


@pytest.mark.parametrize(
    ("column", "identifies"),
    [
        (np.arange(NUM_ROWS), True),
        (np.arange(NUM_ROWS) * 1.0, True),  # whole numbers, of which some may be missing
        ([None, *np.arange(1.0, NUM_ROWS)], True),
        ([f"p{index}" for index in range(NUM_ROWS)], True),
        (["p0", "p0", *(f"p{index}" for index in range(2, NUM_ROWS))], True),
        (np.linspace(0, 1, NUM_ROWS), False),  # was measured
        (np.arange(NUM_ROWS) // 2, False),
        ([0, 0, *range(2, NUM_ROWS)], False),  # whole numbers of a wide range differ by chance
        (["a", "b", "c"] * 20, False),
        ([None] * 41 + [f"p{index}" for index in range(19)], False),  # too few to say
    ],
    ids=["numbers", "floats", "gaps", "texts", "nearly", "measured", "pairs", "wide", "few", "19"],
)
def test_a_column_that_identifies_rows_is_named(describe, column, identifies):
    inputs = rows(column=column)
    assert describe(inputs, inputs.iloc[:0]).identifiers == (("column",) if identifies else ())


def test_columns_of_arrays_are_numbered(describe):
    inputs = np.random.default_rng(0).normal(size=(NUM_ROWS, 2)).astype(np.float32)
    inputs[:, 1] = np.arange(NUM_ROWS)
    found = describe(inputs, inputs[:1])
    assert (found.num_columns, found.identifiers, found.missing) == (2, ("1",), ())


def test_test_rows_that_stand_in_training_are_counted(describe):
    inputs = rows(colour=["red", None, "blue"] * 20)
    test = pd.concat([inputs.iloc[[4, 5, 5]], inputs.iloc[[4]].assign(height=1.0)])
    assert describe(inputs, test).num_in_training == 3


def test_test_examples_of_the_sources_own_validation_split_count_too(describe):
    inputs = rows()
    own = Part(inputs + 1, np.arange(NUM_ROWS) % 2)
    found = describe(inputs, own.inputs.iloc[:7], validation=own)
    assert (found.num_validation, found.num_in_training) == (NUM_ROWS, 7)
    assert sum(found.class_counts) == 2 * NUM_ROWS


def shared(pool: Any, test: Any) -> int:
    parts = [Part(inputs, np.zeros(len(inputs), np.int64)) for inputs in (pool, test)]
    return num_shared(Pool(parts[0], ("a",), len(test)), parts[1])


def test_images_are_the_same_to_the_last_pixel():
    images = np.random.default_rng(0).integers(0, 256, (30, 3, 4, 4)).astype(np.uint8)
    test = images[[3, 8, 8, 20]].copy()
    test[3, 2, 3, 3] ^= 1
    assert shared(images, test) == 3


def test_numbers_are_the_same_whatever_their_type():
    assert shared(np.array([[0.0, 1.0]], np.float32), np.array([[-0.0, 1.0]], np.float32)) == 1
    assert shared(pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [2.0, np.nan]})) == 1
    assert shared(pd.DataFrame({"a": ["x", None]}), pd.DataFrame({"a": [None, "y"]})) == 1


@pytest.mark.parametrize("missing", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_a_built_in_data_set_that_is_not_whole_is_not_read_and_not_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("it was downloaded")

    monkeypatch.setattr("sweep.data.sources.mnist_family.download", refuse)
    raw = tmp_path / "MNIST" / "raw"
    for stem in ("train", "t10k"):
        write_idx(raw / f"{stem}-images-idx3-ubyte", np.zeros((1, 28, 28)))
        write_idx(raw / f"{stem}-labels-idx1-ubyte", np.zeros(1))
    (raw / missing).unlink()
    found = data_overview(DataSettings("builtin", "mnist", str(tmp_path)))
    assert not found.is_here
    assert (found.num_train, found.num_validation, found.num_in_training) == (50_000, 10_000, None)
