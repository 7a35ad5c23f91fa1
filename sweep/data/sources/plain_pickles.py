"""Pickles of NumPy arrays, text and containers, and of nothing else.

The only module that unpickles: CIFAR's own files are pickles. They are read after their MD5 sums
were verified, and even then nothing in them can name a function but NumPy's three for arrays.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np

__all__ = ["load_plain_pickle"]

_ALLOWED = {
    # Where it lies differs between versions of NumPy; an array itself says what rebuilds it.
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}
"""What the pickles of Python 2 and its NumPy name."""

_BROKEN = (ArithmeticError, AttributeError, EOFError, LookupError, TypeError, ValueError)
"""What unpickling raises for what is no pickle, besides its own error."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """One of the few allowed globals."""
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}") from None


def load_plain_pickle(content: bytes) -> Any:
    """What a pickle of Python 2 holds; its byte strings are read as Latin-1.

    Raises `ValueError` if it holds anything but arrays, text and containers.
    """
    try:
        return _Unpickler(io.BytesIO(content), encoding="latin1").load()
    except (pickle.UnpicklingError, *_BROKEN) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(f"it must hold arrays, text and containers alone; {reason}") from None
