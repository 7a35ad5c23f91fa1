"""Records with digests: what is read is what was written for its owner.

SQLite does not check text and numbers: a flipped bit can turn an accuracy of 0.91 into 0.99. The
owner is part of the record, because Optuna copies studies and trials with all their attributes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypeVar

from sweep.codec import from_plain
from sweep.study import RECORD

__all__ = ["Owner", "checked", "with_digest"]

T = TypeVar("T", bound=Hashable)

Owner = Sequence[str | int]
"""A study's identity, and its name; or, if the record is a trial's, the trial's number."""

_KEYS = {"sha256", "owner", "record"}


def with_digest(owner: Owner, plain: Any) -> dict[str, Any]:
    """A record, given as plain data (see `sweep.codec.to_plain`), as it is stored."""
    return {"sha256": _digest(owner, plain), "owner": list(owner), "record": plain}


def checked(kind: type[T], attributes: Mapping[str, Any]) -> tuple[list[str | int], T] | None:
    """Owner and record among some system attributes, or None if there is no record.

    Raises:
        ValueError: the record is not what was written, or stands under another key.
    """
    for key, stored in attributes.items():
        is_whole = isinstance(stored, dict) and stored.keys() == _KEYS
        if key != RECORD and not is_whole:
            continue  # an attribute of Optuna or of another program
        if (
            key != RECORD
            or not is_whole
            or stored["sha256"] != _digest(stored["owner"], stored["record"])
        ):
            raise ValueError(f"{key!r} is not what was written there: its digest does not match")
        return stored["owner"], from_plain(kind, stored["record"])
    return None


def _digest(owner: Owner, plain: Any) -> str:
    text = json.dumps([owner, RECORD, plain], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
