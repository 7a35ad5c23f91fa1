"""Records with digests: what is read is what was written, in the place where it was written.

SQLite does not check text and numbers: a flipped bit can turn an accuracy of 0.91 into 0.99. The
SHA-256 includes the owner, to detect a row that moved to another trial.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypeVar

from sweep.codec import from_plain
from sweep.study import RECORD

__all__ = ["checked", "with_digest"]

T = TypeVar("T", bound=Hashable)

Owner = Sequence[str | int]
"""A study's name, followed by a trial's number if the record is a trial's."""


def with_digest(owner: Owner, plain: Any) -> dict[str, Any]:
    """A record, given as plain data (see `sweep.codec.to_plain`), as it is stored."""
    return {"sha256": _digest(owner, plain), "record": plain}


def checked(owner: Owner, kind: type[T], attributes: Mapping[str, Any]) -> T | None:
    """The record among its owner's system attributes, or None if there is none.

    Raises:
        ValueError: it is not what was written there, or stands under another key.
    """
    for key, stored in attributes.items():
        is_whole = isinstance(stored, dict) and stored.keys() == {"sha256", "record"}
        if key != RECORD and not is_whole:
            continue  # an attribute of Optuna or of another program
        if key != RECORD or not is_whole or stored["sha256"] != _digest(owner, stored["record"]):
            raise ValueError(f"{key!r} is not what was written there: its digest does not match")
        return from_plain(kind, stored["record"])
    return None


def _digest(owner: Owner, plain: Any) -> str:
    text = json.dumps([*owner, RECORD, plain], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
