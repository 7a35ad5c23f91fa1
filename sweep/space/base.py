"""Strict types and shorthands that the models of the search space share."""

from __future__ import annotations

import re
from collections.abc import Collection
from types import UnionType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

__all__ = [
    "MAX_DIGITS",
    "Flag",
    "Number",
    "StrictModel",
    "Text",
    "WholeNumber",
    "at_most",
    "named",
    "one_of",
    "shorten",
    "text_number",
]

MAX_DIGITS = 400  # any float has fewer; Python refuses integers of over 4,300 digits
_MAX_SHOWN = 60
# https://yaml.org/spec/1.2.2/#103-core-schema
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = {".inf": "inf", "+.inf": "inf", "-.inf": "-inf", ".nan": "nan"}


def text_number(text: str) -> int | float | None:
    """The number that YAML 1.2 reads an unquoted text as; None if it is none.

    Raises `ValueError` if it has too many digits.
    """
    if text.lower() in _SPECIAL:
        return float(_SPECIAL[text.lower()])
    if not _FLOAT.fullmatch(text):
        return None
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number may have at most {MAX_DIGITS} digits; found {len(text)}")
    return int(text) if _INT.fullmatch(text) else float(text)


WholeNumber = Annotated[int, Strict()]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Text = Annotated[str, Strict()]
Flag = Annotated[bool, Strict()]


class StrictModel(BaseModel):
    """A model that refuses unknown keys and does not change."""

    # Most models only ever validate as a part of another: on their own they are not built.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


def one_of(names: Collection[str], or_a: type | None = None) -> Any:
    """The type of a text that is one of these names, looked up at each validation.

    `or_a` is a type whose values are allowed in place of a text; no file can hold one.
    """

    def check(value: Any) -> Any:
        if or_a is not None and isinstance(value, or_a):
            return value
        if not isinstance(value, str) or value not in names:
            # The error of a `Literal`, which cannot be used: its names are fixed.
            expected = ", ".join(map(repr, names))
            raise PydanticCustomError("literal_error", "{expected}", {"expected": expected})
        return value

    schema = WithJsonSchema({"type": "string", "enum": list(names)})
    return Annotated[str if or_a is None else str | or_a, BeforeValidator(check), schema]


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
