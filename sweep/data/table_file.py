"""Rows of a CSV or Parquet file, as numbers and text. Imports neither scikit-learn nor torch.

An empty cell and `?` are missing. `NA`, `null` and their like are missing in a column that is
otherwise of numbers; in a column of text they are a category like any other: North America, say.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sweep.control_groups import available_host_bytes
from sweep.errors import DataError
from sweep.words import counted

__all__ = ["ReadTable", "is_text", "listed", "plain_columns", "read_table", "words_in"]

_MISSING = ("", "?")
_MISSING_NUMBERS = ("NA", "N/A", "n/a", "NaN", "nan", "NULL", "Null", "null", "None", "none", "-")
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_FEW = 0.1  # share of rows
_BYTES_IN_MEMORY = 5  # for each byte of a file
_SHOWN = 8  # names in a message
_START = 2**16  # characters that show the header

_NUMBER_WITH_COMMA = re.compile(r"[+-]?\d+(?:,\d+)*(?:[eE][+-]?\d+)?")
_GROUPED_DIGITS = re.compile(r"[+-]?[1-9]\d{0,2}(?:([.,])\d{3})(?:\1\d{3})*")
_ALMOST_NUMBER = re.compile(r"[+-]?[$€£]?\s*\d[\d.,\s]*[%$€£]?")
_DATE = re.compile(r"(?:\d{4}([-/.])\d{1,2}\1\d{1,2}|\d{1,2}([-/.])\d{1,2}\2\d{2,4})(?:[T ].*)?")


@dataclass(frozen=True, slots=True)
class ReadTable:
    """A table as it was read.

    Attributes:
        rows: A pandas `DataFrame`; its columns hold numbers within float32's range, or `str`.
            Missing values are NaN.
        digest: SHA-256 of the file's bytes.
        notes: What was converted, a sentence each.
    """

    rows: pd.DataFrame
    digest: str
    notes: tuple[str, ...] = ()


def is_text(column: pd.Series) -> bool:
    """Whether a column of `ReadTable.rows` holds text; if not, it holds numbers."""
    return not pd.api.types.is_numeric_dtype(column)


def listed(names: Sequence[str]) -> str:
    """The first few names, for a message."""
    shown = ", ".join(repr(name) for name in names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else "")


def read_table(
    path: str | Path, *, texts: Collection[str] = (), numbers: Collection[str] = ()
) -> ReadTable:
    """Read a .parquet file, or any other as CSV with a header.

    Args:
        path: The file.
        texts: Columns to read as text even if all their values are numbers, such as those that
            were text in another file of the same kind.
        numbers: Columns that hold numbers, even if all their values are missing, as `NA` says.

    Raises:
        DataError: the file is missing or cannot be understood without doubt.
    """
    path = Path(path)
    where = f"table {str(path)!r}"
    try:
        _require_memory(path.stat().st_size, where)
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{where} cannot be read: {error.strerror or error}") from error
    if not data:
        raise DataError(f"{where} is empty")
    read = _read_parquet if path.suffix.lower() in (".parquet", ".pq") else _read_csv
    rows, notes = read(data, where, texts)
    if rows.empty:
        raise DataError(f"{where} has a header and no rows")
    has_commas = _has_decimal_commas(rows)
    for name in rows:
        rows[name], note = _convert(
            rows[name],
            f"column {name!r} of {where}",
            as_text=name in texts,
            as_numbers=name in numbers,
            has_commas=has_commas,
        )
        notes += note
    digest = hashlib.sha256(data).hexdigest()
    return ReadTable(rows, digest, tuple(f"Table {path.name!r}: {note}" for note in notes))


def _require_memory(size: int, where: str) -> None:
    there = available_host_bytes()
    if there is not None and size * _BYTES_IN_MEMORY > there:
        raise DataError(
            f"{where} has {size / 2**30:.1f} GiB, and tables are read whole: that takes about "
            f"{_BYTES_IN_MEMORY} times as much memory, of which {there / 2**30:.1f} GiB are "
            "available; leave out rows or columns"
        )


# ---------------------------------------------------------------- CSV


def _read_csv(data: bytes, where: str, texts: Collection[str]) -> tuple[pd.DataFrame, list[str]]:
    text = _decode(data, where)
    separator = _separator(text)
    header, num_rows = _check_lines(text, separator, where)
    as_text = {name for name in texts if name in header}
    while True:
        try:
            rows = pd.read_csv(
                io.BytesIO(data),
                encoding="utf-8-sig",
                sep=separator,
                header=0,
                names=header,
                index_col=False,
                dtype=dict.fromkeys(as_text, str),
                keep_default_na=False,
                na_values=list(_MISSING),
                skipinitialspace=True,
                low_memory=False,  # one type for a whole column
            )
        except (ValueError, OverflowError) as error:
            raise DataError(f"{where} cannot be read as CSV: {_first_line(error)}") from error
        # Truth values, and integers of more than 64 bits. Beside decimal commas, points may be
        # those of thousands.
        others = {str(n) for n in rows if rows[n].dtype in (bool, object)} - as_text
        if _has_decimal_commas(rows):
            others |= {str(n) for n in rows if rows[n].dtype.kind == "f"} - as_text
        if not others:
            break
        as_text |= others
    if len(rows) != num_rows:
        raise DataError(
            f"{where} can be read in two ways, with {num_rows:,} or {len(rows):,} rows; look for "
            "quotes that are not closed"
        )
    notes = [] if separator == "," else [f"columns are separated by {_SEPARATORS[separator]}."]
    return rows, notes


def _decode(data: bytes, where: str) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{where} is UTF-16; save it as UTF-8")
    if data.startswith(b"PK\x03\x04"):
        raise DataError(f"{where} is a spreadsheet or an archive, not CSV; save it as CSV in UTF-8")
    place = data.find(0)
    if place >= 0:
        line = data.count(b"\n", 0, place) + 1
        raise DataError(f"{where} has a NUL byte in line {line:,}: it is damaged, or not CSV")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{where} is not UTF-8: line {line:,} has the byte 0x{data[error.start]:02x}; save it "
            "as UTF-8 (it may be Latin-1 or Windows-1252, or not CSV at all)"
        ) from error


def _separator(text: str) -> str:
    """The one that gives the header most columns; a comma if none does."""

    def columns(separator: str) -> int:
        return len(next(_lines(text[:_START], separator, strict=False), ()))

    return max(_SEPARATORS, key=columns)


def _lines(text: str, separator: str, *, strict: bool) -> Iterator[list[str]]:
    """Values of each line that is not blank, after the number of the line at its end."""
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=strict
    )
    for values in reader:
        if "".join(values).strip() or len(values) > 1:
            yield [str(reader.line_num), *values]


def _check_lines(text: str, separator: str, where: str) -> tuple[list[str], int]:
    """Names of the columns, and the number of rows, all of which have a value for each."""
    lines = _lines(text, separator, strict=True)
    line, number = "0", 0
    try:
        line, *names = next(lines, ["1"])
        header = [name.strip() for name in names]
        _check_names(header, f"line {line} of {where}")
        for number, (line, *values) in enumerate(lines, start=1):  # noqa: B007 - both are used below
            if len(values) != len(header):
                raise DataError(
                    f"{where} has {counted(len(values), 'value')} in line {line}, and "
                    f"{counted(len(header), 'column')}; a value that contains {separator!r} must "
                    "be quoted"
                )
    except csv.Error as error:
        raise DataError(
            f"{where} cannot be read as CSV from line {int(line) + 1:,} on: {error}; is a quote "
            "not closed?"
        ) from error
    return header, number


def _check_names(header: Sequence[str], line: str) -> None:
    if not any(header):
        raise DataError(f"{line} is blank, and must name the columns")
    for place, name in enumerate(header, start=1):
        if not name:
            raise DataError(
                f"{line} has no name for column {place}; name it or leave it out (pandas: "
                "to_csv(..., index=False))"
            )
    if all(_is_number(name) for name in header):
        raise DataError(f"{line} is a row of numbers, and must name the columns")
    repeated = [name for name, count in Counter(header).items() if count > 1]
    if repeated:
        raise DataError(
            f"{line} names {listed(repeated)} more than once; columns need names of "
            "their own, in the first line"
        )


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


# ---------------------------------------------------------------- Parquet


def _read_parquet(
    data: bytes, where: str, texts: Collection[str]
) -> tuple[pd.DataFrame, list[str]]:
    try:
        rows = pd.read_parquet(io.BytesIO(data))
    except ImportError as error:
        raise DataError(f"{where} needs pyarrow: pip install 'sweep[parquet]'") from error
    except (ValueError, OSError) as error:  # pyarrow's own are both
        raise DataError(f"{where} cannot be read as Parquet: {_first_line(error)}") from error
    return plain_columns(rows, where, texts)


def plain_columns(
    rows: pd.DataFrame, where: str, texts: Collection[str] = ()
) -> tuple[pd.DataFrame, list[str]]:
    """The same columns as float64, int64 or `str`; raises `DataError` if one is neither."""
    if any(name is not None for name in rows.index.names):
        rows = rows.reset_index()  # else these columns were lost
    names = [str(name) for name in rows]
    _check_names(names, where)
    plain = {
        name: _plain(column, f"column {name!r} of {where}", name in texts)
        for name, (_, column) in zip(names, rows.items(), strict=True)
    }
    return pd.DataFrame(plain).reset_index(drop=True), []


def _plain(column: pd.Series, where: str, as_text: bool) -> pd.Series:
    kinds = pd.api.types
    if kinds.is_numeric_dtype(column) and not kinds.is_bool_dtype(column) and not as_text:
        if kinds.is_complex_dtype(column):
            raise DataError(f"{where} holds complex numbers; write them as two columns")
        if column.isna().any() or not isinstance(column.dtype, np.dtype):
            return column.astype("float64")
        return column
    known = column[column.notna()]
    if not as_text and len(known) and all(isinstance(value, Decimal) for value in known):
        return column.astype("float64")
    for value in known:
        if np.ndim(value) or isinstance(value, bytes | dict):  # of a `str` it is 0
            raise DataError(
                f"{where} holds values of type {type(value).__name__}, neither numbers nor text; "
                "leave it out"
            )
    return column.astype(object).where(column.isna(), column.astype(str)).astype("str")


# ---------------------------------------------------------------- columns


def _convert(
    column: pd.Series, where: str, *, as_text: bool, as_numbers: bool, has_commas: bool
) -> tuple[pd.Series, list[str]]:
    """A column of numbers or of text, and what was converted."""
    notes: list[str] = []
    if is_text(column):
        column = column.str.strip()
        column = column.mask(column.isin(_MISSING))
        if not as_text:
            column, notes = _numbers_in(column, where, as_numbers, has_commas)
    if not is_text(column):
        _require_range(column, where)
    return column, notes


def _has_decimal_commas(rows: pd.DataFrame) -> bool:
    """Whether a column of numbers has commas that cannot be those of thousands."""
    for name in rows:
        if is_text(rows[name]):
            found = rows[name].dropna().astype(str).str.strip().unique()
            values = [v for v in found if v not in (*_MISSING, *_MISSING_NUMBERS)]
            if all(map(_NUMBER_WITH_COMMA.fullmatch, values)) and any(
                "," in value and not _GROUPED_DIGITS.fullmatch(value) for value in values
            ):
                return True
    return False


def _numbers_in(
    column: pd.Series, where: str, as_numbers: bool, has_commas: bool
) -> tuple[pd.Series, list[str]]:
    """A column of text as numbers, if all of it are, or those that are not missing."""
    name = column.name
    values = column.dropna().unique()
    missing = [value for value in values if value in _MISSING_NUMBERS]
    rest = [value for value in values if value not in _MISSING_NUMBERS]
    if not rest and not (as_numbers and missing):
        return column, []
    notes = []
    if all(map(_NUMBER_WITH_COMMA.fullmatch, rest)) and any("," in value for value in rest):
        several = [value for value in rest if value.count(",") > 1]
        if several or not has_commas:
            raise _ambiguous(where, next(v for v in several or rest if "," in v))
        column = column.str.replace(",", ".", regex=False)
        notes.append(f"column {name!r} has decimal commas.")
    elif words := words_in(column):
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
    values = [value for value in column.dropna().unique() if value not in _MISSING_NUMBERS]
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


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
