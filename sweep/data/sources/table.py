"""Rows of a table, each with its class in the target column."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sweep.data.holding_out import hold_out_test
from sweep.data.parts import Part, Pool
from sweep.data.table_columns import is_text, listed
from sweep.data.table_file import ReadTable, read_table
from sweep.errors import DataError
from sweep.records import DataSettings
from sweep.words import counted, did_you_mean

__all__ = ["Table"]

_MANY_CLASSES = 20  # more numbers than this, with fewer rows each on average than
_ROWS_OF_A_CLASS = 10  # this, are no classes


@dataclass(frozen=True, slots=True)
class _Tables:
    """Training pool and test part, before the target is read as numbers."""

    pool: pd.DataFrame
    test: pd.DataFrame
    content: str
    notes: tuple[str, ...]


class Table:
    """The source of the form `table` of the section `dataset`."""

    def __init__(self, settings: DataSettings) -> None:
        self._settings = settings

    def pool(self) -> Pool:
        """All rows but those of the test part, as they were read."""
        pool, test, class_names, tables = self._read()
        return Pool(
            pool,
            class_names,
            len(test),
            groups=self._groups(tables.pool),
            content=tables.content,
            notes=tables.notes,
        )

    def test(self) -> Part:
        """The rows of the test part, as they were read."""
        return self._read()[1]

    def _read(self) -> tuple[Part, Part, tuple[str, ...], _Tables]:
        tables = self._two_tables() if self._settings.test_path else self._one_table()
        target = self._settings.target
        names = _class_names(tables.pool[target], self._where(target))
        pool, test = (self._part(rows, names) for rows in (tables.pool, tables.test))
        absent = [name for label, name in enumerate(names) if label not in test.labels]
        if absent:
            raise DataError(
                f"table {self._settings.test_path!r} has no row of class {listed(absent)}; each "
                "split needs one of every class"
            )
        return pool, test, names, tables

    def _one_table(self) -> _Tables:
        """The test part is held out of the only table."""
        settings = self._settings
        read = read_table(settings.path)
        rows, notes = self._known_rows(read, settings.path)
        names = _class_names(rows[settings.target], self._where(settings.target))
        labels = self._part(rows, names).labels
        held_out, more = hold_out_test(settings, labels, names, self._groups(rows))
        notes = (*read.notes, *notes, *more)
        return _Tables(rows[~held_out], rows[held_out], read.digest, notes)

    def _two_tables(self) -> _Tables:
        """The test part is a file of its own."""
        settings = self._settings
        if settings.test is not None:
            raise DataError("dataset.test and dataset.test_table exclude each other: leave out one")
        read = read_table(settings.path)
        rows, notes = self._known_rows(read, settings.path)
        texts = [name for name in rows if is_text(rows[name])]
        numbers = [name for name in rows if name not in texts]
        read_test = read_table(settings.test_path, texts=texts, numbers=numbers)
        test_rows, test_notes = self._known_rows(read_test, settings.test_path)
        _require_same_columns(rows, test_rows, settings)
        content = hashlib.sha256(f"{read.digest}{read_test.digest}".encode()).hexdigest()
        notes = (*read.notes, *notes, *read_test.notes, *test_notes)
        if settings.group:
            both = np.intersect1d(rows[settings.group].unique(), test_rows[settings.group].unique())
            if len(both):
                raise DataError(
                    f"{counted(len(both), 'value')} of {self._where(settings.group)}, such as "
                    f"{both[0]!s}, also {'stand' if len(both) > 1 else 'stands'} in "
                    f"{settings.test_path!r}: rows of one group must stay in one split"
                )
        return _Tables(rows, test_rows[list(rows)], content, notes)

    def _known_rows(self, read: ReadTable, path: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
        """The rows whose class is known, once the columns have been checked."""
        settings, rows = self._settings, read.rows
        for key in ("target", "group"):
            name = getattr(settings, key)
            if name and name not in rows:
                raise DataError(
                    f"dataset.{key}: table {path!r} has no column {name!r}"
                    f"{did_you_mean(name, rows)}; it has {listed(list(rows))}"
                )
        if settings.group == settings.target:
            raise DataError(
                f"dataset.group is the target, {settings.target!r}; name another column"
            )
        if not self._inputs(rows):
            raise DataError(
                f"table {path!r} has no column beside dataset.target"
                f"{' and dataset.group' if settings.group else ''}, hence no input"
            )
        unknown = rows[settings.target].isna()
        if unknown.all():
            raise DataError(f"column {settings.target!r} of table {path!r}, the target, is empty")
        rows, num_unknown = rows[~unknown], int(unknown.sum())
        notes = []
        if num_unknown:
            verb = "was" if num_unknown == 1 else "were"
            notes.append(
                f"Table {Path(path).name!r}: {counted(num_unknown, 'row')} {verb} left out for "
                f"want of a value of the target, {settings.target!r}."
            )
        if settings.group and rows[settings.group].isna().any():
            raise DataError(
                f"column {settings.group!r} of table {path!r}, the group, has no value in "
                f"{counted(int(rows[settings.group].isna().sum()), 'row')}; fill them in, or take "
                "these rows out"
            )
        return rows, tuple(notes)

    def _inputs(self, rows: pd.DataFrame) -> list[str]:
        others = (self._settings.target, self._settings.group)
        return [name for name in rows if name not in others]

    def _part(self, rows: pd.DataFrame, class_names: Sequence[str]) -> Part:
        names = _written(rows[self._settings.target])
        labels = pd.Index(class_names).get_indexer(pd.Index(names)).astype(np.int64)
        if (labels < 0).any():
            unknown = sorted(set(names[labels < 0]))
            raise DataError(
                f"table {self._settings.test_path!r} has rows of class {listed(unknown)}, which "
                f"{self._settings.path!r} does not have"
            )
        return Part(rows[self._inputs(rows)].reset_index(drop=True), labels)

    def _groups(self, rows: pd.DataFrame) -> NDArray[np.int64] | None:
        group = self._settings.group
        return pd.factorize(rows[group])[0].astype(np.int64) if group else None

    def _where(self, column: str) -> str:
        return f"column {column!r} of table {self._settings.path!r}"


def _class_names(target: pd.Series, where: str) -> tuple[str, ...]:
    """Names of the classes: numbers ascending, text sorted."""
    values = target.unique()
    if len(values) == 1:
        raise DataError(f"{where}, the target, has the same value in all rows: {values[0]}")
    if not is_text(target):
        fractions = values[values != np.floor(values)]
        found = ""
        if len(fractions):
            found = f"numbers such as {fractions[0]:g}"
        elif len(values) > max(_MANY_CLASSES, len(target) / _ROWS_OF_A_CLASS):
            found = f"{len(values):,} different numbers in {len(target):,} rows"
        if found:
            raise DataError(
                f"{where}, the target, has {found}: it measures something, and regression is not "
                "supported; classes must be words or whole numbers"
            )
    return tuple(_written(pd.Series(np.sort(values), dtype=target.dtype)))


def _written(target: pd.Series) -> NDArray[np.object_]:
    """The target as names of classes; whole numbers without a decimal point."""
    names = target if is_text(target) else (str(int(value)) for value in target)
    return np.array(list(names), dtype=object)


def _require_same_columns(rows: pd.DataFrame, test: pd.DataFrame, settings: DataSettings) -> None:
    missing = [name for name in rows if name not in test]
    extra = [name for name in test if name not in rows]
    if missing or extra:
        found = [f"lacks {listed(missing)}"] * bool(missing)
        found += [f"has {listed(extra)} besides"] * bool(extra)
        raise DataError(
            f"dataset.test_table: {settings.test_path!r} must have the columns of "
            f"{settings.path!r}, and {' and '.join(found)}"
        )
    for name in rows:
        if is_text(test[name]) and not is_text(rows[name]) and not test[name].isna().all():
            example = test[name].dropna().iloc[0]
            raise DataError(
                f"dataset.test_table: column {name!r} of {settings.test_path!r} has text, such as "
                f"{example!r}, and numbers in {settings.path!r}"
            )
