"""Hyperparameters and how a family or the recipe declares them.

A frozen dataclass with fields made by `integer`, `real` and `choice` is the only definition of its
hyperparameters: `declared` lists them, `view` reads a trial's parameters as that dataclass.
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
    "integer",
    "real",
    "require_valid",
    "view",
    "with_defaults",
]

Scalar = int | float | str
Params = Mapping[str, Scalar]
"""Values of hyperparameters by name."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DefaultBy:
    """A default that depends on the choice of another parameter, its parent."""

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


def integer(meaning: str, default: int, *, minimum: int, maximum: int) -> Any:
    """A field for a whole number."""
    return _field(IntParameter("", meaning, default, minimum, maximum))


def real(meaning: str, default: float | DefaultBy, *, minimum: float, maximum: float) -> Any:
    """A field for a number."""
    return _field(FloatParameter("", meaning, default, minimum, maximum))


def choice(meaning: str, default: str, choices: Sequence[str]) -> Any:
    """A field for one of a few names."""
    return _field(CategoricalParameter("", meaning, default, tuple(choices)))


def _field(parameter: Parameter) -> Any:
    return field(metadata={"parameter": parameter})


@cache
def declared(kind: type) -> Mapping[str, Parameter]:
    """A dataclass's hyperparameters by name, in the order of its fields."""
    return {each.name: replace(each.metadata["parameter"], name=each.name) for each in fields(kind)}


def with_defaults(parameters: Mapping[str, Parameter], params: Params) -> dict[str, Scalar]:
    """A value for each parameter: the one in `params`, or its default.

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
    """Raise `ValueError` if a parameter's value is missing or not allowed."""
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
    """A trial's parameters as the dataclass that declares them; missing ones take defaults."""
    return kind(**with_defaults(declared(kind), params))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one network of a family costs in computation and memory."""

    num_parameters: int
    # Floating-point operations of one training example's matrix products, forward and backward.
    example_flops: int
    # The most numbers that the parameters occupy in a stack, padding included.
    stacked_parameters: int
    # Numbers that one example leaves in memory during training, and during inference.
    training_numbers: int
    inference_numbers: int


@dataclass(frozen=True, slots=True)
class FamilyDefinition:
    """A model family's own hyperparameters and what they mean for time and memory."""

    name: str
    parameters: Mapping[str, Parameter]
    # Names of the parameters without effect in a configuration.
    idle: Callable[[Params], frozenset[str]]
    cost: Callable[[Params, DataSpec], Cost]
    # Networks with similar keys waste least in one stack; None: they are trained one by one.
    stack_key: Callable[[Params], tuple[Scalar, ...]] | None
    # The kind of data that the networks need (see `DataSpec.kind`); None: any.
    needs: str | None = None
