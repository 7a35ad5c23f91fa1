"""What all models of the search space share: strict types and the shorthand of a bare name."""

from __future__ import annotations

from types import UnionType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict

__all__ = ["Flag", "Number", "Scalar", "StrictModel", "Text", "WholeNumber", "named"]

Scalar = int | float | str
WholeNumber = Annotated[int, Strict()]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Text = Annotated[str, Strict()]
Flag = Annotated[bool, Strict()]


class StrictModel(BaseModel):
    """Settings of every model: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def named(key: str, form: Any) -> BeforeValidator:
    """Accept a bare name where a mapping with only that key is meant.

    Args:
        key: The key that the name stands for.
        form: The type of the mapping, or a union of types.
    """
    models = get_args(form) if get_origin(form) is UnionType else (form,)
    names = tuple(name for model in models for name in get_args(model.model_fields[key].annotation))
    return BeforeValidator(
        lambda value: {key: value} if isinstance(value, str) else value,
        json_schema_input_type=form | Literal[names],
    )
