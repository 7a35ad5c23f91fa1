"""File or mapping → `SearchSpace`, or every problem at once, each with its position."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sweep.definitions import DATASETS, FAMILIES
from sweep.errors import InputError, SearchSpaceError, StoreError
from sweep.records import StudyRecord
from sweep.space import rules
from sweep.space.conditions import resolve_defaults
from sweep.space.messages import translate
from sweep.space.search_space import SearchSpace, space_type
from sweep.space.yaml_reader import Document, Position, read_yaml

__all__ = ["load_space", "override_space", "stored_space"]

MAX_BYTES = 256 * 1024
_MAX_PROBLEMS = 100
_MAX_MESSAGE = 1000
_DEFAULT_MODEL = SearchSpace.model_fields["model"].default


def load_space(source: str | os.PathLike[str] | Mapping[str, Any]) -> SearchSpace:
    """Read and validate a search space.

    Args:
        source: Path of a YAML file, or the same content as a mapping.

    Raises:
        InputError: the file cannot be read.
        SearchSpaceError: the search space breaks a rule; the error lists every problem with
            `file:line:column`, the rule and the value found.
    """
    if isinstance(source, Mapping):
        return _validate(Document(dict(source)), name=None)
    path = Path(source)
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
            size = os.fstat(file.fileno()).st_size
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot read the search space {str(path)!r}: {reason}") from None
    if len(text) > MAX_BYTES:
        limit, found = MAX_BYTES // 1024, size // 1024
        raise SearchSpaceError(
            [f"{path}:1:1: a search space may have {limit} KiB; found {found} KiB"]
        )
    return _validate(read_yaml(text), name=str(path))


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
    """A valid space with some values replaced; None keeps the space's own.

    Args:
        space: A valid search space.
        name: Its new name.
        seed: The sampler's new seed.
        budget: New entries of its budget.

    Raises:
        SearchSpaceError: a value breaks a rule.
    """
    whole = space.to_json()
    for section, new in ((whole, {"name": name}), (whole["sampler"], {"seed": seed}),
                         (whole["budget"], budget)):  # fmt: skip
        section |= {key: value for key, value in new.items() if value is not None}
    return space if whole == space.to_json() else load_space(whole)


def _validate(document: Document, name: str | None) -> SearchSpace:
    found = set(document.problems)
    space = None
    if document.data is not None or not found:
        broken = {where for where, _ in found}
        space, problems = _examine(document)
        found |= {(where, message) for where, message in problems if where not in broken}
    if space is not None and not found:
        return space
    places = sorted(found)
    if len(places) > _MAX_PROBLEMS:
        rest = len(places) - _MAX_PROBLEMS
        where, _ = places[_MAX_PROBLEMS]
        places[_MAX_PROBLEMS:] = [(where, f"and {rest:,} more problems from here")]
    raise SearchSpaceError(
        [
            f"{name}:{where.line}:{where.column}: {_one_line(message)}"
            if name
            else _one_line(message)
            for where, message in places
        ]
    )


def _examine(document: Document) -> tuple[SearchSpace | None, list[tuple[Position, str]]]:
    """The space, or what is left of it, and every problem of its data."""
    data = document.data
    kind = space_type(_model(data))
    try:
        space = kind.model_validate(data)
        return space, _broken_rules(space, set(), document)
    except ValidationError as error:
        details = error.errors(include_url=False)
    if any(detail["loc"] == ("model",) for detail in details):
        # What its parameters may be is unknown.
        details = [detail for detail in details if detail["loc"][0] != "parameters"]
    problems = [translate(detail, kind, document) for detail in details]
    broken = {_part(detail) for detail in details}
    if broken & {(), ("model",), ("parameters",)}:
        return None, problems
    # The rules judge what is well formed; the rest gives way to defaults.
    rest: dict[str, Any] = {"name": "x", "dataset": next(iter(DATASETS))}
    rest |= {key: value for key, value in data.items() if (key,) not in broken}
    if "parameters" in rest:
        rest["parameters"] = {
            key: value
            for key, value in rest["parameters"].items()
            if ("parameters", key) not in broken
        }
    return None, problems + _broken_rules(kind.model_validate(rest), broken, document)


def _model(data: Any) -> str:
    """The model family that a file names; the default one if it names none that exists."""
    model = data.get("model") if isinstance(data, Mapping) else None
    return model if isinstance(model, str) and model in FAMILIES else _DEFAULT_MODEL


def _part(detail: ErrorDetails) -> tuple[int | str, ...]:
    """The part of a file that an error makes useless: a parameter or a section."""
    location = detail["loc"]
    return location[: 2 if location[:1] == ("parameters",) else 1]


def _broken_rules(
    space: SearchSpace, broken: set[tuple[int | str, ...]], document: Document
) -> list[tuple[Position, str]]:
    """Problems between the parts of a space, without those that are broken."""
    names = space.definitions
    misspelt = {part[1] for part in broken if len(part) == 2} - names.keys()
    domains = {
        name: getattr(space.parameters, name)
        for name in names
        if ("parameters", name) not in broken
    }
    sampler, pruner, budget = (
        None if (section,) in broken else getattr(space, section)
        for section in ("sampler", "pruner", "budget")
    )
    # What enqueued configurations say cannot be judged before all names are known.
    enqueue = [] if misspelt else space.enqueue
    found = rules.check(names, resolve_defaults(domains), enqueue, sampler, pruner, budget)
    return [(document.position(problem.path), str(problem)) for problem in found]


def _one_line(message: str) -> str:
    """A message of which every character can be seen, whatever the file's keys are made of."""
    shown = "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in message
    )
    return shown if len(shown) <= _MAX_MESSAGE else shown[: _MAX_MESSAGE - 3] + "..."
