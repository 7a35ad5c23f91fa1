"""File or mapping → `SearchSpace`, or every problem with its position."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sweep.definitions import DATASETS, FAMILIES
from sweep.errors import InputError, SearchSpaceError, StoreError
from sweep.records import StudyRecord
from sweep.space import rules
from sweep.space.base import MAX_DIGITS, text_number
from sweep.space.datasets import (
    KEPT,
    ArraysFile,
    BuiltIn,
    ImageFolder,
    OwnData,
    TableFile,
)
from sweep.space.error_messages import dotted, file_path, translate
from sweep.space.python_reader import read_mapping
from sweep.space.search_space import SearchSpace, space_type
from sweep.space.yaml_reader import Document, Path, Position, read_yaml

__all__ = ["load_space", "load_space_of_arrays", "override_space", "stored_space"]

MAX_BYTES = 256 * 1024
_MAX_PROBLEMS = 100
_MAX_MESSAGE = 1000
_SPLIT_KEYS = ("validation", "test", "split_seed")
_SOURCE_KEYS = {
    key
    for form in (BuiltIn, ImageFolder, ArraysFile, TableFile)
    for key in form.model_fields
    if key not in _SPLIT_KEYS
}
_DEFAULT_MODEL = SearchSpace.model_fields["model"].default
# What stands for a part that is needed and malformed.
_PLACEHOLDERS = {"name": "x", "dataset": next(iter(DATASETS))}
# How many keys lead to the smallest part of a section that can be left out.
_DEPTHS: dict[Path, int] = {
    **dict.fromkeys([("parameters",), ("sampler",), ("pruner",), ("budget",)], 2),
    ("enqueue",): 3,
}


def load_space(source: str | os.PathLike[str] | Mapping[str, Any]) -> SearchSpace:
    """Read and validate a search space: a YAML file or its content as a mapping.

    Raises:
        InputError: the file cannot be read.
        SearchSpaceError: the search space is invalid; the error lists every problem with
            `file:line:column`, the rule and the value found.
    """
    return _load(source)


def _load(
    source: str | os.PathLike[str] | Mapping[str, Any], sha256: str | None = None
) -> SearchSpace:
    if isinstance(source, Mapping):
        document = read_mapping(source)
        return _placed(_validate(document, None, sha256), pathlib.Path())
    if not isinstance(source, str | os.PathLike):
        found = type(source).__name__
        raise InputError(f"a search space is the path of a file or a mapping; found type {found}")
    path = pathlib.Path(os.path.expanduser(source))  # noqa: PTH111 - that of `Path` may raise
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
            [f"{path}:1:1: a search space may have at most {limit} KiB; found {found} KiB"]
        )
    return _placed(_validate(read_yaml(text), str(path), sha256), path.parent)


def load_space_of_arrays(
    source: SearchSpace | str | os.PathLike[str] | Mapping[str, Any], sha256: str
) -> SearchSpace:
    """A search space for the arrays of this SHA-256, whatever data it names, or none.

    Its `validation`, `test` and `split_seed` stay. Raises what `load_space` raises.
    """
    if isinstance(source, SearchSpace):
        dataset = source.dataset
        split = {key: getattr(dataset, key, None) for key in _SPLIT_KEYS}
        arrays = ArraysFile(arrays=KEPT + sha256, **split)
        return source.model_copy(update={"dataset": arrays})
    return _load(source, sha256)


def _with_arrays(document: Document, sha256: str) -> Document:
    """The document, in which the arrays take the place of a data set."""
    data = document.data
    if not isinstance(data, Mapping):
        return document
    section = data.get("dataset")
    if section is None or isinstance(section, str):
        section = {}
    if isinstance(section, Mapping):
        kept = {key: value for key, value in section.items() if key not in _SOURCE_KEYS}
        section = {"arrays": KEPT + sha256, **kept}
    return replace(document, data={**data, "dataset": section})


def _placed(space: SearchSpace, folder: pathlib.Path) -> SearchSpace:
    """The space, whose own data lie in this folder unless it says otherwise."""
    dataset = space.dataset
    if not isinstance(dataset, OwnData) or dataset.relative_to is not None:
        return space
    if isinstance(dataset, ArraysFile) and dataset.is_kept:
        return space
    placed = dataset.model_copy(update={"relative_to": os.path.abspath(folder)})  # noqa: PTH100
    return space.model_copy(update={"dataset": placed})


def stored_space(study: StudyRecord) -> SearchSpace:
    """The recorded search space of a study, under the study's name.

    Raises `StoreError` if it is not valid in this version.
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
    """A valid space with another name, sampler seed or entries of the budget; None changes nothing.

    Raises `SearchSpaceError` if a value breaks a rule.
    """
    whole = space.to_json()
    for section, new in ((whole, {"name": name}), (whole["sampler"], {"seed": seed}),
                         (whole["budget"], budget)):  # fmt: skip
        section |= {key: value for key, value in new.items() if value is not None}
    return space if whole == space.to_json() else load_space(whole)


def _validate(document: Document, name: str | None, sha256: str | None) -> SearchSpace:
    if sha256 is not None:
        document = _with_arrays(document, sha256)
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
    prefixes = [f"{name}:{where.line}:{where.column}: " if name else "" for where, _ in places]
    raise SearchSpaceError(
        [prefix + _one_line(message) for prefix, (_, message) in zip(prefixes, places, strict=True)]
    )


def _examine(document: Document) -> tuple[SearchSpace | None, list[tuple[Position, str]]]:
    """The space, or None, and every problem of its data.

    The rules between several places judge what is left without the parts that are malformed.
    """
    kind = space_type(_model(document.data))
    parts = _Parts(document.data)
    problems: list[tuple[Position, str]] = []
    while True:
        try:
            space = kind.model_validate(parts.rest)
            space = space.with_own_values(from_python=document.from_python)
            break
        except ValidationError as error:
            details = error.errors(include_url=False)
        if document.from_python and not parts.broken and _read_numbers(document.data, details):
            continue
        if not parts.broken:
            unknown_model = any(detail["loc"] == ("model",) for detail in details)
            problems = [
                translate(detail, kind, document)
                for detail in details
                if not (unknown_model and detail["loc"][0] == "parameters")
            ]
        if not parts.drop(details):
            return None, problems
    malformed = [str(path[1]) for path in parts.broken if path[:-1] == ("parameters",)]
    names = {*space.definitions, *malformed}
    for path, message in rules.check(space, parts.known, names):
        problems.append((document.position(path), f"{dotted(path)}: {message}"))
    return None if parts.broken else space, problems


def _read_numbers(data: Any, details: Sequence[ErrorDetails]) -> bool:
    """Put a number where one is expected and a text is one; whether there was such a text.

    A mapping that PyYAML has read holds `3e-4` as text, as YAML 1.1 has it.
    """
    found = False
    for detail in details:
        text = detail["input"]
        if detail["type"] not in ("int_type", "float_type") or not isinstance(text, str):
            continue
        number = text_number(text) if len(text) <= MAX_DIGITS else None
        path = file_path(detail["loc"], data)
        inner = data
        for key in path[:-1]:
            inner = inner[key]
        if number is not None and path and inner[path[-1]] is text:
            inner[path[-1]] = number
            found = True
    return found


def _model(data: Any) -> str:
    """The model family that the data name, or the default one."""
    model = data.get("model") if isinstance(data, Mapping) else None
    return model if isinstance(model, str) and model in FAMILIES else _DEFAULT_MODEL


class _Parts:
    """A file's data, and what is left of them without the parts that are malformed."""

    def __init__(self, data: Any) -> None:
        self._data = self.rest = data
        self.broken: set[Path] = set()
        self._misspelt: set[Path] = set()  # mappings with an unknown key

    def drop(self, details: Sequence[ErrorDetails]) -> bool:
        """Leave out what these errors are about; False if nothing can be left out."""
        before = len(self.broken)
        for detail in details:
            path = file_path(detail["loc"], self.rest) or detail["loc"][:1]
            self.broken.add(path[: _DEPTHS.get(path[:1], 1)])
            if detail["type"] == "extra_forbidden":
                self._misspelt.add(path[:-1])
        if ("model",) in self.broken:
            self.broken |= {("parameters",), ("enqueue",)}
        if () in self.broken or len(self.broken) == before:
            return False
        self.rest = {**_PLACEHOLDERS, **self._without_broken(self._data, ())}
        return True

    def _without_broken(self, value: Any, path: Path) -> Any:
        if isinstance(value, Mapping):
            return {
                key: self._without_broken(inner, (*path, key))
                for key, inner in value.items()
                if (*path, key) not in self.broken
            }
        if isinstance(value, list):
            return [
                {} if (*path, index) in self.broken else self._without_broken(entry, (*path, index))
                for index, entry in enumerate(value)
            ]
        return value

    def known(self, *path: str) -> bool:
        """Whether the file is clear about a part.

        It is not if the part is malformed, or if it is absent and an unknown key beside it may be
        its misspelt name.
        """
        inner = self._data
        for end, key in enumerate(path):
            if path[: end + 1] in self.broken:
                return False
            if key not in inner:
                return path[:end] not in self._misspelt
            inner = inner[key]
        return True


def _one_line(message: str) -> str:
    """A message as one line of printable characters, whatever the file contains."""
    shown = "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in message
    )
    return shown if len(shown) <= _MAX_MESSAGE else shown[: _MAX_MESSAGE - 3] + "..."
