"""What can be said of a data set before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sweep.data.overlap import num_in_training
from sweep.data.parts import Pool
from sweep.data.splits import is_here, num_validation, read_pool, split_pool
from sweep.definitions import DATASETS
from sweep.records import DataSettings, DataSpec

if TYPE_CHECKING:
    from pandas import DataFrame, Series

    from sweep.data.encoding import TableEncoder

__all__ = ["DataOverview", "MissingValues", "data_overview"]

_DIFFERENT = 0.95  # share of different texts from which a column is said to identify rows
_FEW = 20  # rows: among fewer, values differ by chance


@dataclass(frozen=True, slots=True)
class MissingValues:
    """How many rows of a table's training pool have no value in a column."""

    column: str
    count: int


@dataclass(frozen=True, slots=True)
class DataOverview:
    """What can be said of a data set before anything is trained.

    Attributes:
        settings: Which data set.
        spec: A table's `input_shape` counts the numbers that its columns are encoded as.
        num_train: Examples of the training split; `num_validation` likewise.
        is_here: Whether it was read. What follows is empty or None if a download is needed.
        class_counts: Examples of each class in the training pool, in the order of the labels.
        num_columns: Of a table, before they are encoded.
        missing: Columns of a table's training pool with missing values, most first.
        identifiers: Columns of text that differs in nearly every row of the training pool, or of
            whole numbers that differ in every one: a network learns rows by them, not classes.
        unused: Columns that are no input; `notes` say why.
        num_in_training: Test examples whose inputs also stand in the training pool.
        notes: What was left out or converted, a sentence each.
    """

    settings: DataSettings
    spec: DataSpec
    num_train: int
    num_validation: int
    is_here: bool = False
    class_counts: tuple[int, ...] = ()
    num_columns: int | None = None
    missing: tuple[MissingValues, ...] = ()
    identifiers: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    num_in_training: int | None = None
    notes: tuple[str, ...] = ()


def data_overview(settings: DataSettings) -> DataOverview:
    """Read a data set, unless it has to be downloaded, and describe it.

    Of the test part only the hashes of its inputs are looked at (see `sweep.data.overlap`).

    Raises:
        DataError: the data set is damaged or cannot be used.
    """
    if not is_here(settings):
        spec = DATASETS[settings.name]
        held_out = num_validation(settings, spec.num_pool)
        return DataOverview(settings, spec, spec.num_pool - held_out, held_out)
    pool = read_pool(settings)
    data = split_pool(settings, pool)
    labels = np.concatenate([data.train.labels, data.validation.labels])
    rows = _rows(pool)
    return DataOverview(
        settings=settings,
        spec=data.spec,
        num_train=len(data.train),
        num_validation=len(data.validation),
        is_here=True,
        class_counts=tuple(np.bincount(labels, minlength=data.spec.num_classes).tolist()),
        num_columns=None if rows is None else rows.shape[1],
        missing=() if rows is None else _missing(rows),
        identifiers=() if rows is None else _identifiers(rows),
        unused=() if rows is None else _unused(rows, data.encoder),
        num_in_training=num_in_training(settings, pool),
        notes=data.notes,
    )


def _rows(pool: Pool) -> DataFrame | None:
    """All rows of a training pool; None for images."""
    parts = [pool.examples] if pool.validation is None else [pool.examples, pool.validation]
    if pool.examples.is_encoded and pool.examples.inputs.dtype == np.uint8:
        return None
    import pandas as pd

    return pd.concat([pd.DataFrame(part.inputs) for part in parts]).rename(columns=str)


def _missing(rows: DataFrame) -> tuple[MissingValues, ...]:
    counts = rows.isna().sum().sort_values(ascending=False, kind="stable")
    return tuple(MissingValues(name, int(count)) for name, count in counts.items() if count)


def _identifiers(rows: DataFrame) -> tuple[str, ...]:
    return tuple(name for name in rows if _identifies(rows[name].dropna()))


def _unused(rows: DataFrame, encoder: TableEncoder | None) -> tuple[str, ...]:
    used = rows if encoder is None else {*encoder.numbers, *encoder.texts}
    return tuple(name for name in rows if name not in used)


def _identifies(values: Series[Any]) -> bool:
    """Whether nearly all of a column's values differ and none of them was measured."""
    is_number = values.dtype.kind in "iuf"
    least = len(values) if is_number else _DIFFERENT * len(values)
    if len(values) < _FEW or values.nunique() < least:
        return False
    return not is_number or bool((values % 1 == 0).all())
