"""What a hyperparameter is, and how the ones of a family or of the recipe are declared.

A set of hyperparameters is a frozen dataclass whose fields are made by `whole`, `real` and
`choice`::

    @dataclass(frozen=True, slots=True)
    class Recipe:
        epochs: int = whole("Passes over the training split.", 20, minimum=1, maximum=100_000)

The field is the one definition of the hyperparameter: its name, type, bounds, default and meaning.
`declared` lists the definitions, `view` reads a trial's parameters through them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, TypeVar, cast

__all__ = [
    "CategoricalParameter",
    "DefaultBy",
    "FloatParameter",
    "IntParameter",
    "Parameter",
    "Params",
    "Scalar",
    "choice",
    "complete",
    "declared",
    "real",
    "require_valid",
    "view",
    "whole",
]

Scalar = int | float | str
Params = Mapping[str, Scalar]
"""Values of hyperparameters by name."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DefaultBy:
    """A default that depends on the value of a categorical parameter.

    Attributes:
        parent: Name of that parameter.
        values: The default for each of its choices.
    """

    parent: str
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class IntParameter:
    """A whole number between two bounds, both included."""

    name: str
    meaning: str
    default: int
    minimum: int
    maximum: int


@dataclass(frozen=True, slots=True)
class FloatParameter:
    """A number between two bounds, both included."""

    name: str
    meaning: str
    default: float | DefaultBy
    minimum: float
    maximum: float


@dataclass(frozen=True, slots=True)
class CategoricalParameter:
    """One of a few names."""

    name: str
    meaning: str
    default: str
    choices: tuple[str, ...]


Parameter = IntParameter | FloatParameter | CategoricalParameter


def whole(meaning: str, default: int, *, minimum: int, maximum: int) -> Any:
    """Declare a field that is a whole number."""
    return _field(IntParameter("", meaning, default, minimum, maximum))


def real(meaning: str, default: float | DefaultBy, *, minimum: float, maximum: float) -> Any:
    """Declare a field that is a number."""
    return _field(FloatParameter("", meaning, default, minimum, maximum))


def choice(meaning: str, default: str, choices: Sequence[str]) -> Any:
    """Declare a field that is one of a few names."""
    return _field(CategoricalParameter("", meaning, default, tuple(choices)))


def _field(parameter: Parameter) -> Any:
    return field(metadata={"parameter": parameter})


@cache
def declared(kind: type) -> Mapping[str, Parameter]:
    """The hyperparameters that a dataclass declares, by name, in the order of its fields."""
    found: dict[str, Parameter] = {}
    for each in fields(kind):
        parameter = each.metadata["parameter"]
        values = {name: getattr(parameter, name) for name in parameter.__slots__}
        found[each.name] = type(parameter)(**(values | {"name": each.name}))
    return found


def complete(parameters: Mapping[str, Parameter], params: Params) -> dict[str, Scalar]:
    """A value for each of these parameters: the given one, or the default.

    Args:
        parameters: The definitions, each after the one that its default depends on.
        params: Values by name; whatever else it has is left out.
    """
    found: dict[str, Scalar] = {}
    for name, parameter in parameters.items():
        if name in params:
            found[name] = params[name]
        elif isinstance(parameter.default, DefaultBy):
            found[name] = parameter.default.values[str(found[parameter.default.parent])]
        else:
            found[name] = parameter.default
    return found


def require_valid(parameters: Mapping[str, Parameter], params: Params) -> None:
    """Check that each parameter has a value that it may have.

    Raises:
        ValueError: one of them has not.
    """
    for name, parameter in parameters.items():
        value = params.get(name)
        if isinstance(parameter, CategoricalParameter):
            fits = value in parameter.choices
        else:
            kinds = int if isinstance(parameter, IntParameter) else (int, float)
            is_number = isinstance(value, kinds) and not isinstance(value, bool)
            fits = is_number and parameter.minimum <= cast("float", value) <= parameter.maximum
        if not fits:
            raise ValueError(f"{name} cannot be {value!r}")


def view(kind: type[T], params: Params) -> T:
    """A trial's parameters as the dataclass that declares them; missing ones are defaults."""
    return kind(**complete(declared(kind), params))  # type: ignore[arg-type]
