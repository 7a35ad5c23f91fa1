"""A mapping made in Python → plain data: what YAML can hold, and a stand-in for anything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sweep.space.base import MAX_DIGITS
from sweep.space.yaml_reader import MAX_DEPTH, Document

__all__ = ["read_mapping"]


class _Unusable:
    """Stands for a value that no search space can hold; a message shows what it was."""

    def __init__(self, words: str) -> None:
        self._words = words

    def __repr__(self) -> str:
        return self._words


def read_mapping(mapping: Mapping[Any, Any]) -> Document:
    """Read a search space from a mapping; NumPy's values and tuples count as Python's own."""
    return Document(_plain(mapping, 0), from_python=True)


def _plain(value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        return _Unusable(f"more than {MAX_DEPTH} levels of nesting")
    match value:
        case None | bool():
            return value
        case np.generic() | np.ndarray():
            return _plain(value.tolist(), depth + 1)
        case int():
            is_huge = abs(value) >= 10**MAX_DIGITS
            return _Unusable(f"a number of over {MAX_DIGITS} digits") if is_huge else int(value)
        case float():
            return float(value)
        case str():
            return str.__str__(value)  # of an enumeration, too, its value
        case Mapping():
            return {_key(key): _plain(inner, depth + 1) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner, depth + 1) for inner in value]
    return _Unusable(f"a value of type {type(value).__name__}")


def _key(key: Any) -> str:
    """A key as text, as YAML reads it."""
    plain = _plain(key, MAX_DEPTH)
    return plain if isinstance(plain, str) else repr(plain)
