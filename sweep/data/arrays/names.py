"""Which arrays make a data set: x and y, or some for each part."""

from __future__ import annotations

from collections.abc import Collection

from sweep.errors import DataError
from sweep.words import did_you_mean

__all__ = ["PARTS", "WHOLE", "require_names"]

WHOLE = ("x", "y")
PARTS = {
    "train": ("x_train", "y_train"),
    "test": ("x_test", "y_test"),
    "validation": ("x_validation", "y_validation"),
}
"""Names of the inputs and the labels of each part; `x` and `y` alone are all examples."""

_RULE = (
    "give x and y, or x_train, y_train, x_test and y_test, perhaps with x_validation and "
    "y_validation"
)


def require_names(names: Collection[str], where: str) -> None:
    """Raise `DataError` unless arrays of these names are a data set."""
    split = [name for pair in PARTS.values() for name in pair]
    for name in names:
        if name not in (*WHOLE, *split):
            guess = did_you_mean(name, (*WHOLE, *split))
            raise DataError(f"{where}: unknown array {name[:64]!r}{guess}; {_RULE}")
    if not names:
        raise DataError(f"{where}: there are no arrays; {_RULE}")
    needed: tuple[str, ...] = WHOLE
    if not set(WHOLE) & set(names):
        needed = (*PARTS["train"], *PARTS["test"])
        if set(PARTS["validation"]) & set(names):
            needed += PARTS["validation"]
    for name in names:
        if name not in needed:
            raise DataError(f"{where}: {name} stands beside x and y; {_RULE}")
    for name in needed:
        if name not in names:
            raise DataError(f"{where}: {name} is missing; {_RULE}")
