"""Rows of a table as text, to be shown beside what a network said of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["column_names", "row_texts"]

_MAX_COLUMNS = 30
_MAX_LENGTH = 60  # characters of a name or a value
_EXACT = 2**53  # a float counts no further


def column_names(rows: Any) -> tuple[str, ...]:
    """Names of the first 30 columns of a `DataFrame`, or numbers from 0 for those of an array."""
    names = range(rows.shape[1]) if isinstance(rows, np.ndarray) else rows.columns
    return tuple(_short(str(name)) for name in names[:_MAX_COLUMNS])


def row_texts(rows: Any, indices: NDArray[np.int64]) -> list[tuple[str, ...]]:
    """Values of some rows in these columns; empty for a missing one, and cut if they are long."""
    if isinstance(rows, np.ndarray):
        return [tuple(f"{value:.6g}" for value in row[:_MAX_COLUMNS]) for row in rows[indices]]
    num_shown = min(rows.shape[1], _MAX_COLUMNS)
    columns = [_texts(rows.iloc[:, place], indices) for place in range(num_shown)]
    return list(zip(*columns, strict=True))


def _texts(column: Any, indices: NDArray[np.int64]) -> list[str]:
    """Values of a column; a missing one gives whole numbers no decimal point."""
    known, form = column.dropna(), ""
    if known.dtype.kind == "f":
        form = ".0f" if bool(((known % 1 == 0) & (abs(known) < _EXACT)).all()) else ".10g"
    chosen = column.iloc[indices]
    pairs = zip(chosen, chosen.isna(), strict=True)
    return ["" if is_missing else _short(f"{value:{form}}") for value, is_missing in pairs]


def _short(text: str) -> str:
    return text if len(text) <= _MAX_LENGTH else f"{text[: _MAX_LENGTH - 1]}…"
