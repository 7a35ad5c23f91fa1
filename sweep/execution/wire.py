"""Messages as bytes: a line of JSON, followed by the bytes that it refers to.

The leases of a message's trials tell the driver which assignment the message is about.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, get_args

from pydantic import TypeAdapter

from sweep.records import Message

__all__ = ["pack", "unpack"]

_KINDS: dict[str, Any] = {kind.__name__: kind for kind in get_args(Message)}


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def pack(message: Message, leases: Mapping[int, int] | None = None) -> bytes:
    """A message and the leases of its trials, by trial number, as bytes."""
    tail = bytearray()

    def append(part: bytes) -> dict[str, list[int]]:
        start = len(tail)
        tail.extend(part)  # as JSON it would be a third larger
        return {"bytes": [start, len(tail)]}

    kind: Any = type(message)
    line = [kind.__name__, list((leases or {}).items()), _adapter(kind).dump_python(message)]
    return b"".join([json.dumps(line, default=append).encode(), b"\n", tail])


def unpack(data: bytes) -> tuple[Message, dict[int, int]]:
    """The message and the leases in these bytes; ValueError if they are no message."""
    line, _, tail = data.partition(b"\n")
    announced = 0

    def fetch(plain: dict[str, Any]) -> Any:
        nonlocal announced
        match plain:
            case {"bytes": [start, stop]}:
                announced = max(announced, stop)
                return tail[start:stop]
        return plain

    try:
        kind, leases, plain = json.loads(line, object_hook=fetch)
        message: Message = _adapter(_KINDS[kind]).validate_python(plain)
        leases = dict(leases)
    except (LookupError, TypeError, ValueError) as error:
        raise ValueError(f"not a message: {error}") from None
    if announced != len(tail):
        raise ValueError(f"not a message: {announced} bytes are announced, {len(tail)} are there")
    return message, leases
