"""Seals: what was written is what is read, and where it was written.

SQLite checks the structure of its file, not the text and the numbers in it: a flipped bit turns an
accuracy of 0.91 into one of 0.99 and nobody notices. Every attribute of ours therefore carries the
SHA-256 of its owner, its key and its value. The owner is part of it, so that a row which comes to
belong to another trial or study is noticed, too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["FORMAT", "FORMAT_VERSION", "format_of", "seal", "unsealed"]

FORMAT = "sweep_format"
FORMAT_VERSION = 3  # 1 was never written down: a study without the attribute has no seals

_PREFIX = "sweep_"

Owner = Sequence[str | int]
"""A study's name, and a trial's number if it is a trial's attribute."""


def seal(owner: Owner, key: str, value: Any) -> dict[str, Any]:
    """A value with its seal, as it is stored."""
    return {"sha256": _digest(owner, key, value), "value": value}


def unsealed(owner: Owner, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The values behind the seals of one owner's attributes.

    Seals under keys that are not ours are checked, too: one of our keys may have been damaged.

    Args:
        owner: Whose attributes they are.
        attributes: What is stored, by key.

    Raises:
        ValueError: a value is not what was written there, or its seal is missing.
    """
    found: dict[str, Any] = {}
    for key, stored in attributes.items():
        if _looks_sealed(key, stored):
            value = stored.get("value")
            if len(stored) != 2 or stored.get("sha256") != _digest(owner, key, value):
                raise ValueError(f"{key!r} is not what was written there: its seal is broken")
            found[key] = value
        elif key.startswith(_PREFIX) and key != FORMAT:
            raise ValueError(f"{key!r} has lost its seal")
        else:
            found[key] = stored
    return found


def format_of(attributes: Mapping[str, Any]) -> int:
    """The format of a study's attributes; this version's own where there are none of ours.

    Raises:
        ValueError: it is no number, or is missing where seals are.
    """
    if FORMAT not in attributes:
        if any(map(_looks_sealed, attributes, attributes.values())):
            raise ValueError(f"{FORMAT!r} is missing")
        is_ours = any(key.startswith(_PREFIX) for key in attributes)
        return 1 if is_ours else FORMAT_VERSION
    version = attributes[FORMAT]
    if not isinstance(version, int):
        raise ValueError(f"{FORMAT!r} must be a number; found {version!r}")  # noqa: TRY004
    return version


def _looks_sealed(key: str, stored: object) -> bool:
    """Whether this is a seal, one with a damaged key or with damaged names included."""
    if not isinstance(stored, dict):
        return False
    names = {"sha256", "value"}
    return stored.keys() == names or (
        key.startswith(_PREFIX) and len(stored) <= 2 and bool(names & stored.keys())
    )


def _digest(owner: Owner, key: str, value: Any) -> str:
    text = json.dumps([*owner, key, value], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
