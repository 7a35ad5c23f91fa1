"""Arrays → images (uint8) or rows (float32), and what cannot be either."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.data.arrays import archive
from sweep.errors import DataError
from sweep.records import DataSpec

__all__ = ["convert_inputs", "examples_of", "read_inputs"]

_CHANNELS = (1, 3)
_CHUNK = 4096  # examples that are converted at once: a copy of all would need eight times the bytes
_EXACT = 2**24  # float32 holds all whole numbers up to here
_KINDS = {
    "c": "complex numbers",
    "m": "durations",
    "M": "dates",
    "O": "Python objects",
    "S": "text",
    "U": "text",
    "V": "records of several fields",
}
_AS_ROWS = "to take them for rows of numbers, give x.reshape(len(x), -1)"


def convert_inputs(
    arrays: Mapping[str, NDArray[Any]], where: str
) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    """Inputs of all parts of a data set as uint8 images, or as float32 rows.

    Args:
        arrays: By name, the training part first: rows of shape (N, D), or images of shape
            (N, H, W), (N, H, W, C) or (N, C, H, W), where C is 1 or 3.
        where: Begins each message.

    Returns:
        Rows of shape (N, D) or images of shape (N, C, H, W), and what was converted, a sentence
        each.

    Raises:
        DataError: they are neither, or not all alike.
    """
    first, example = next((name, array.shape[1:]) for name, array in arrays.items())
    for name, array in arrays.items():
        _require_numbers(array, f"{where}: {name}")
        if array.shape[1:] != example:
            raise DataError(
                f"{where}: examples of {first} and {name} must have one shape; found {example} "
                f"and {array.shape[1:]}"
            )
    if len(example) == 1:
        rows = {name: _as_rows(array, f"{where}: {name}") for name, array in arrays.items()}
        return rows, tuple(note for name in arrays if (note := _rounding(name, arrays[name])))
    if len(example) not in (2, 3):
        raise DataError(
            f"{where}: {first} must have shape (N, D), (N, H, W), (N, H, W, C) or (N, C, H, W); "
            f"found {arrays[first].shape}" + ("; of one column, give x[:, None]" if not example
                                              else f"; {_AS_ROWS}")
        )  # fmt: skip
    images = {n: _channels_first(array, f"{where}: {n}") for n, array in arrays.items()}
    return _as_bytes(images, where)


def read_inputs(path: Path, spec: DataSpec) -> NDArray[Any]:
    """The examples of an `.npy` file, or of the array `x` of an `.npz` file.

    Raises:
        DataError: the file is damaged, or holds something else.
    """
    if archive.is_npy(path):
        return examples_of(archive.read_npy(path), spec, str(path))
    names = archive.names_in(path)
    if "x" not in names:
        found = ", ".join(repr(name[:64]) for name in names[:10]) or "none"
        raise DataError(f"{path}: must hold an array named 'x'; found {found}")
    return examples_of(archive.read_npz(path, ["x"])["x"], spec, f"{path}: x")


def examples_of(array: NDArray[Any], spec: DataSpec, where: str) -> NDArray[Any]:
    """An array of inputs as a network takes them.

    Args:
        array: Inputs without labels.
        spec: Of the data that the network was trained on. Its form is demanded; images may also
            have their channels last, and grey ones none.
        where: Begins each message.

    Returns:
        Shape (N, *spec.input_shape), in the spec's dtype.

    Raises:
        DataError: the array is something else.
    """
    shape = spec.input_shape
    forms = [shape]
    if spec.kind == "image":
        channels, height, width = shape
        forms.append((height, width, channels))
        forms += [(height, width)] if channels == 1 else []
    found_shape = array.shape[1:] if array.ndim else None
    if found_shape not in forms:
        wanted = " or ".join(f"(N, {', '.join(map(str, form))})" for form in dict.fromkeys(forms))
        raise DataError(f"{where}: must have shape {wanted}; found {array.shape}")
    _require_numbers(array, where)
    if spec.kind != "image":
        return _as_rows(array, where)
    if found_shape != shape:
        array = np.moveaxis(array.reshape(len(array), *forms[1]), -1, 1)
    made, _ = _as_bytes({"": array}, where)
    return made[""]


def _require_numbers(array: NDArray[Any], place: str) -> None:
    kind = array.dtype.kind
    if kind not in "biuf":
        raise DataError(
            f"{place} must hold numbers; found {_KINDS.get(kind, array.dtype)}; write text as "
            "numbers, or use a table: dataset: {table: FILE, target: COLUMN}"
        )
    if array.ndim == 0:
        raise DataError(f"{place} must hold an example in each row; found a single number")
    if 0 in array.shape:
        raise DataError(f"{place} must not be empty; found shape {array.shape}")
    if kind == "f":
        _require_finite(array, np.isfinite(array), place)


def _require_finite(array: NDArray[Any], is_finite: NDArray[np.bool_], place: str) -> None:
    if is_finite.all():
        return
    num_missing = int(np.isnan(array).sum())
    num_infinite = int(np.isinf(array).sum())
    num_large = array.size - int(is_finite.sum()) - num_missing - num_infinite
    found = [
        f"{number:,} {what}"
        for number, what in (
            (num_missing, "NaN"),
            (num_infinite, "infinite"),
            (num_large, "too large for float32"),
        )
        if number
    ]
    raise DataError(
        f"{place} must hold finite numbers; found {' and '.join(found)}, the first at "
        f"{_first(~is_finite)}; fill them in or leave those examples out"
    )


def _first(wrong: NDArray[np.bool_]) -> list[int]:
    """The index of the first of these places."""
    return [int(index) for index in np.unravel_index(int(wrong.argmax()), wrong.shape)]


# ---------------------------------------------------------------- rows


def _as_rows(array: NDArray[Any], place: str) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        rows = np.ascontiguousarray(array, np.float32)
    if array.dtype.itemsize > rows.itemsize:
        _require_finite(array, np.isfinite(rows), place)
    return rows


def _rounding(name: str, array: NDArray[Any]) -> str:
    """That whole numbers lose digits; empty if none does."""
    if array.dtype.kind not in "iu":
        return ""
    number = int(((array > _EXACT) | (array < -_EXACT)).sum())
    if not number:
        return ""
    are = "whole number is" if number == 1 else "whole numbers are"
    return f"{name}: {number:,} {are} beyond {_EXACT:,}, where float32 rounds them"


# ---------------------------------------------------------------- images


def _channels_first(array: NDArray[Any], place: str) -> NDArray[Any]:
    """Images of shape (N, C, H, W)."""
    if array.ndim == 3:
        return array[:, None]
    first, last = array.shape[1] in _CHANNELS, array.shape[3] in _CHANNELS
    if first and last:
        raise DataError(
            f"{place} has shape {array.shape}, in which the second or the last number may be the "
            f"channels; crop or pad the images, or {_AS_ROWS}"
        )
    if not first and not last:
        raise DataError(
            f"{place} must have 1 or 3 channels, second or last in its shape; found "
            f"{array.shape}; leave out an alpha channel with x[..., :3]; {_AS_ROWS}"
        )
    return array if first else np.moveaxis(array, -1, 1)


def _as_bytes(
    images: Mapping[str, NDArray[Any]], where: str
) -> tuple[dict[str, NDArray[np.uint8]], tuple[str, ...]]:
    """Images of one type as uint8; values from 0 to 1 are multiplied by 255."""
    kinds = {name: _number_words(array) for name, array in images.items()}
    (first, kind), *others = kinds.items()
    for name, other in others:
        if other != kind:
            raise DataError(
                f"{where}: images of {first} and {name} must have one kind of numbers; found "
                f"{kind} and {other}; bring all to uint8"
            )
    scale, note = 1, ""
    if kind == "booleans":
        scale, note = 255, "images: False and True became 0 and 255"
    elif kind == "fractions":
        is_unit = max(float(array.max()) for array in images.values()) <= 1
        scale = 255 if is_unit else 1
        note = "images: floating-point values, which are whole numbers, became bytes"
        if is_unit:
            note = "images: values from 0 to 1 became whole numbers from 0 to 255"
    made = {
        name: _bytes_of(array, scale, f"{where}: {name}" if name else where)
        for name, array in images.items()
    }
    return made, (note,) if note else ()


def _number_words(array: NDArray[Any]) -> str:
    return {"b": "booleans", "f": "fractions"}.get(array.dtype.kind, "whole numbers")


def _bytes_of(array: NDArray[Any], scale: int, place: str) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    is_float = array.dtype.kind == "f"
    # As much as dividing by 255 and multiplying again may be off.
    tolerance = min(0.25, 4 * 255 * float(np.finfo(array.dtype).eps)) if is_float else 0.0
    made = np.empty(array.shape, np.uint8)
    for start in range(0, len(array), _CHUNK):
        exact = array[start : start + _CHUNK].astype(np.float64) * scale
        rounded = np.rint(exact)
        wrong = (np.abs(exact - rounded) > tolerance) | (rounded < 0) | (rounded > 255)
        if wrong.any():
            where = _first(wrong)
            where[0] += start
            raise DataError(
                f"{place} must hold pixels: whole numbers from 0 to 255, or those divided by 255; "
                f"found {array[tuple(where)]} at {where}; scale them and use astype('uint8'); "
                f"{_AS_ROWS}"
            )
        made[start : start + _CHUNK] = rounded
    return made
