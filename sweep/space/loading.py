"""File or mapping → `SearchSpace`, or every problem at once, each with its position."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from sweep.definitions import FAMILIES, CategoricalParameter, parameters_of
from sweep.errors import InputError, SearchSpaceError, StoreError
from sweep.records import StudyRecord
from sweep.space import rules
from sweep.space.base import shorten
from sweep.space.conditions import resolve_defaults
from sweep.space.domains import Choices, Domain, Range, parameters_model
from sweep.space.schema import search_space_schema
from sweep.space.search_space import SearchSpace, space_type
from sweep.space.yaml_reader import MAX_BYTES, Document, Position, read_yaml

__all__ = ["load_space", "override_space", "stored_space"]

_MAX_PROBLEMS = 100
_MAX_MESSAGE = 1000
_schema = cache(search_space_schema)
_DEFAULT_MODEL = SearchSpace.model_fields["model"].default


def load_space(source: str | os.PathLike[str] | Mapping[str, Any]) -> SearchSpace:
    """Read and validate a search space.

    Args:
        source: Path of a YAML file, or the same content as a mapping.

    Returns:
        The validated search space.

    Raises:
        InputError: the file cannot be read.
        SearchSpaceError: the search space breaks a rule; the error lists every problem with
            `file:line:column`, the rule and the value found.
    """
    if isinstance(source, Mapping):
        return _validate(dict(source), Document(), name=None)
    path = Path(source)
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
            size = os.fstat(file.fileno()).st_size
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot read the search space {str(path)!r}: {reason}") from None
    if len(text) > MAX_BYTES:
        raise SearchSpaceError(
            [f"{path}:1:1: a search space may have {MAX_BYTES // 1024} KiB; "
             f"found {size // 1024} KiB"]
        )  # fmt: skip
    document = read_yaml(text)
    if document.data is None and not document.problems:
        document.problems.append(
            (Position(1, 1), "must be a mapping with at least name and dataset; found nothing")
        )
    return _validate(document.data, document, name=str(path))


def stored_space(study: StudyRecord) -> SearchSpace:
    """The search space that a study remembers; its name is the study's.

    Raises:
        StoreError: it is not valid in this version.
    """
    try:
        space = load_space(study.space)
    except SearchSpaceError as error:
        raise StoreError(
            f"the search space of study {study.name!r} is not valid in this version: {error}"
        ) from None
    return space.model_copy(update={"name": study.name})


def override_space(
    space: SearchSpace,
    *,
    name: str | None = None,
    seed: int | None = None,
    **budget: int | float | None,
) -> SearchSpace:
    """A valid space with some values replaced; only what they touch is validated again.

    Args:
        space: A valid search space.
        name: Its new name; None here and below keeps the space's own.
        seed: The sampler's new seed.
        budget: New entries of its budget.

    Raises:
        SearchSpaceError: a value breaks a rule.
    """
    new = {key: value for key, value in budget.items() if value is not None}
    sampler, pruner = space.sampler.model_dump(), space.pruner.model_dump()
    data: dict[str, Any] = {
        "name": space.name if name is None else name,
        "sampler": sampler if seed is None else {**sampler, "seed": seed},
        "budget": {**space.budget.model_dump(), **new},
    }
    parts: dict[str, Any] = {}
    lines: list[str] = []
    for key, value in data.items():
        try:
            parts[key] = _field(key).validate_python(value)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                detail["loc"] = (key, *detail["loc"])
                lines.append(_one_line(_translate(detail, data, Document())[1]))
    if not lines:
        lines = [str(problem) for problem in rules.check_audit(sampler, pruner, data["budget"])]
    if lines:
        raise SearchSpaceError(sorted(set(lines)))
    return space.model_copy(update=parts)


@cache
def _field(name: str) -> TypeAdapter[Any]:
    """Validates one field of a search space."""
    return TypeAdapter(SearchSpace.model_fields[name].rebuild_annotation())


def _validate(data: Any, document: Document, name: str | None) -> SearchSpace:
    found: list[tuple[Position, str]] = list(document.problems)
    space: SearchSpace | None = None
    if data is not None:
        try:
            space = space_type(_model(data)).model_validate(data)
        except ValidationError as error:
            details = error.errors(include_url=False)
            if any(detail["loc"] == ("model",) for detail in details):
                # What its parameters may be is not known.
                details = [detail for detail in details if detail["loc"][0] != "parameters"]
                broken = []
            elif details[0]["type"] == "rules":  # alone: nothing else was wrong
                broken = details.pop()["ctx"]["problems"]
            else:
                broken = _rules(data)
            found += [_translate(detail, data, document) for detail in details]
            found += [(document.position(problem.path), str(problem)) for problem in broken]
    if space is not None and not found:
        return space
    places = sorted(set(found))
    if len(places) > _MAX_PROBLEMS:
        rest = len(places) - _MAX_PROBLEMS
        places[_MAX_PROBLEMS:] = [
            (places[_MAX_PROBLEMS][0], f"and {rest:,} more problems from here")
        ]
    lines = [
        f"{name}:{where.line}:{where.column}: {_one_line(message)}" if name else _one_line(message)
        for where, message in places
    ]
    raise SearchSpaceError(lines)


def _model(data: Any) -> str:
    """The model family that a file names; the default one if it names none that there is."""
    model = data.get("model") if isinstance(data, Mapping) else None
    return model if isinstance(model, str) and model in FAMILIES else _DEFAULT_MODEL


def _one_line(message: str) -> str:
    """A message of which every character can be seen, whatever the file's keys are made of."""
    shown = "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in message
    )
    return shown if len(shown) <= _MAX_MESSAGE else shown[: _MAX_MESSAGE - 3] + "..."


def _rules(data: Any) -> list[rules.Problem]:
    """Problems between the parts of a file, judged by the parts that are well formed."""
    if not isinstance(data, Mapping):
        return []
    parameters = _mapping(data.get("parameters"))
    domains: dict[str, Domain] = {}
    names = parameters_of(_model(data))
    for name, field in parameters_model(_model(data)).model_fields.items():
        try:
            adapter: TypeAdapter[Any] = TypeAdapter(field.rebuild_annotation())
            domains[name] = (
                adapter.validate_python(parameters[name])
                if name in parameters
                else names[name].default
            )
        except ValidationError:
            continue
    enqueue = data.get("enqueue")
    entries = enqueue if isinstance(enqueue, list) else []
    misspelt = parameters.keys() - names.keys()
    if misspelt or not all(isinstance(entry, Mapping) for entry in entries):
        entries = []  # what they say cannot be judged before that is mended
    sections = (_mapping(data.get(name)) for name in ("sampler", "pruner", "budget"))
    return rules.check(names, resolve_defaults(domains), entries, *sections)


def _mapping(value: Any) -> Mapping[str, Any]:
    """A mapping of the file; a bare name stands for its type."""
    if isinstance(value, str):
        return {"type": value}
    return value if isinstance(value, Mapping) else {}


# ---------------------------------------------------------------- wording


def _translate(detail: ErrorDetails, data: Any, document: Document) -> tuple[Position, str]:
    """Pydantic's error → position and one line: where, which rule, what was found."""
    kind = detail["type"]
    path = _file_path(detail["loc"], data, missing=kind == "missing")
    dotted = ".".join(map(str, path))
    if kind == "extra_forbidden":
        key, parent = str(path[-1]), path[:-1]
        allowed = _allowed_keys(parent, data)
        message = f"unknown key {_show(key)}{_did_you_mean(key, allowed)}; allowed: " + ", ".join(
            allowed
        )
        where = ".".join(map(str, parent))
        return document.position(path, of_key=True), f"{where}: {message}" if where else message
    message = _message(detail)
    if kind == "missing":
        return document.position(path[:-1], of_key=True), f"{dotted} {message}"
    return document.position(path), f"{dotted}: {message}" if dotted else message


def _file_path(
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
    found, context = detail.get("input"), detail.get("ctx", {})
    shown = f"found {_show(found)}"
    match detail["type"]:
        case "missing":
            return "is missing"
        case "literal_error":
            text = str(context["expected"])
            allowed = [word.strip().strip("'") for word in text.replace(" or ", ", ").split(",")]
            guess = _did_you_mean(found, allowed) if isinstance(found, str) else ""
            hint = _list_hint(found)
            return f"must be one of {', '.join(allowed)}; {shown}{guess}{hint}"
        case "union_tag_invalid":
            text = str(context["expected_tags"])
            allowed = [word.strip().strip("'") for word in text.split(",")]
            tag = str(context["tag"])
            return (
                f"type must be one of {', '.join(allowed)}; found {_show(tag)}"
                f"{_did_you_mean(tag, allowed)}"
            )
        case "union_tag_not_found":
            return "type is missing" if isinstance(found, Mapping) else f"needs a type; {shown}"
        case "int_type" | "int_from_float" | "int_parsing" | "int_parsing_size":
            return f"must be a whole number; {shown}{_list_hint(found)}"
        case "float_type" | "float_parsing" | "finite_number":
            return f"must be a number; {shown}{_list_hint(found)}"
        case "string_type":
            return f"must be text; {shown}"
        case "bool_type" | "bool_parsing":
            return f"must be true or false; {shown}"
        case "list_type":
            return f"must be a list; {shown}"
        case "dict_type" | "model_type" | "model_attributes_type":
            return f"must be a mapping of keys to values; {shown}"
        case "greater_than_equal":
            return f"must be at least {context['ge']}; {shown}"
        case "greater_than":
            return f"must be above {context['gt']}; {shown}"
        case "less_than_equal":
            return f"must be at most {context['le']}; {shown}"
        case "less_than":
            return f"must be below {context['lt']}; {shown}"
        case "too_short":
            return "must not be empty"
        case "too_long":
            return f"may have {context['max_length']} entries; found {context['actual_length']}"
        case "string_pattern_mismatch":
            return f"must be 1 to 64 letters, digits, '.', '_' or '-'; {shown}"
        case _:
            return detail["msg"]


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


def _list_hint(found: Any) -> str:
    return "; to choose from a list write {choices: [...]}" if isinstance(found, list) else ""


def _did_you_mean(word: str, allowed: Iterable[str]) -> str:
    close = difflib.get_close_matches(word[:64], list(allowed), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _allowed_keys(path: tuple[int | str, ...], data: Any) -> list[str]:
    """The keys that a mapping of the file may have."""
    if not path:
        return list(SearchSpace.model_fields)
    if path == ("parameters",):
        return list(parameters_of(_model(data)))
    value = data
    for part in path:
        value = value[part]
    if path[0] == "parameters" and len(path) > 1:
        parameter = parameters_of(_model(data))[str(path[1])]
        chosen = "choices" in value or isinstance(parameter, CategoricalParameter)
        return list((Choices if chosen else Range).model_fields)
    kind = value.get("type") if isinstance(value, Mapping) else None
    for definition in _schema()["$defs"].values():
        properties = definition.get("properties", {})
        if path[0] in ("sampler", "pruner"):
            suffix = str(path[0]).capitalize()
            if (
                definition["title"].endswith(suffix)
                and properties.get("type", {}).get("const") == kind
            ):
                return list(properties)
    models: dict[Any, type[BaseModel]] = {
        name: annotation
        for name, field in SearchSpace.model_fields.items()
        if isinstance(annotation := field.annotation, type) and issubclass(annotation, BaseModel)
    }
    return list(models[path[0]].model_fields) if path[0] in models else []
