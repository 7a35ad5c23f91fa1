"""Domains: a parameter is fixed, a range or choices, typed from its definition."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Generic, Literal, TypeVar, Union, cast

from pydantic import (
    BaseModel,
    Discriminator,
    Field,
    Tag,
    create_model,
    field_validator,
    model_validator,
)

from sweep.definitions import (
    CategoricalParameter,
    DefaultBy,
    IntParameter,
    Parameter,
    Scalar,
    parameters_of,
)
from sweep.space.base import Flag, Number, StrictModel, Text, WholeNumber, at_most, shorten
from sweep.words import number_words

__all__ = [
    "Choices",
    "ConditionValue",
    "Domain",
    "Range",
    "default_words",
    "domain_words",
    "full_meaning",
    "max_epochs",
    "parameters_model",
    "size",
    "values",
    "why_outside",
]

MAX_CHOICES = 1000
MAX_STEPS = 1_000_000  # beyond it, rounding decides whether a value is a step
_MAX_SHOWN = 12

ConditionValue = WholeNumber | Number | Text
Condition = dict[str, Annotated[ConditionValue | list[ConditionValue], at_most(MAX_CHOICES)]]
_WHEN = Field(None, description="Other parameters and the values under which this one is sampled.")

T = TypeVar("T")
S = TypeVar("S")


class Range(StrictModel, Generic[T, S]):
    """All values from `low` to `high`, both included."""

    low: T = Field(description="The smallest value.")
    high: T = Field(description="The largest value.")
    step: S | None = Field(None, description="Distance of neighbouring values.")
    log: Flag = Field(False, description="Sample evenly in the logarithm.")
    when: Condition | None = _WHEN

    @model_validator(mode="after")
    def _check(self) -> Range[T, S]:
        low, high = cast("float", self.low), cast("float", self.high)
        step = cast("float | None", self.step)
        if low > high:
            raise ValueError(f"low must not be above high; found low {low} and high {high}")
        if self.log and low <= 0:
            raise ValueError(f"a log range must stay above 0; found low {low}")
        if self.log and step is not None:
            raise ValueError("log and step cannot be used together")
        if step is not None:
            found = f"found low {low}, high {high}, step {step}"
            steps = (high - low) / step
            if steps > MAX_STEPS:
                raise ValueError(f"a range may have at most {MAX_STEPS:,} steps; {found}")
            if (high > low and steps < 0.5) or abs(steps - round(steps)) > 1e-9 * max(1.0, steps):
                raise ValueError(f"high - low must be a multiple of step; {found}")
        return self


class Choices(StrictModel, Generic[T]):
    """One of a list of values."""

    choices: Annotated[list[T], at_most(MAX_CHOICES)] = Field(
        min_length=1, max_length=MAX_CHOICES, description="The values to choose from."
    )
    when: Condition | None = _WHEN

    @field_validator("choices")
    @classmethod
    def _check(cls, choices: list[T]) -> list[T]:
        for index, value in enumerate(choices):
            if value in choices[:index]:
                raise ValueError(f"choices must differ; found {value!r} twice")
        return choices


Domain = Scalar | Range[Any, Any] | Choices[Any] | DefaultBy
"""A fixed value, a range, choices, or a default that depends on another parameter."""


@cache
def parameters_model(model: str) -> type[BaseModel]:
    """The pydantic type of the section `parameters` for a model family."""
    fields: dict[str, Any] = {
        parameter.name: (_domain_type(parameter), _domain_field(parameter))
        for parameter in parameters_of(model).values()
    }
    return create_model(
        "Parameters",
        __base__=StrictModel,
        __doc__="The hyperparameters; one that is not named has its default.",
        **fields,
    )


def _domain_type(parameter: Parameter) -> Any:
    name = "".join(word.capitalize() for word in parameter.name.split("_"))
    value: Any
    is_named = isinstance(parameter, CategoricalParameter)
    if isinstance(parameter, CategoricalParameter):
        value = Literal[parameter.choices]
    else:
        kind: Any = WholeNumber if isinstance(parameter, IntParameter) else Number
        value = Annotated[kind, Field(ge=parameter.minimum, le=parameter.maximum)]
        step: Any = Annotated[kind, Field(gt=0, le=parameter.maximum)]
    choices = create_model(f"{name}Choices", __base__=Choices[value], __doc__=Choices.__doc__)
    forms = [Annotated[value, Tag("fixed")], Annotated[choices, Tag("choices")]]
    if not is_named:
        spread = create_model(
            f"{name}Range", __base__=Range[value, step], __doc__="All values from low to high."
        )
        forms.append(Annotated[spread, Tag("range")])

    def form_of(written: Any) -> str:
        """The form that was written: errors are about this form only."""
        if not isinstance(written, Mapping | StrictModel):
            return "fixed"
        keys = written if isinstance(written, Mapping) else type(written).model_fields
        return "choices" if is_named or "choices" in keys else "range"

    return Annotated[Union[tuple(forms)], Discriminator(form_of)]  # noqa: UP007 - made at run time


def _domain_field(parameter: Parameter) -> Any:
    default = parameter.default
    if isinstance(default, DefaultBy):
        # A factory, because the JSON Schema cannot express a default that depends on something.
        return Field(default_factory=lambda: default, description=full_meaning(parameter))
    return Field(default=default, description=parameter.meaning)


def full_meaning(parameter: Parameter) -> str:
    """A parameter's meaning, and what its default depends on."""
    if isinstance(parameter.default, DefaultBy):
        return f"{parameter.meaning} By default {default_words(parameter.default)}."
    return parameter.meaning


def default_words(default: DefaultBy) -> str:
    """A dependent default in words: `0.001 with optimizer adamw, 0.05 with sgd`."""
    cases = ", ".join(f"{value:g} with {name}" for name, value in default.values.items())
    return cases.replace("with ", f"with {default.parent} ", 1)


def domain_words(domain: Domain) -> str:
    """A domain in words: `0.01 to 1, logarithmic`."""
    if isinstance(domain, Choices):
        words = "one of " + ", ".join(map(number_words, domain.choices))
    elif isinstance(domain, Range):
        words = f"{number_words(domain.low)} to {number_words(domain.high)}"
        words += f" in steps of {number_words(domain.step)}" if domain.step else ""
        words += ", logarithmic" if domain.log else ""
    elif isinstance(domain, DefaultBy):
        return default_words(domain)
    else:
        return number_words(domain)
    if domain.when:
        words += " when " + " and ".join(f"{k} is {v}" for k, v in domain.when.items())
    return words


def size(domain: Domain) -> int | None:
    """The number of a domain's values, or None if they are uncountable."""
    if isinstance(domain, Choices):
        return len(domain.choices)
    if not isinstance(domain, Range) or domain.low == domain.high:
        return 1
    step = domain.step or (1 if isinstance(domain.low, int) else None)
    return None if step is None else round((domain.high - domain.low) / step) + 1


def values(domain: Domain) -> list[Any]:
    """The values of a finite domain."""
    if isinstance(domain, Choices):
        return list(domain.choices)
    if isinstance(domain, Range):
        step = domain.step or 1
        # Rounding may put the last float above `high`.
        return [min(domain.low + i * step, domain.high) for i in range(size(domain) or 0)]
    return [domain]


def max_epochs(domain: Domain) -> int:
    """The largest value of the domain of `epochs`."""
    if isinstance(domain, Range):
        return int(domain.high)
    return max(domain.choices) if isinstance(domain, Choices) else cast("int", domain)


def why_outside(domain: Domain, name: str, value: Scalar) -> str | None:
    """Why a value is not in the domain of parameter `name`; None if it is."""
    found = f"found {shorten(repr(value))}"
    if isinstance(domain, DefaultBy):
        return f"{name} has a default that depends on {domain.parent}; give it values of its own"
    if isinstance(domain, Range):
        return _why_outside_range(domain, name, value, found)
    allowed = domain.choices if isinstance(domain, Choices) else [domain]
    # 32.0 equals 32 but is not a number of units.
    if value in allowed and not (isinstance(value, float) and isinstance(allowed[0], int)):
        return None
    if isinstance(domain, Choices):
        return f"{name} is one of {_first_of(allowed)}; {found}"
    return f"{name} is fixed at {domain!r}; {found}"


def _why_outside_range(domain: Range[Any, Any], name: str, value: Any, found: str) -> str | None:
    if not isinstance(value, int if isinstance(domain.low, int) else int | float):
        return f"{name} is a number; {found}"
    if not domain.low <= value <= domain.high:
        return f"{name} is between {domain.low} and {domain.high}; {found}"
    steps = (value - domain.low) / (domain.step or math.inf)
    if not math.isclose(steps, round(steps), abs_tol=1e-8):
        return f"{name} goes from {domain.low} in steps of {domain.step}; {found}"
    return None


def _first_of(choices: Sequence[Scalar]) -> str:
    shown = ", ".join(map(str, choices[:_MAX_SHOWN]))
    return shown if len(choices) <= _MAX_SHOWN else f"{shown}, ..."
