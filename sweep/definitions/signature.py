"""A user's own network as a model family, from what its function takes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from sweep.definitions.parameters import (
    CategoricalParameter,
    Cost,
    FamilyDefinition,
    FloatParameter,
    IntParameter,
    Parameter,
)
from sweep.records import LARGEST_FLOAT, LARGEST_INT, Model, NetworkArgument, OwnNetwork

__all__ = ["own_definition", "read_model"]

# Known only by building it: see `sweep.execution.inspection`.
_UNKNOWN = Cost(0, 0, 0, 0, 0)


@cache
def own_definition(network: OwnNetwork) -> FamilyDefinition:
    """The definition of a user's network. What it costs is not known without building it."""
    return FamilyDefinition(
        name=network.source.words,
        parameters={each.name: _parameter(each) for each in network.arguments},
        idle=lambda _: frozenset(),
        cost=lambda _params, _spec: _UNKNOWN,
        stack_key=None,
    )


def _parameter(argument: NetworkArgument) -> Parameter:
    name, meaning, default = argument.name, "An argument of the own network.", argument.default
    if argument.kind == "choice":
        return CategoricalParameter(name, meaning, str(default), argument.choices)
    if argument.kind == "int":
        return IntParameter(name, meaning, int(default), -LARGEST_INT, LARGEST_INT)
    return FloatParameter(name, meaning, float(default), -LARGEST_FLOAT, LARGEST_FLOAT)


def read_model(plain: str | Mapping[str, Any]) -> Model:
    """The model of a stored search space.

    Raises:
        ValueError: it is not a model.
    """
    if isinstance(plain, str):
        return plain
    from sweep.codec import from_plain  # pydantic, which `sweep --help` does without

    return from_plain(OwnNetwork, plain)
