"""Messages as bytes: JSON, and large parts as they are behind it.

Beside each message travel the leases of the trials that it is about, by which a driver tells what
a worker says of an assignment from what it says of an older one.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import get_args

from sweep.codec import decode, encode
from sweep.records import Assignment, Checkpoint, Message, Train, TrialOutcome

__all__ = ["pack", "unpack"]

_KINDS: dict[str, type[Message]] = {kind.__name__: kind for kind in get_args(Message)}


def pack(message: Message, leases: Mapping[int, int] | None = None) -> bytes:
    """A message and the leases of its trials, by number, as bytes."""
    lean, blobs = _detach(message)
    body = encode(lean)
    head = [type(message).__name__, list((leases or {}).items()), len(body), *map(len, blobs)]
    return b"".join([json.dumps(head).encode(), b"\n", body, *blobs])


def unpack(data: bytes) -> tuple[Message, dict[int, int]]:
    """The message and the leases that `pack` put together.

    Raises:
        ValueError: the bytes are no message.
    """
    line, _, rest = data.partition(b"\n")
    try:
        kind, leases, *sizes = json.loads(line)
        body, *blobs = _cut(rest, sizes)
        return _attach(decode(_KINDS[kind], body), blobs), dict(leases)
    except (LookupError, TypeError, ValueError) as error:
        raise ValueError(f"not a message: {error}") from None


def _cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """Parts of these sizes."""
    if len(data) != sum(sizes):
        raise ValueError(f"{sum(sizes)} bytes are announced, {len(data)} are there")
    ends = list(itertools.accumulate(sizes))
    return [data[end - size : end] for size, end in zip(sizes, ends, strict=True)]


def _detach(message: Message) -> tuple[Message, list[bytes]]:
    """The message without its large parts, which would be a third larger as JSON; and these."""
    match message:
        case TrialOutcome() if message.weights is not None:
            return replace(message, weights=b""), [message.weights]
        case Checkpoint():
            return replace(message, state=b""), [message.state]
        case Train(assignments):
            states = [a.checkpoint.state for a in assignments if a.checkpoint is not None]
            return Train(tuple(_with_state(a, b"") for a in assignments)), states
    return message, []


def _attach(message: Message, blobs: list[bytes]) -> Message:
    match message:
        case TrialOutcome() if blobs:
            return replace(message, weights=blobs[0])
        case Checkpoint():
            return replace(message, state=blobs[0])
        case Train(assignments):
            rest = iter(blobs)
            full = (_with_state(a, next(rest)) if a.checkpoint else a for a in assignments)
            return Train(tuple(full))
    return message


def _with_state(assignment: Assignment, state: bytes) -> Assignment:
    if assignment.checkpoint is None:
        return assignment
    return replace(assignment, checkpoint=replace(assignment.checkpoint, state=state))
