"""Overrides give what the whole file with these values would give."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import space_mapping

from sweep.errors import SearchSpaceError
from sweep.space import SearchSpace, load_space, override_space

AUDITED = space_mapping(pruner={"type": "median"}, budget={"trials": 9, "audit": 2})
TIMED = space_mapping(pruner={"type": "median"}, budget={"timeout": 60})
GRID = space_mapping(
    sampler={"type": "grid"},
    parameters={"layer_size": {"choices": [16, 32]}, "epochs": 4},
    budget={},
)


def reference(data: dict[str, Any], overrides: dict[str, Any]) -> Any:
    """The space, or the problems, by validating all of it again."""
    whole = load_space(data).to_json()
    for key, value in overrides.items():
        part = {"name": whole, "seed": whole["sampler"]}.get(key, whole["budget"])
        part[key] = value
    try:
        return load_space(whole)
    except SearchSpaceError as error:
        return error.problems


def found(data: dict[str, Any], overrides: dict[str, Any]) -> Any:
    try:
        return override_space(load_space(data), **overrides)
    except SearchSpaceError as error:
        return error.problems


def plain(outcome: Any) -> Any:
    """A space as plain data, in which a default that follows from another is its value."""
    return outcome.to_json() if isinstance(outcome, SearchSpace) else outcome


@pytest.mark.parametrize(
    ("data", "overrides"),
    [
        (AUDITED, {}),
        (AUDITED, {"name": "other", "seed": 7, "trials": 3, "timeout": 2.5, "audit": 0}),
        (TIMED, {"trials": 4, "audit": 1}),
        (GRID, {"trials": 1, "seed": 3}),
        (AUDITED, {"name": "a/b", "seed": -1, "trials": 0}),
        (AUDITED, {"seed": 2**32}),
        (AUDITED, {"seed": 1.5}),
        (AUDITED, {"trials": 1_000_001}),
        (AUDITED, {"timeout": 1e9}),
        (TIMED, {"audit": 1}),
        (space_mapping(), {"audit": 1}),
        (GRID, {"audit": 1}),
    ],
    ids=str,
)
def test_an_override_is_what_the_whole_file_would_be(data, overrides):
    assert plain(found(data, overrides)) == plain(reference(data, overrides))
