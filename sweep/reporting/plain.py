"""Values as plain data for JSON, for the report and the terminal. Imports no library."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from sweep.reporting.answer import Answer

__all__ = ["answer_document", "plain"]


def plain(value: Any) -> Any:
    """A value as plain data for JSON: NaN is null; see `sweep.reporting.tables.FLAT`."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {key: plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [plain(inner) for inner in value]
        case _ if is_dataclass(value):
            document: dict[str, Any] = {}
            for field in fields(value):
                inner = plain(getattr(value, field.name))
                document |= inner if "flat" in field.metadata else {field.name: inner}
            return document
        case _:
            return value


def answer_document(found: Answer) -> dict[str, Any]:
    """The configuration of the search's trial, and what was measured of its network.

    `number`, `params` and `value` are the search's; all else belongs to `network_trial` of
    `network_study`.
    """
    document = plain(found)
    trial, network = document.pop("trial"), document.pop("network")
    return {
        **network,
        **{key: trial[key] for key in ("number", "params", "value")},
        **document,
        "network_trial": network["number"],
        "search_value": trial["value"],
        "search_validation_accuracy": trial["validation_accuracy"],
    }
