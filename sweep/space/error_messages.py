"""Pydantic's errors as messages about the file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from sweep.definitions import FAMILIES
from sweep.space.base import shorten
from sweep.space.datasets import DATASET_FORMS
from sweep.space.yaml_reader import Document, Path, Position
from sweep.words import did_you_mean

__all__ = ["dotted", "file_path", "translate"]

_NUMBER = "must be a number; {found}{hint}"
_MAPPING = "must be a mapping of keys to values; {found}"
# By the kind of pydantic's error, or by the kind's first word.
_MESSAGES = {
    "bool": "must be true or false; {found}",
    "dict": _MAPPING,
    "finite_number": _NUMBER,
    "float": _NUMBER,
    "greater_than": "must be above {gt}; {found}",
    "greater_than_equal": "must be at least {ge}; {found}",
    "int": "must be a whole number; {found}{hint}",
    "less_than": "must be below {lt}; {found}",
    "less_than_equal": "must be at most {le}; {found}",
    "list": "must be a list; {found}",
    "literal_error": "must be one of {allowed}; {found}{guess}{hint}",
    "model": _MAPPING,
    "scalar": "must be a number or text; {found}",
    "string_pattern_mismatch": "must be 1 to 64 letters, digits, '.', '_' or '-'; {found}",
    "string_type": "must be text; {found}",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "union_tag_invalid": "type must be one of {allowed}; {found}{guess}",
    "union_tag_not_found": "must be a name, or a mapping of keys to values; {found}",
    "value_error": "{error}",
}
_LIST_HINT = "; to choose from a list write {choices: [...]}"


def translate(
    detail: ErrorDetails, model: type[BaseModel], document: Document
) -> tuple[Position, str]:
    """Position and message of an error of validating the document against the model."""
    kind, location = detail["type"], detail["loc"]
    path = file_path(location, document.data)
    if kind == "extra_forbidden":
        key, allowed = str(path[-1]), _allowed_keys(model, location[:-1])
        where, path = document.position(path, of_key=True), path[:-1]
        guess = _owner(key, path) or did_you_mean(key, allowed)
        if path == ("parameters",) and not guess:
            guess = " (a network of your own is named with --model FILE.py)"
        message = f"unknown key {_show(key)}{guess}; allowed: {', '.join(allowed)}"
    elif kind == "missing":
        missing = dotted((*path, location[-1]))
        return document.position(path, of_key=True), f"{missing} is missing"
    else:
        where, message = document.position(path), _message(detail)
    return where, f"{dotted(path)}: {message}" if path else message


def _owner(key: str, path: Path) -> str:
    """Which other model families have a hyperparameter of this name, to follow a message."""
    models = [name for name, family in FAMILIES.items() if key in family.parameters]
    is_parameter = path == ("parameters",)
    return f" (it belongs to model {' and '.join(models)})" if models and is_parameter else ""


def dotted(path: Iterable[int | str]) -> str:
    """A path as messages show it: `enqueue.0.epochs`."""
    return ".".join(map(str, path))


def file_path(location: Path, data: Any) -> Path:
    """Pydantic's location without what is not in the file: missing keys, branches of unions."""
    path: list[int | str] = []
    if location[:1] == ("parameters",) and location[2:3] in (("fixed",), ("choices",), ("range",)):
        location = location[:2] + location[3:]
    for part in location:
        is_entry = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if is_entry or (isinstance(data, Mapping) and part in data):
            path.append(part)
            data = data[part]
    return tuple(path)


def _message(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    found = context.get("tag", detail["input"])
    message = _MESSAGES.get(kind) or _MESSAGES.get(kind.partition("_")[0])
    if message is None:
        return detail["msg"]
    if kind == "union_tag_not_found" and isinstance(found, Mapping):
        if detail["loc"] != ("dataset",):
            return "type is missing"
        guesses = [did_you_mean(str(key), DATASET_FORMS) for key in found]
        return f"needs one of {', '.join(DATASET_FORMS)}{next(filter(None, guesses), '')}"
    # Pydantic lists what it expected as text: 'a', 'b' or 'c'.
    allowed = re.findall("'([^']*)'", context.get("expected") or context.get("expected_tags", ""))
    return message.format(
        allowed=", ".join(allowed),
        found=f"found {_show(found)}",
        guess=did_you_mean(found, allowed) if isinstance(found, str) else "",
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


@cache
def _allowed_keys(model: type[BaseModel], location: Path) -> list[str]:
    """The keys that a mapping may have; its location names the branch of each union."""
    models = [model]
    for part in location:
        if branch := [each for each in models if _branch(each) == part]:
            models = branch
        else:
            fields = models[0].model_fields
            models = list(_models(fields[str(part)].annotation))
    return list(models[0].model_fields)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """All models within a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _branch(model: type[BaseModel]) -> str:
    """Pydantic's name of a union's branch: its `type`, or the form of a domain or a data set."""
    if field := model.model_fields.get("type"):
        return str(get_args(field.annotation)[0])
    if form := next((form for form in DATASET_FORMS if form in model.model_fields), None):
        return DATASET_FORMS[form]
    return "choices" if "choices" in model.model_fields else "range"
