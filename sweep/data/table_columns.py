"""A table's columns as numbers or text, and what is said of them.

An empty cell and `?` are missing. `NA`, `null` and their like are missing in a column that is
otherwise of numbers; in a column of text they are a category like any other: North America, say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sweep.errors import DataError
from sweep.words import counted

__all__ = [
    "MISSING",
    "MISSING_NUMBERS",
    "convert_column",
    "has_decimal_commas",
    "is_text",
    "listed",
    "words_in",
]

MISSING = ("", "?")
MISSING_NUMBERS = ("NA", "N/A", "n/a", "NaN", "nan", "NULL", "Null", "null", "None", "none", "-")
_FEW = 0.1  # share of rows
_SHOWN = 8  # names in a message
_NUMBER_WITH_COMMA = re.compile(r"[+-]?\d+(?:,\d+)*(?:[eE][+-]?\d+)?", re.ASCII)
_GROUPED_DIGITS = re.compile(r"[+-]?[1-9]\d{0,2}([.,])\d{3}(?:\1\d{3})*")
_ALMOST_NUMBER = re.compile(r"[+-]?[$€£]?\s*\d[\d.,\s]*[%$€£]?")
_DATE = re.compile(r"(?:\d{4}([-/.])\d{1,2}\1\d{1,2}|\d{1,2}([-/.])\d{1,2}\2\d{2,4})(?:[T ].*)?")


def is_text(column: pd.Series) -> bool:
    """Whether a column of `ReadTable.rows` holds text; if not, it holds numbers."""
    return not pd.api.types.is_numeric_dtype(column)


def listed(names: Sequence[str]) -> str:
    """The first few names, for a message."""
    shown = ", ".join(repr(name) for name in names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else "")


def convert_column(
    column: pd.Series, where: str, *, as_text: bool, as_numbers: bool, has_commas: bool
) -> tuple[pd.Series, list[str]]:
    """A column of numbers or of text, and what was converted, a sentence each.

    Args:
        column: Of numbers or `str`.
        where: Begins each message.
        as_text: Leave text as it is, even if it is all numbers.
        as_numbers: Its known values are numbers, even if there are none.
        has_commas: Whether the file has decimal commas.

    Raises:
        DataError: a number can be read in two ways, or is beyond float32's range.
    """
    notes: list[str] = []
    if is_text(column):
        column = column.str.strip()
        column = column.mask(column.isin(MISSING))
        if not as_text:
            column, notes = _numbers_in(column, where, as_numbers, has_commas)
    if not is_text(column):
        _require_range(column, where)
    return column, notes


def has_decimal_commas(rows: pd.DataFrame) -> bool:
    """Whether a column of numbers has commas that cannot be those of thousands."""
    return any(is_text(rows[name]) and _settles(rows[name]) for name in rows)


def _settles(column: pd.Series) -> bool:
    found = False
    for value in map(str.strip, map(str, column.dropna())):
        if value in MISSING or value in MISSING_NUMBERS:
            continue
        if not _NUMBER_WITH_COMMA.fullmatch(value):
            return False  # in most columns of text, the first value
        found = found or ("," in value and not _GROUPED_DIGITS.fullmatch(value))
    return found


def _numbers_in(
    column: pd.Series, where: str, as_numbers: bool, has_commas: bool
) -> tuple[pd.Series, list[str]]:
    """A column of text as numbers, if all of it are, or those that are not missing."""
    name = column.name
    values = column.dropna().unique()
    missing = [value for value in values if value in MISSING_NUMBERS]
    rest = [value for value in values if value not in MISSING_NUMBERS]
    if not rest and not (as_numbers and missing):
        return column, []
    notes = []
    if all(map(_NUMBER_WITH_COMMA.fullmatch, rest)) and any("," in value for value in rest):
        several = [value for value in rest if value.count(",") > 1]
        if several or not has_commas:
            raise _ambiguous(where, next(v for v in several or rest if "," in v))
        column = column.str.replace(",", ".", regex=False)
        notes.append(f"column {name!r} has decimal commas.")
    elif words := _words(rest):
        return column, _notes_of_text(column, rest, words)
    elif has_commas:
        with_point = [value for value in rest if "." in value]
        if with_point and all(map(_GROUPED_DIGITS.fullmatch, with_point)):
            raise _ambiguous(where, with_point[0])
    if missing:
        count = int(column.isin(missing).sum())
        notes.append(
            f"column {name!r} has {listed(missing)} in {counted(count, 'row')}, which is taken as "
            "missing."
        )
    numbers: Any = pd.to_numeric(column.mask(column.isin(missing)).astype(object), errors="coerce")
    return numbers.astype("float64") if numbers.dtype == object else numbers, notes


def words_in(column: pd.Series) -> list[str]:
    """The values of a column of text that are neither numbers nor missing, each once."""
    return _words([value for value in column.dropna().unique() if value not in MISSING_NUMBERS])


def _words(values: Sequence[str]) -> list[str]:
    is_word = pd.to_numeric(pd.Series(values, dtype=object), errors="coerce").isna()
    return [value for value, is_one in zip(values, is_word, strict=True) if is_one]


def _notes_of_text(column: pd.Series, values: Sequence[str], words: Sequence[str]) -> list[str]:
    """What is said of a column of text that looks like something else."""
    name, as_text = column.name, "taken as text: as categories"
    if all(map(_DATE.fullmatch, values)):
        return [f"column {name!r} holds dates, which are {as_text}."]
    if all(map(_ALMOST_NUMBER.fullmatch, values)):
        return [
            f"column {name!r} holds numbers with other signs, such as {words[0]!r}, which are "
            f"{as_text}."
        ]
    if len(words) == len(values):
        return []
    num_rows = int(column.isin(words).sum())
    if num_rows <= _FEW * column.notna().sum():
        return [
            f"column {name!r} holds numbers, and {listed(words)} in {counted(num_rows, 'row')}, so "
            f"it is {as_text}; empty cells would leave it one of numbers."
        ]
    return []


def _ambiguous(where: str, value: str) -> DataError:
    return DataError(
        f"{where} has {value!r}, which can be read in two ways; write all numbers with a decimal "
        "point, and their thousands without separators"
    )


def _require_range(column: pd.Series, where: str) -> None:
    values = column.to_numpy(np.float64)
    wrong = np.flatnonzero(np.abs(values) > np.finfo(np.float32).max)
    if len(wrong):
        more = f", and {len(wrong) - 1:,} more like it" if len(wrong) > 1 else ""
        raise DataError(
            f"{where} has {values[wrong[0]]:g} in row {wrong[0]:,}, counted from 0{more}: numbers "
            "must be finite and within the range of 32-bit floats, 3.4e38; leave the cell empty if "
            "the value is not known"
        )
