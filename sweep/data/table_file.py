"""Rows of a CSV or Parquet file, as numbers and text. Imports neither scikit-learn nor torch."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd

from sweep.control_groups import available_host_bytes
from sweep.data.table_columns import MISSING, convert_column, has_decimal_commas, listed
from sweep.errors import DataError
from sweep.words import counted

__all__ = ["ReadTable", "plain_columns", "read_table"]

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_BYTES_IN_MEMORY = 5  # for each byte of a file
_START = 2**16  # characters that show the header


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


def read_table(
    path: str | Path,
    *,
    texts: Collection[str] = (),
    numbers: Collection[str] = (),
    others: bool = True,
) -> ReadTable:
    """Read a .parquet file, or any other as CSV with a header.

    Args:
        path: The file.
        texts: Columns to read as text even if all their values are numbers, such as those that
            were text in another file of the same kind.
        numbers: Columns that hold numbers, even if all their values are missing, as `NA` says.
        others: Whether further columns are converted and examined, too, or left as they are.

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
    rows, notes = read(data, where, texts, numbers)
    if rows.empty:
        raise DataError(f"{where} has a header and no rows")
    has_commas = has_decimal_commas(rows)
    for name in rows:
        if not (others or name in texts or name in numbers):
            continue
        rows[name], note = convert_column(
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


def _read_csv(
    data: bytes, where: str, texts: Collection[str], numbers: Collection[str]
) -> tuple[pd.DataFrame, list[str]]:
    text = _decode(data, where)
    separator = _separator(text)
    header, num_rows = _check_lines(text, separator, where, {*texts, *numbers})
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
                na_values=list(MISSING),
                skipinitialspace=True,
                low_memory=False,  # one type for a whole column
            )
        except (ValueError, OverflowError) as error:
            raise DataError(f"{where} cannot be read as CSV: {_first_line(error)}") from error
        # Truth values, and integers of more than 64 bits. Beside decimal commas, points may be
        # those of thousands.
        others = {str(n) for n in rows if rows[n].dtype in (bool, object)} - as_text
        if has_decimal_commas(rows):
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


def _check_lines(
    text: str, separator: str, where: str, known: Collection[str]
) -> tuple[list[str], int]:
    """Names of the columns, and the number of rows, all of which have a value for each.

    Some names may be `known` from elsewhere.
    """
    lines = _lines(text, separator, strict=True)
    line, number = "0", 0
    try:
        line, *names = next(lines, ["1"])
        header = [name.strip() for name in names]
        _check_names(header, f"line {line} of {where}", known)
        width = len(header)
        for number, values in enumerate(lines, start=1):  # noqa: B007 - it is used below
            line = values[0]
            if len(values) - 1 != width:
                raise DataError(
                    f"{where} has {counted(len(values) - 1, 'value')} in line {line}, and "
                    f"{counted(width, 'column')}; a value that contains {separator!r} must be "
                    "quoted"
                )
    except csv.Error as error:
        raise DataError(
            f"{where} cannot be read as CSV from line {int(line) + 1:,} on: {error}; is a quote "
            "not closed?"
        ) from error
    return header, number


def _check_names(header: Sequence[str], line: str, known: Collection[str]) -> None:
    if not any(header):
        raise DataError(f"{line} is blank, and must name the columns")
    for place, name in enumerate(header, start=1):
        if not name:
            raise DataError(
                f"{line} has no name for column {place}; name it or leave it out (pandas: "
                "to_csv(..., index=False))"
            )
    if all(_is_number(name) for name in header) and not set(header).intersection(known):
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
    data: bytes, where: str, texts: Collection[str], numbers: Collection[str]
) -> tuple[pd.DataFrame, list[str]]:
    try:
        rows = pd.read_parquet(io.BytesIO(data))
    except ImportError as error:
        raise DataError(f"{where} needs pyarrow: pip install 'sweep[parquet]'") from error
    except (ValueError, OSError) as error:  # pyarrow's own are both
        raise DataError(f"{where} cannot be read as Parquet: {_first_line(error)}") from error
    return plain_columns(rows, where, texts, numbers)


def plain_columns(
    rows: pd.DataFrame, where: str, texts: Collection[str] = (), numbers: Collection[str] = ()
) -> tuple[pd.DataFrame, list[str]]:
    """The same columns as float64, int64 or `str`; raises `DataError` if one is neither."""
    if any(name is not None for name in rows.index.names):
        rows = rows.reset_index()  # else these columns were lost
    names = [str(name) for name in rows]
    _check_names(names, where, {*texts, *numbers})
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


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
