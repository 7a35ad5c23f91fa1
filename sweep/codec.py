"""The frozen values of `sweep.records` ↔ JSON, and labels ↔ bytes, for pipes and for the store.

JSON, not pickle: a stranger's store must never run code.
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from functools import cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import ConfigDict, TypeAdapter, ValidationError

__all__ = ["decode", "encode", "from_plain", "pack_labels", "to_plain", "unpack_labels"]

T = TypeVar("T", bound=Hashable)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    # A tuple, because pydantic accepts no configuration for a bare dataclass. Strict, or "1" and
    # 1.0 would read as 1.
    return TypeAdapter(
        tuple[kind],
        config=ConfigDict(strict=True, ser_json_bytes="base64", val_json_bytes="base64"),
    )


def encode(value: Hashable) -> bytes:
    """A value of `sweep.records` as JSON; bytes become base64."""
    text: bytes = _adapter(type(value)).dump_json((value,))
    return text


def decode(kind: type[T], text: bytes) -> T:
    """The value that `encode` wrote.

    Raises:
        ValueError: the text does not describe such a value.
    """
    try:
        value: T = _adapter(kind).validate_json(text)[0]
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(map(str, problem["loc"][1:]))
        raise ValueError(f"{kind.__name__}.{where}: {problem['msg']}") from None
    return value


def to_plain(value: Hashable) -> dict[str, Any]:
    """A value of `sweep.records` as a JSON object."""
    plain: dict[str, Any] = _adapter(type(value)).dump_python((value,), mode="json")[0]
    return plain


def from_plain(kind: type[T], plain: object) -> T:
    """The value that `to_plain` converted.

    Raises:
        ValueError: `plain` does not describe such a value.
    """
    # Through text: only from JSON does pydantic read base64 as bytes.
    return decode(kind, json.dumps([plain]).encode())


def pack_labels(labels: ArrayLike, num_classes: int) -> bytes:
    """Labels in as few bits each as the classes need, the most significant bit first.

    The first byte is the number of bits, up to seven, that fill the last one. Raises a `ValueError`
    if there is no such class: it would read as another one.
    """
    found = np.asarray(labels)
    if not found.size:
        return b""
    if not 0 <= found.min() <= found.max() < num_classes:
        raise ValueError(
            f"labels must be from 0 to {num_classes - 1}; found {found.min()} to {found.max()}"
        )
    places = np.arange(_width(num_classes))[::-1]
    bits = found[:, None] >> places & 1
    return bytes([-bits.size % 8]) + np.packbits(bits).tobytes()


def unpack_labels(packed: bytes, num_classes: int) -> NDArray[np.int64]:
    """The labels that `pack_labels` wrote.

    Raises:
        ValueError: the bytes are not a whole number of labels.
    """
    if not packed:
        return np.empty(0, np.int64)
    width, num_bits = _width(num_classes), 8 * (len(packed) - 1) - packed[0]
    if packed[0] > 7 or num_bits < 0 or num_bits % width:
        raise ValueError(f"{len(packed)} bytes are not a whole number of labels")
    bits = np.unpackbits(np.frombuffer(packed, np.uint8, offset=1), count=num_bits)
    labels = np.zeros(num_bits // width, np.int64)
    for place in bits.reshape(-1, width).T:
        labels = 2 * labels + place
    return labels


def _width(num_classes: int) -> int:
    """Bits of a packed label."""
    return max(1, (num_classes - 1).bit_length())
