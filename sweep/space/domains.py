"""What a parameter may be: a fixed value, a range or choices, typed from its definition."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Generic, Literal, TypeVar, cast

from pydantic import (
    BaseModel,
    Discriminator,
    Field,
    Tag,
    create_model,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from sweep.definitions import (
    CategoricalParameter,
    DefaultBy,
    FloatParameter,
    IntParameter,
    Parameter,
    Scalar,
    parameters_of,
)
from sweep.space.base import Flag, Number, StrictModel, Text, WholeNumber, at_most

__all__ = ["Choices", "ConditionValue", "Domain", "Range", "default_words", "parameters_model"]

MAX_CHOICES = 1000
MAX_STEPS = 1_000_000  # from then on rounding decides whether a value is one of the steps

ConditionValue = WholeNumber | Number | Text
Condition = dict[str, Annotated[ConditionValue | list[ConditionValue], at_most(MAX_CHOICES)]]

T = TypeVar("T")
S = TypeVar("S")


class Range(StrictModel, Generic[T, S]):
    """All values from `low` to `high`, both included."""

    low: T = Field(description="The smallest value.")
    high: T = Field(description="The largest value.")
    step: S | None = Field(None, description="Distance of neighbouring values.")
    log: Flag = Field(False, description="Sample evenly in the logarithm.")
    when: Condition | None = Field(
        None, description="Other parameters and the values under which this one is sampled."
    )

    @model_validator(mode="after")
    def _check(self) -> Range[T, S]:
        low, high, step = (cast("float | None", v) for v in (self.low, self.high, self.step))
        assert low is not None  # noqa: S101 - for the type checker: low is required
        assert high is not None  # noqa: S101
        if low > high:
            raise PydanticCustomError(
                "range", "low must not be above high; found low {low} and high {high}",
                {"low": low, "high": high},
            )  # fmt: skip
        if self.log and low <= 0:
            raise PydanticCustomError(
                "range", "a log range must stay above 0; found low {low}", {"low": low}
            )
        if self.log and step is not None:
            raise PydanticCustomError("range", "log and step cannot be used together")
        if step is not None:
            steps = (high - low) / step
            if steps > MAX_STEPS:
                raise PydanticCustomError(
                    "range",
                    "a range may have {most} steps; found low {low}, high {high}, step {step}",
                    {"most": f"{MAX_STEPS:,}", "low": low, "high": high, "step": step},
                )
            if (high > low and steps < 0.5) or abs(steps - round(steps)) > 1e-9 * max(1.0, steps):
                raise PydanticCustomError(
                    "range",
                    "high - low must be a multiple of step; found low {low}, high {high}, "
                    "step {step}",
                    {"low": low, "high": high, "step": step},
                )
        return self


class Choices(StrictModel, Generic[T]):
    """One of a list of values."""

    choices: Annotated[list[T], at_most(MAX_CHOICES)] = Field(
        min_length=1, max_length=MAX_CHOICES, description="The values to choose from."
    )
    when: Condition | None = Field(
        None, description="Other parameters and the values under which this one is sampled."
    )

    @field_validator("choices")
    @classmethod
    def _check(cls, choices: list[T]) -> list[T]:
        for index, value in enumerate(choices):
            if value in choices[:index]:
                raise PydanticCustomError(
                    "choices", "choices must differ; found {value} twice", {"value": repr(value)}
                )
        return choices


Domain = Scalar | Range[Any, Any] | Choices[Any] | DefaultBy
"""What a parameter may be: a value, a range, choices, or a default that depends on another."""


def _domain_kind(value: Any) -> str:
    """Tell which form of domain was written, so that errors speak of that form only."""
    if isinstance(value, Range):
        return "range"
    if isinstance(value, Choices):
        return "choices"
    if isinstance(value, Mapping):
        return "choices" if "choices" in value else "range"
    return "fixed"


def _choices_only(value: Any) -> str:
    return "choices" if isinstance(value, Mapping | Choices) else "fixed"


def _domain_type(parameter: Parameter) -> Any:
    """The pydantic type of one parameter's domain, bounds and description included."""
    name = "".join(word.capitalize() for word in parameter.name.split("_"))
    value: Any
    step: Any
    match parameter:
        case IntParameter():
            value = Annotated[WholeNumber, Field(ge=parameter.minimum, le=parameter.maximum)]
            step = Annotated[WholeNumber, Field(gt=0, le=parameter.maximum)]
        case FloatParameter():
            value = Annotated[Number, Field(ge=parameter.minimum, le=parameter.maximum)]
            step = Annotated[Number, Field(gt=0, le=parameter.maximum)]
        case CategoricalParameter():
            value = Literal[parameter.choices]
    choices = create_model(
        f"{name}Choices", __base__=Choices[value], __doc__="One of a list of values."
    )
    forms = [Annotated[value, Tag("fixed")], Annotated[choices, Tag("choices")]]
    kind = _choices_only
    if not isinstance(parameter, CategoricalParameter):
        spread = create_model(
            f"{name}Range", __base__=Range[value, step], __doc__="All values from low to high."
        )
        forms.append(Annotated[spread, Tag("range")])
        kind = _domain_kind
    union: Any = forms[0]
    for form in forms[1:]:
        union = union | form
    return Annotated[union, Discriminator(kind)]


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


def _domain_field(parameter: Parameter) -> Any:
    default = parameter.default
    if not isinstance(default, DefaultBy):
        return Field(default=default, description=parameter.meaning)
    # Made by a factory: the schema has no room for a default that depends on something.
    described = f"{parameter.meaning} By default {default_words(default)}."
    return Field(default_factory=lambda: default, description=described)


def default_words(default: DefaultBy) -> str:
    """Say what a default depends on: `0.001 with optimizer adamw, 0.05 with sgd`."""
    cases = [f"{value:g} with {name}" for name, value in default.values.items()]
    first, *others = cases
    first = first.replace("with ", f"with {default.parent} ")
    return ", ".join([first, *others])
