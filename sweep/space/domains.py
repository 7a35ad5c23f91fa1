"""Domains: a parameter is fixed, a range or choices, typed from its definition."""

from __future__ import annotations

import itertools
import math
from bisect import bisect
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Literal, TypeGuard, Union, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
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
    IntParameter,
    Parameter,
    Params,
    Recipe,
    Scalar,
    definition_of,
    parameters_of,
    view,
)
from sweep.errors import InputError
from sweep.records import Model
from sweep.space.base import (
    MAX_DIGITS,
    Flag,
    Number,
    StrictModel,
    Text,
    WholeNumber,
    at_most,
    shorten,
    text_number,
)
from sweep.space.steps import ROUNDING, check_steps, step_value
from sweep.words import number_words

__all__ = [
    "Choices",
    "ConditionValue",
    "Domain",
    "Range",
    "are_all_same",
    "are_same",
    "default_words",
    "domain_words",
    "full_meaning",
    "is_stepped",
    "max_epochs",
    "min_epochs",
    "nearest_step",
    "own_value",
    "parameters_model",
    "plain_domain",
    "size",
    "title",
    "values",
    "why_outside",
]

MAX_CHOICES = 1000
_MAX_SHOWN = 12


def _check_scalar(value: Any) -> Any:
    """One error in place of one for each type that the value might have."""
    is_scalar = isinstance(value, int | float | str) and not isinstance(value, bool)
    if not is_scalar or (isinstance(value, float) and not math.isfinite(value)):
        raise PydanticCustomError("scalar", "must be a number or text")
    return value


ConditionValue = Annotated[WholeNumber | Number | Text, BeforeValidator(_check_scalar)]
_Wanted = Annotated[
    Annotated[ConditionValue, Tag("value")] | Annotated[list[ConditionValue], Tag("values")],
    Discriminator(lambda wanted: "values" if isinstance(wanted, list) else "value"),
]
Condition = dict[str, Annotated[_Wanted, at_most(MAX_CHOICES)]]
_WHEN = Field(None, description="Other parameters and the values under which this one is sampled.")
_PRIOR = Field(None, description="A value that is probably good: it is tried early and often.")


class Range(StrictModel):
    """All values from low to high."""

    low: Any = Field(description="The smallest value.")
    high: Any = Field(description="The largest value.")
    step: Any = Field(None, description="Distance of neighbouring values.")
    log: Flag = Field(False, description="Sample evenly in the logarithm.")
    prior: Any = _PRIOR
    when: Condition | None = _WHEN

    @model_validator(mode="after")
    def _check(self) -> Range:
        low, high, step = self.low, self.high, self.step
        if low > high:
            raise ValueError(f"low must not be above high; found low {low} and high {high}")
        if self.log and low <= 0:
            raise ValueError(f"a log range must stay above 0; found low {low}")
        if self.log and step is not None:
            raise ValueError("log and step cannot be used together")
        if step is not None:
            check_steps(low, high, step)
            if is_stepped(self):
                return self.model_copy(update={"high": nearest_step(self, high)})
        return self


class Choices(StrictModel):
    """One of a list of values."""

    choices: list[Any] = Field(
        min_length=1, max_length=MAX_CHOICES, description="The values to choose from."
    )
    prior: Any = _PRIOR
    when: Condition | None = _WHEN

    @field_validator("choices")
    @classmethod
    def _check(cls, choices: list[Any]) -> list[Any]:
        for one, other in itertools.pairwise(sorted(choices)):
            if are_same(one, other):
                twice = f"{one!r} twice" if one == other else f"{one!r} and {other!r}"
                raise ValueError(f"choices must differ; found {twice}")
        return choices


Domain = Scalar | Range | Choices | DefaultBy
"""A fixed value, a range, choices, or a default that depends on another parameter."""


def title(model: Model) -> str:
    """How the types of a model's search spaces begin."""
    return model.capitalize() if isinstance(model, str) else "Own"


@cache
def parameters_model(model: Model) -> type[BaseModel]:
    """The pydantic type of the section `parameters` for a model.

    Raises:
        InputError: an argument of a user's network has a name that no field can have.
    """
    definition = definition_of(model)
    for name in definition.parameters:
        if name.startswith("_") or hasattr(StrictModel, name):
            raise InputError(
                f"{definition.name}: argument {name} has a name that is taken or begins with _; "
                "rename it"
            )
    fields: dict[str, Any] = {
        parameter.name: (_domain_type(parameter), _domain_field(parameter))
        for parameter in parameters_of(model).values()
    }
    return create_model(
        f"{title(model)}Parameters",
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
    many = Annotated[list[value], at_most(MAX_CHOICES)]
    choices = _typed(Choices, name, choices=many, prior=value | None)
    forms = [Annotated[value, Tag("fixed")], Annotated[choices, Tag("choices")]]
    if not is_named:
        spread = _typed(Range, name, low=value, high=value, step=step | None, prior=value | None)
        forms.append(Annotated[spread, Tag("range")])

    def form_of(written: Any) -> str:
        """The form that was written: errors are about this form only."""
        if not isinstance(written, Mapping | StrictModel):
            return "fixed"
        keys = written if isinstance(written, Mapping) else type(written).model_fields
        return "choices" if is_named or "choices" in keys else "range"

    return Annotated[Union[tuple(forms)], Discriminator(form_of)]  # noqa: UP007 - made at run time


def _typed(form: type[Range | Choices], name: str, **types: Any) -> Any:
    """The form with these types of its fields. A generic model takes longer to make."""
    fields: Any = {field: (types[field], form.model_fields[field]) for field in types}
    return create_model(f"{name}{form.__name__}", __base__=form, __doc__=form.__doc__, **fields)


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
    """A dependent default in words: `0.001, but 0.05 with optimizer sgd`."""
    [(usual, _)] = Counter(default.values.values()).most_common(1)
    others = [
        f"{value:g} with {default.parent} {choice}"
        for choice, value in default.values.items()
        if value != usual
    ]
    return f"{usual:g}, but {' and '.join(others)}"


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
    if domain.prior is not None:
        words += f", prior {number_words(domain.prior)}"
    if domain.when:
        words += " when " + " and ".join(f"{k} is {_any_of(v)}" for k, v in domain.when.items())
    return words


def _any_of(values: Any) -> str:
    """The values of a condition: `4`, `adam, sgd or muon`."""
    if not isinstance(values, list | tuple):
        return number_words(values)
    *first, last = map(number_words, values)
    return f"{', '.join(first)} or {last}" if first else last


def plain_domain(domain: Domain) -> Any:
    """A domain as plain data. Without a prior it is as before there were any."""
    if not isinstance(domain, Range | Choices):
        return domain
    left_out = {"prior"} if domain.prior is None else None
    return domain.model_dump(mode="json", exclude=left_out)


def size(domain: Domain) -> int | None:
    """The number of a domain's values, or None if they are uncountable."""
    if isinstance(domain, Choices):
        return len(domain.choices)
    if not isinstance(domain, Range) or domain.low == domain.high:
        return 1
    if domain.step is None and not isinstance(domain.low, int):
        return None
    return _num_steps(domain) + 1


def values(domain: Domain) -> list[Any]:
    """The values of a finite domain."""
    if isinstance(domain, Choices):
        return list(domain.choices)
    if isinstance(domain, Range):
        step = domain.step or 1
        if isinstance(domain.low, int):
            return list(range(domain.low, domain.high + 1, step))
        return [step_value(domain.low, step, number) for number in range(size(domain) or 0)]
    return [domain]


def is_stepped(domain: Domain) -> TypeGuard[Range]:
    """Whether a domain's values are the steps of a range of floats."""
    return isinstance(domain, Range) and domain.step is not None and not isinstance(domain.low, int)


def nearest_step(domain: Range, value: float) -> Any:
    """The value of a range with a step, or of whole numbers, that is nearest to another value."""
    step = domain.step or 1
    number = round((value - domain.low) / step)
    return step_value(domain.low, step, min(max(number, 0), _num_steps(domain)))


def _num_steps(domain: Range) -> int:
    steps: int = round((domain.high - domain.low) / (domain.step or 1))
    return steps


def max_epochs(domain: Domain) -> int:
    """The largest value of the domain of `epochs`, and of its default where that may be used."""
    if not isinstance(domain, Range | Choices):
        return cast("int", domain)
    most = domain.high if isinstance(domain, Range) else max(domain.choices)
    return max(most, view(Recipe, {}).epochs) if domain.when else cast("int", most)


def min_epochs(domain: Domain) -> int:
    """The smallest value, likewise."""
    if not isinstance(domain, Range | Choices):
        return cast("int", domain)
    least = domain.low if isinstance(domain, Range) else min(domain.choices)
    return min(least, view(Recipe, {}).epochs) if domain.when else cast("int", least)


def own_value(domain: Domain, value: Scalar, *, from_python: bool = False) -> Scalar | None:
    """The domain's value that is equal to this one up to rounding; None if there is none.

    From Python, a number may be given as text.
    """
    if isinstance(domain, DefaultBy):
        return None
    allowed: list[Any] = domain.choices if isinstance(domain, Choices) else [domain]
    may_be_text = from_python and not isinstance(allowed[0], str)
    if may_be_text and isinstance(value, str) and len(value) <= MAX_DIGITS:
        number = text_number(value)
        value = value if number is None else number
    if isinstance(domain, Range):
        return _own_value_of_range(domain, value)
    # 32.0 equals 32 but is not a number of units.
    if isinstance(value, float) and not isinstance(allowed[0], float):
        return None
    if value in allowed:
        return cast("Scalar", allowed[allowed.index(value)])
    if not isinstance(value, float):
        return None
    ordered = sorted(allowed)
    index = bisect(ordered, value)
    near = ordered[max(0, index - 1) : index + 1]
    return next((each for each in near if are_same(each, value)), None)


def are_same(one: Scalar, other: Scalar) -> bool:
    """Whether two values are equal up to rounding."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-12)
    return one == other


def are_all_same(one: Params, other: Params) -> bool:
    """Whether two configurations name the same parameters, with values that are the same."""
    return one.keys() == other.keys() and all(
        are_same(value, other[name]) for name, value in one.items()
    )


def _own_value_of_range(domain: Range, value: Scalar) -> Scalar | None:
    is_whole = isinstance(domain.low, int)
    if isinstance(value, str) or (isinstance(value, float) and is_whole):
        return None
    margin = ROUNDING * (domain.step or 0.0) if is_stepped(domain) else 0
    if not domain.low - margin <= value <= domain.high + margin:
        return None
    if domain.step is None:
        return value if is_whole else float(value)
    nearest = nearest_step(domain, value)
    return nearest if abs(value - nearest) <= margin else None


def why_outside(domain: Domain, name: str, value: Scalar) -> str | None:
    """Why a value is not in the domain of parameter `name`; None if it is."""
    if own_value(domain, value) is not None:
        return None
    found = f"found {shorten(repr(value))}"
    if isinstance(domain, DefaultBy):
        return f"{name} has a default that depends on {domain.parent}; give it values of its own"
    if isinstance(domain, Choices):
        return f"{name} is one of {_first_of(domain.choices)}; {found}"
    if not isinstance(domain, Range):
        return f"{name} is fixed at {domain!r}; {found}"
    is_whole = isinstance(domain.low, int)
    if isinstance(value, str) or (isinstance(value, float) and is_whole):
        return f"{name} is a {'whole number' if is_whole else 'number'}; {found}"
    if not domain.low <= value <= domain.high:
        return f"{name} is between {domain.low} and {domain.high}; {found}"
    return f"{name} goes from {domain.low} in steps of {domain.step}; {found}"


def _first_of(choices: Sequence[Scalar]) -> str:
    shown = ", ".join(map(str, choices[:_MAX_SHOWN]))
    return shown if len(choices) <= _MAX_SHOWN else f"{shown}, ..."
