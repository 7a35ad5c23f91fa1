"""Arrays of labels → numbers from 0, and the names of the classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.errors import DataError

__all__ = ["convert_labels"]

_MOST_CHARACTERS = 100
_MOST_WHOLE = 2**53  # beyond, a float does not tell a whole number from the next
_SHOWN = 5


def convert_labels(
    arrays: Mapping[str, NDArray[Any]], where: str
) -> tuple[dict[str, NDArray[np.int64]], tuple[str, ...]]:
    """Labels of all parts of a data set as numbers from 0.

    Args:
        arrays: By name, the training part first, shape (N,) or (N, 1): whole numbers from 0, text
            or booleans.
        where: Begins each message.

    Returns:
        Labels of shape (N,), and the classes' names: the different values in order, as text.

    Raises:
        DataError: they are no labels, or parts have different classes.
    """
    plain = {name: _plain(array, f"{where}: {name}") for name, array in arrays.items()}
    (first, labels), *others = plain.items()
    classes = np.unique(labels)
    names = tuple(map(str, classes.tolist()))
    for name in names:
        _require_showable(name, f"{where}: {first}")
    for other, found in others:
        if found.dtype.kind != labels.dtype.kind:
            raise DataError(
                f"{where}: labels of {first} and {other} must be of one kind; found "
                f"{_kind(labels)} and {_kind(found)}"
            )
        there = np.unique(found)
        _refuse(np.setdiff1d(there, classes), f"{where}: {other}", f"that {first} does not have")
        _refuse(np.setdiff1d(classes, there), f"{where}: {first}", f"that {other} does not have")
    if len(classes) < 2:
        raise DataError(f"{where}: {first} must hold at least two classes; found only {names[0]!r}")
    return {name: np.searchsorted(classes, each) for name, each in plain.items()}, names


def _plain(array: NDArray[Any], place: str) -> NDArray[Any]:
    """Labels as int64, booleans or text, shape (N,)."""
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        advice = "; of one-hot rows, give y.argmax(axis=1)" if array.ndim == 2 else ""
        raise DataError(f"{place} must hold one label for each example; found shape {array.shape}"
                        + advice)  # fmt: skip
    if not len(array):
        raise DataError(f"{place} must not be empty")
    match array.dtype.kind:
        case "b":
            return array
        case "i" | "u":
            return _whole(array, place)
        case "f":
            _refuse_places(np.isnan(array), array, place, "missing labels (NaN)")
            _refuse_places(
                (array != np.trunc(array)) | (np.abs(array) > _MOST_WHOLE),
                array,
                place,
                "labels that are no whole numbers",
                "; regression is not supported: give classes",
            )
            return _whole(array.astype(np.int64), place)
        case "S":
            try:
                array = np.char.decode(array, "utf-8")
            except UnicodeDecodeError:
                raise DataError(
                    f"{place} holds bytes that are not UTF-8; give text, as by astype(str)"
                ) from None
    if array.dtype.kind != "U":
        raise DataError(
            f"{place} must hold whole numbers, text or booleans; found type {array.dtype}"
        )
    _refuse_places(array == "", array, place, "empty labels")
    return array


def _whole(array: NDArray[Any], place: str) -> NDArray[Any]:
    _refuse_places(array < 0, array, place, "negative labels", "; count classes from 0, or give "
                   "their names as text: y.astype(str)")  # fmt: skip
    _refuse_places(array > _MOST_WHOLE, array, place, "labels beyond 2**53", "; give text")
    return array.astype(np.int64)


def _refuse_places(
    wrong: NDArray[np.bool_], array: NDArray[Any], place: str, what: str, advice: str = ""
) -> None:
    if wrong.any():
        at = int(wrong.argmax())
        raise DataError(
            f"{place} holds {int(wrong.sum()):,} {what}, the first, {array[at].item()!r}, at "
            f"[{at}]{advice or '; fill them in or leave those examples out'}"
        )


def _refuse(classes: NDArray[Any], place: str, what: str) -> None:
    """Refuse classes that stand in one part alone."""
    if not len(classes):
        return
    shown = ", ".join(repr(str(each)) for each in classes[:_SHOWN].tolist())
    more = ", …" if len(classes) > _SHOWN else ""
    noun = "a class" if len(classes) == 1 else f"{len(classes):,} classes"
    raise DataError(
        f"{place} holds {noun} {what}: {shown}{more}; each part needs examples of every class: "
        "leave the class out, or give x and y to have them split"
    )


def _require_showable(name: str, place: str) -> None:
    if not name.isprintable() or len(name) > _MOST_CHARACTERS:
        raise DataError(
            f"{place} holds a label that cannot be shown: {name[:_MOST_CHARACTERS]!r}; a class's "
            f"name has at most {_MOST_CHARACTERS} printable characters"
        )


def _kind(labels: NDArray[Any]) -> str:
    return {"b": "booleans", "U": "text"}.get(labels.dtype.kind, "numbers")
