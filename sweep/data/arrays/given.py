"""Which arrays make a data set, and what callers give as `data`. Imports NumPy alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.data.arrays.archive import content_of
from sweep.errors import DataError
from sweep.words import did_you_mean

__all__ = ["PARTS", "WHOLE", "GivenArrays", "as_array", "read_given", "require_names"]

WHOLE = ("x", "y")
PARTS = {
    "train": ("x_train", "y_train"),
    "test": ("x_test", "y_test"),
    "validation": ("x_validation", "y_validation"),
}
"""Names of the inputs and the labels of each part; `x` and `y` alone are all examples."""

_FOUR = (*PARTS["train"], *PARTS["test"])
_RULE = f"({', '.join(WHOLE)}), ({', '.join(_FOUR)}), or a mapping with such names"
_NAMES_RULE = (
    "give x and y, or x_train, y_train, x_test and y_test, perhaps with x_validation and "
    "y_validation"
)


@dataclass(frozen=True, slots=True, eq=False)
class GivenArrays:
    """Arrays by name, not examined yet, and the SHA-256 that names them."""

    arrays: Mapping[str, NDArray[Any]]
    sha256: str


def require_names(names: Collection[str], where: str) -> None:
    """Raise `DataError` unless arrays of these names are a data set."""
    split = [name for pair in PARTS.values() for name in pair]
    for name in names:
        if name not in (*WHOLE, *split):
            guess = did_you_mean(name, (*WHOLE, *split))
            raise DataError(f"{where}: unknown array {name[:64]!r}{guess}; {_NAMES_RULE}")
    if not names:
        raise DataError(f"{where}: there are no arrays; {_NAMES_RULE}")
    needed: tuple[str, ...] = WHOLE
    if not set(WHOLE) & set(names):
        needed = (*PARTS["train"], *PARTS["test"])
        if set(PARTS["validation"]) & set(names):
            needed += PARTS["validation"]
    for name in names:
        if name not in needed:
            raise DataError(f"{where}: {name} stands beside x and y; {_NAMES_RULE}")
    for name in needed:
        if name not in names:
            raise DataError(f"{where}: {name} is missing; {_NAMES_RULE}")


def read_given(data: Any) -> GivenArrays:
    """The arrays that a caller gives.

    Two are x and y, four are x_train, y_train, x_test and y_test; a mapping names them and may
    have x_validation and y_validation, too. Each is an array of NumPy or PyTorch, a list, or a
    `DataFrame` or `Series`.

    Raises:
        ValueError: it is something else; the message continues "data ...".
        DataError: one of them cannot become an array of numbers or text.
    """
    if isinstance(data, tuple | list) and len(data) in (len(WHOLE), len(_FOUR)):
        named = dict(zip(WHOLE if len(data) == len(WHOLE) else _FOUR, data, strict=True))
    elif isinstance(data, Mapping) and data:
        named = {str(name): data[name] for name in data}
        require_names(named, "data")
    else:
        found = f"a value of type {type(data).__name__}"
        if isinstance(data, tuple | list | Mapping):
            found = f"{len(data)} values"
        raise ValueError(f"must be {_RULE}; found {found}")
    arrays = {name: as_array(value, f"data: {name}") for name, value in named.items()}
    return GivenArrays(arrays, content_of(arrays))


def as_array(value: Any, place: str) -> NDArray[Any]:
    """What a caller gives as an array of numbers or text, contiguous and in native byte order.

    Raises:
        DataError: it cannot become one.
    """
    if getattr(value, "columns", None) is not None and hasattr(value, "dtypes"):
        value = _frame(value, place)
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:  # ragged lists, tensors of a GPU
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{place} cannot become an array: {reason}") from None
    if array.ndim == 0 and hasattr(value, "toarray"):  # a sparse matrix of SciPy
        raise DataError(f"{place} is sparse; give its toarray()")
    if np.ma.is_masked(value):
        raise DataError(f"{place} has masked values; fill them in, or leave those examples out")
    if array.dtype.kind == "O":
        array = _plain(array, place)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return np.ascontiguousarray(array)


def _frame(frame: Any, place: str) -> NDArray[Any]:
    """The columns of a `DataFrame` as one array of numbers; missing ones become NaN."""
    for name, dtype in zip(frame.columns, frame.dtypes, strict=True):
        if dtype.kind not in "biuf":
            raise DataError(
                f"{place} must hold numbers; column {str(name)[:64]!r} has type {dtype}; write it "
                "as numbers, or save the table and use dataset: {table: FILE, target: COLUMN}"
            )
    types = set(frame.dtypes)
    if len(types) == 1 and isinstance(next(iter(types)), np.dtype):
        return np.asarray(frame)
    made: NDArray[Any] = frame.to_numpy(np.float64, na_value=np.nan)
    return made


def _plain(array: NDArray[Any], place: str) -> NDArray[Any]:
    """Text or numbers that are held as Python objects, as pandas does."""
    values = array.reshape(-1).tolist()
    kinds = {type(value) for value in values}
    missing = [at for at, value in enumerate(values) if value is None or value != value]
    if missing:
        raise DataError(
            f"{place} has {len(missing):,} missing values, the first at [{missing[0]}]; fill them "
            "in, or leave those examples out"
        )
    if kinds <= {str} or kinds <= {bool} or kinds <= {int, float}:
        return np.array(values).reshape(array.shape)
    found = ", ".join(sorted(kind.__name__ for kind in kinds)[:3])
    raise DataError(f"{place} must hold numbers alone or text alone; found objects of type {found}")
