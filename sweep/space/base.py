"""Strict types and shorthands that the models of the search space share."""

from __future__ import annotations

from collections.abc import Collection
from types import UnionType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, WithJsonSchema
from pydantic_core import PydanticCustomError

__all__ = [
    "Flag",
    "Number",
    "StrictModel",
    "Text",
    "WholeNumber",
    "at_most",
    "named",
    "one_of",
    "shorten",
]

_MAX_SHOWN = 60

WholeNumber = Annotated[int, Strict()]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Text = Annotated[str, Strict()]
Flag = Annotated[bool, Strict()]


class StrictModel(BaseModel):
    """A model that refuses unknown keys and does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def one_of(names: Collection[str]) -> Any:
    """The type of a text that is one of these names, looked up at each validation."""

    def check(value: Any) -> Any:
        if not isinstance(value, str) or value not in names:
            # The error of a `Literal`, which cannot be used: its names are fixed.
            expected = ", ".join(map(repr, names))
            raise PydanticCustomError("literal_error", "{expected}", {"expected": expected})
        return value

    schema = WithJsonSchema({"type": "string", "enum": list(names)})
    return Annotated[str, BeforeValidator(check), schema]


def named(key: str, form: Any, names: Collection[str] = ()) -> BeforeValidator:
    """Accept a bare name in place of a mapping (a model or a union of them) with only this key.

    Without `names`, the key's literals are allowed.
    """
    models = get_args(form) if get_origin(form) is UnionType else (form,)
    names = tuple(names) or tuple(
        name for model in models for name in get_args(model.model_fields[key].annotation)
    )
    return BeforeValidator(
        lambda value: {key: value} if isinstance(value, str) else value,
        json_schema_input_type=form | Literal[names],
    )


def at_most(number: int) -> BeforeValidator:
    """Refuse a longer list before its entries are validated."""

    def check(value: Any) -> Any:
        if isinstance(value, list) and len(value) > number:
            raise ValueError(f"may have at most {number:,} entries; found {len(value):,}")
        return value

    return BeforeValidator(check)


def shorten(text: str) -> str:
    """A text, cut to the length that a message may quote."""
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 3] + "..."
