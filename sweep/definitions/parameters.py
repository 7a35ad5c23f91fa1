"""Hyperparameters, and how the ones of a family or of the recipe are declared.

A set of hyperparameters is a frozen dataclass whose fields are made by `whole`, `real` and
`choice`::

    @dataclass(frozen=True, slots=True)
    class Recipe:
        epochs: int = whole("Passes over the training split.", 20, minimum=1, maximum=100_000)

The field is the one definition of the hyperparameter: its name, type, bounds, default and meaning.
`declared` lists the definitions, `view` reads a trial's parameters through them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any, TypeVar, cast

from sweep.records import DataSpec

__all__ = [
    "CategoricalParameter",
    "Cost",
    "DefaultBy",
    "FamilyDefinition",
    "FloatParameter",
    "IntParameter",
    "Parameter",
    "Params",
    "Scalar",
    "choice",
    "declared",
    "real",
    "require_valid",
    "view",
    "whole",
    "with_defaults",
]

Scalar = int | float | str
Params = Mapping[str, Scalar]
"""Values of hyperparameters by name."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DefaultBy:
    """A default for each choice of a categorical parameter, its parent."""

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
    """A field that is a whole number."""
    return _field(IntParameter("", meaning, default, minimum, maximum))


def real(meaning: str, default: float | DefaultBy, *, minimum: float, maximum: float) -> Any:
    """A field that is a number."""
    return _field(FloatParameter("", meaning, default, minimum, maximum))


def choice(meaning: str, default: str, choices: Sequence[str]) -> Any:
    """A field that is one of a few names."""
    return _field(CategoricalParameter("", meaning, default, tuple(choices)))


def _field(parameter: Parameter) -> Any:
    return field(metadata={"parameter": parameter})


@cache
def declared(kind: type) -> Mapping[str, Parameter]:
    """The hyperparameters that a dataclass declares, by name, in the order of its fields."""
    return {each.name: replace(each.metadata["parameter"], name=each.name) for each in fields(kind)}


def with_defaults(parameters: Mapping[str, Parameter], params: Params) -> dict[str, Scalar]:
    """A value for each of these parameters: the one in `params`, or the default.

    A parameter whose default depends on another must come after it.
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
    """Check each parameter's value.

    Raises:
        ValueError: a value is missing or not allowed.
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
    return kind(**with_defaults(declared(kind), params))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one network of a family costs.

    Attributes:
        num_parameters: Its trainable numbers.
        example_flops: Floating-point operations of the matrix products that one training example
            needs, forward and backward.
        stacked_parameters: The most numbers that its parameters take in a stack, padding included.
        training_numbers: Numbers that one example leaves in memory while it is trained on.
        inference_numbers: The same while nothing is trained.
    """

    num_parameters: int
    example_flops: int
    stacked_parameters: int
    training_numbers: int
    inference_numbers: int


@dataclass(frozen=True, slots=True)
class FamilyDefinition:
    """A model family's own hyperparameters, and what they mean for time and memory.

    Attributes:
        idle: Names of those that have no effect in a configuration.
        cost: What a network of this configuration costs on this kind of data.
        stack_key: Networks with similar keys waste least when they are trained as one stack; None
            for a family whose networks are trained one by one.
    """

    name: str
    parameters: Mapping[str, Parameter]
    idle: Callable[[Params], frozenset[str]]
    cost: Callable[[Params, DataSpec], Cost]
    stack_key: Callable[[Params], tuple[Scalar, ...]] | None
