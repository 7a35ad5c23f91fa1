"""Pydantic's errors in the words and positions of the file."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from sweep.space.base import shorten
from sweep.space.yaml_reader import Document, Position

__all__ = ["dotted", "file_path", "translate"]

_NUMBER = "must be a number; {found}{hint}"
_WHOLE_NUMBER = "must be a whole number; {found}{hint}"
_MAPPING = "must be a mapping of keys to values; {found}"
_FLAG = "must be true or false; {found}"
_MESSAGES = {
    "bool_parsing": _FLAG,
    "bool_type": _FLAG,
    "dict_type": _MAPPING,
    "finite_number": _NUMBER,
    "float_parsing": _NUMBER,
    "float_type": _NUMBER,
    "greater_than": "must be above {gt}; {found}",
    "greater_than_equal": "must be at least {ge}; {found}",
    "int_from_float": _WHOLE_NUMBER,
    "int_parsing": _WHOLE_NUMBER,
    "int_parsing_size": _WHOLE_NUMBER,
    "int_type": _WHOLE_NUMBER,
    "less_than": "must be below {lt}; {found}",
    "less_than_equal": "must be at most {le}; {found}",
    "list_type": "must be a list; {found}",
    "literal_error": "must be one of {allowed}; {found}{guess}{hint}",
    "missing": "is missing",
    "model_attributes_type": _MAPPING,
    "model_type": _MAPPING,
    "string_pattern_mismatch": "must be 1 to 64 letters, digits, '.', '_' or '-'; {found}",
    "string_type": "must be text; {found}",
    "too_short": "must not be empty",
    "union_tag_invalid": "type must be one of {allowed}; {found}{guess}",
    "union_tag_not_found": "needs a type; {found}",
    "value_error": "{error}",
}
_LIST_HINT = "; to choose from a list write {choices: [...]}"


def translate(
    detail: ErrorDetails, model: type[BaseModel], document: Document
) -> tuple[Position, str]:
    """Position and message of an error: where, which rule, what was found.

    Args:
        detail: Pydantic's error.
        model: The type that the whole file was validated against.
        document: The file.
    """
    kind, location = detail["type"], detail["loc"]
    path = file_path(location, document.data, missing=kind == "missing")
    if kind == "extra_forbidden":
        key, allowed = str(path[-1]), _allowed_keys(model, location[:-1])
        where, path = document.position(path, of_key=True), path[:-1]
        guess = _did_you_mean(key, allowed)
        message = f"unknown key {_show(key)}{guess}; allowed: {', '.join(allowed)}"
    elif kind == "missing":
        return document.position(path[:-1], of_key=True), f"{dotted(path)} is missing"
    else:
        where, message = document.position(path), _message(detail)
    return where, f"{dotted(path)}: {message}" if path else message


def dotted(path: Iterable[int | str]) -> str:
    """A path as messages show it: `enqueue.0.epochs`."""
    return ".".join(map(str, path))


def file_path(
    location: tuple[int | str, ...], data: Any, *, missing: bool
) -> tuple[int | str, ...]:
    """Pydantic's location without the names of union branches, which are not in the file."""
    path: list[int | str] = []
    if location[:1] == ("parameters",) and location[2:3] in (("fixed",), ("choices",), ("range",)):
        location = location[:2] + location[3:]
    for index, part in enumerate(location):
        if isinstance(data, Mapping):
            if part in data:
                path.append(part)
                data = data[part]
            elif missing and index == len(location) - 1:
                path.append(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            path.append(part)
            data = data[part]
    return tuple(path)


def _message(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    found = context.get("tag", detail["input"])
    if kind not in _MESSAGES:
        return detail["msg"]
    if kind == "union_tag_not_found" and isinstance(found, Mapping):
        return "type is missing"
    # Pydantic lists what it expected as text: 'a', 'b' or 'c'.
    allowed = re.findall("'([^']*)'", context.get("expected") or context.get("expected_tags", ""))
    return _MESSAGES[kind].format(
        allowed=", ".join(allowed),
        found=f"found {_show(found)}",
        guess=_did_you_mean(found, allowed) if isinstance(found, str) else "",
        hint=_LIST_HINT if isinstance(found, list) else "",
        **context,
    )


def _show(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case Mapping():
            return "a mapping"
        case list():
            return "a list"
        case bool():
            return json.dumps(value)
        case str():
            return repr(shorten(value))
        case _:
            return shorten(repr(value))


def _did_you_mean(word: str, allowed: Iterable[str]) -> str:
    close = difflib.get_close_matches(word[:64], list(allowed), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


@cache
def _allowed_keys(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The keys that a mapping may have, by its location, which names the branch of each union."""
    models = [model]
    for part in location:
        if branch := [each for each in models if _branch(each) == part]:
            models = branch
        else:
            fields = models[0].model_fields
            models = list(_models(fields[str(part)].annotation))
    return list(models[0].model_fields)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that a type is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _branch(model: type[BaseModel]) -> str:
    """How pydantic names a model of a union: by its type, or by the form of a domain."""
    if field := model.model_fields.get("type"):
        return str(get_args(field.annotation)[0])
    return "choices" if "choices" in model.model_fields else "range"
