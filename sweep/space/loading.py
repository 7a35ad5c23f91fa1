"""File or mapping → `SearchSpace`, or every problem with its position."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sweep.definitions import DATASETS, FAMILIES, read_model
from sweep.errors import InputError, SearchSpaceError, StoreError
from sweep.records import Model, OwnNetwork, StudyRecord
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

__all__ = ["load_space", "load_space_for", "override_space", "reload_space", "stored_space"]

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
    ("constraints",): 2,
    ("enqueue",): 3,
}
# What stands for a malformed entry of a list, so that the others keep their places.
_STAND_INS: dict[Path, Any] = {("constraints",): "0 == 0"}


def load_space(source: str | os.PathLike[str] | Mapping[str, Any]) -> SearchSpace:
    """Read and validate a search space: a YAML file or its content as a mapping.

    Raises:
        InputError: the file cannot be read.
        SearchSpaceError: the search space is invalid; the error lists every problem with
            `file:line:column`, the rule and the value found.
    """
    return _load(source)


def _load(
    source: str | os.PathLike[str] | Mapping[str, Any], given: _Given | None = None
) -> SearchSpace:
    given = given or _Given()
    if isinstance(source, Mapping):
        document = read_mapping(source)
        return _placed(_validate(given.added_to(document), None), pathlib.Path())
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
    return _placed(_validate(given.added_to(read_yaml(text)), str(path)), path.parent)


def load_space_for(
    source: SearchSpace | str | os.PathLike[str] | Mapping[str, Any],
    *,
    arrays: str | None = None,
    network: OwnNetwork | None = None,
) -> SearchSpace:
    """A search space with data or a network that no file names.

    Args:
        source: As for `load_space`, or a search space.
        arrays: SHA-256 of the arrays that Python gave, in place of a data set that is named;
            `validation`, `test` and `split_seed` stay.
        network: A user's own network. A search space that names a model is refused beside it.

    Raises what `load_space` raises.
    """
    if isinstance(source, SearchSpace):
        if arrays is None and network is None:
            return source
        if network is None and isinstance(source.model, OwnNetwork):
            network = source.model
        whole = source.to_json()
        if "model" not in source.model_fields_set:  # nobody named it, nor what it has by default
            del whole["model"]
            whole["parameters"] = source.beyond_defaults().get("parameters", {})
        source = whole
    return _load(source, _Given(arrays, network))


@dataclass(frozen=True, slots=True)
class _Given:
    """What takes the place of a document's data set, and the network that it does not name."""

    arrays: str | None = None
    network: OwnNetwork | None = None

    def added_to(self, document: Document) -> Document:
        """The document with what was given."""
        data = document.data
        if not isinstance(data, Mapping):
            return document
        changed: dict[str, Any] = {}
        problems = document.problems
        if self.network is not None:
            named = data.get("model", {})
            if not isinstance(named, Mapping):  # which is how a study records such a network
                problem = (
                    f"model: found {named!r} here and the network {self.network.source.words} "
                    "beside it, and a search trains one of them: delete this entry, or leave the "
                    "network out"
                )
                problems = [*problems, (document.position(("model",)), problem)]
            changed["model"] = self.network
        if self.arrays is not None:
            section = data.get("dataset")
            if section is None or isinstance(section, str):
                section = {}
            if isinstance(section, Mapping):
                kept = {key: value for key, value in section.items() if key not in _SOURCE_KEYS}
                section = {"arrays": KEPT + self.arrays, **kept}
            changed["dataset"] = section
        return replace(document, data={**data, **changed}, problems=problems)


def reload_space(plain: Mapping[str, Any]) -> SearchSpace:
    """The space that `SearchSpace.to_json` wrote, perhaps with changes.

    Raises:
        SearchSpaceError: it is not valid.
    """
    try:
        model = read_model(plain.get("model", _DEFAULT_MODEL))
    except ValueError as error:
        raise SearchSpaceError([f"model: {error}"]) from None
    return _load(plain, _Given(network=model if isinstance(model, OwnNetwork) else None))


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
        space = reload_space(study.space)
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
    return space if whole == space.to_json() else reload_space(whole)


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


def _model(data: Any) -> Model:
    """The model that the data name, or the default one."""
    model = data.get("model") if isinstance(data, Mapping) else None
    if isinstance(model, OwnNetwork) or (isinstance(model, str) and model in FAMILIES):
        return model
    return cast("str", _DEFAULT_MODEL)


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
            self.broken |= {("parameters",), ("enqueue",), ("constraints",)}
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
                _STAND_INS.get(path, {})
                if (*path, index) in self.broken
                else self._without_broken(entry, (*path, index))
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
