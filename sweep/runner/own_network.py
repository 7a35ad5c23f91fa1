"""A user's own network as an argument: the file or the function, and whether it is the study's."""

from __future__ import annotations

import builtins
import inspect
import os
import shlex
import symtable
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, cast

from sweep.errors import InputError, StoreError
from sweep.execution.inspection import Inspector, inspecting
from sweep.records import DataSpec, Model, NetworkSource, OwnNetwork
from sweep.space import SearchSpace, random_configurations

__all__ = [
    "network_inspector",
    "read_networks",
    "require_same_network",
    "require_working",
    "with_source",
]

_DEFAULT_FUNCTION = "build"
_NOTEBOOK = "notebook"  # in place of the file of a cell's function
_MAX_BYTES = 1024 * 1024
_NUM_TRIED = 5


def read_networks(value: Any) -> tuple[NetworkSource, ...]:
    """The sources of what an argument `model` names: `FILE.py[:NAME]`, a function, or several.

    A function of a file brings the whole file, one of a notebook's cell its own lines.

    Raises:
        ValueError: it is none, or its source cannot be used; the text follows the word `model`.
    """
    if isinstance(value, list | tuple) and value:
        return tuple(map(_read_network, value))
    return (_read_network(value),)


def _read_network(value: Any) -> NetworkSource:
    if isinstance(value, NetworkSource):  # that was read before
        return value
    if isinstance(value, str | os.PathLike):
        return _read_file(os.fspath(value))
    if isinstance(value, FunctionType):
        return _read_function(value)
    raise ValueError(
        f"must be FILE.py, FILE.py:NAME or a function that builds the network; found {value!r}"
    )


def with_source(model: Model, sources: Sequence[NetworkSource], study: str) -> Model:
    """The model of a study with the code that the user gave, the only one that is ever run.

    Raises:
        InputError: there is none of these sources, it is not the one the study was made with, or
            the study has no use for one.
    """
    if isinstance(model, str):
        if sources:
            raise InputError(
                f"study {study!r} trains the built-in {model}, not {sources[0].words}: leave "
                "--model out"
            )
        return model
    recorded = model.source
    for source in sources:
        if (source.function, source.code) == (recorded.function, recorded.code):
            return OwnNetwork(source, model.arguments)
    if not sources:
        give = f"name its file with --model {shlex.quote(recorded.words)}"
        if recorded.file == _NOTEBOOK:
            give = f"pass its function, model={recorded.function}, in Python"
        raise InputError(f"study {study!r} trains a network of its own, {recorded.words}: {give}")
    named = [source for source in sources if source.function == recorded.function]
    named.sort(key=lambda source: source.file != recorded.file)
    raise StoreError(
        f"study {study!r} was made with another network: {_difference(recorded, named, sources)}; "
        "give the file as it was then, or run the search again under another name with --study"
    )


def require_same_network(model: Model, given: object, study: str) -> None:
    """Raise what `with_source` raises, if a network is given, though none is to be built.

    Args:
        model: The study's.
        given: What `read_networks` made of the argument `model`; None if there is none.
        study: Its name.
    """
    if given is not None:
        with_source(model, cast("tuple[NetworkSource, ...]", given), study)


@contextmanager
def network_inspector(sources: Sequence[NetworkSource] | None) -> Iterator[Inspector | None]:
    """An inspector of the one network that a search trains; None without one.

    Raises:
        InputError: there are several.
    """
    if sources is None:
        yield None
        return
    if len(sources) != 1:
        raise InputError(f"model: a search trains one network; found {len(sources)}")
    with inspecting(sources[0]) as inspector:
        yield inspector


def require_working(inspector: Inspector, space: SearchSpace, spec: DataSpec) -> None:
    """Refuse a network that works with none of a few configurations of its search space.

    One that fails with some may have been given a space with a few impossible corners: such a trial
    fails, and says why.

    Raises:
        InputError: it cannot be built, run or trained on data of this form.
    """
    assert isinstance(space.model, OwnNetwork)  # noqa: S101 - for the type checker
    tried = inspector.costs(spec, random_configurations(space, _NUM_TRIED))
    if all(each.problem for each in tried):
        raise InputError(f"{space.model.source.words} does not work: {tried[0].problem}")


def _difference(
    recorded: NetworkSource, named: Sequence[NetworkSource], sources: Sequence[NetworkSource]
) -> str:
    """What differs, in words."""
    if not named:
        found = " and ".join(source.function for source in sources)
        return f"its function is {recorded.function}; found {found}"
    ours, theirs = named[0].code.splitlines(), recorded.code.splitlines()
    digests = f"{named[0].file} has SHA-256 {named[0].sha256[:12]}, recorded is "
    digests += f"{recorded.sha256[:12]}"
    for number, (now, then) in enumerate(zip(ours, theirs, strict=False), 1):
        if now != then:
            return f"{digests}; line {number} is {now.strip()!r} and was {then.strip()!r}"
    if len(ours) != len(theirs):
        return f"{digests}; it has {len(ours)} lines and had {len(theirs)}"
    return digests


def _read_file(text: str) -> NetworkSource:
    path, _, function = text.rpartition(":")
    if not path or not function.isidentifier():
        path, function = text, _DEFAULT_FUNCTION
    file = Path(os.path.expanduser(path))  # noqa: PTH111 - that of `Path` may raise
    return NetworkSource(file.name, function, _code_of(file))


def _code_of(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            found = opened.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ValueError(f"{str(file)!r} cannot be read: {reason}") from None
    if len(found) > _MAX_BYTES:
        raise ValueError(
            f"{str(file)!r} has more than {_MAX_BYTES // 1024} KiB: name a Python file"
        )
    try:
        return found.decode()
    except UnicodeDecodeError:
        raise ValueError(f"{str(file)!r} is not UTF-8 text: name a Python file") from None


def _read_function(function: FunctionType) -> NetworkSource:
    name = function.__name__
    function = inspect.unwrap(function)  # a decorator's file is not the user's
    if function.__qualname__ != name or name == "<lambda>":
        raise ValueError(
            f"{function.__qualname__} must be a function at the top level of its file or cell"
        )
    file = inspect.getsourcefile(function)
    if file is not None and Path(file).is_file() and not _is_cell(file):
        return NetworkSource(Path(file).name, name, _code_of(Path(file)))
    try:
        code = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        raise ValueError(
            f"the source of {name} cannot be found: write it into a file, and name that"
        ) from None
    return NetworkSource(_NOTEBOOK, name, _imports(function, code) + code)


def _is_cell(file: str) -> bool:
    """Whether a file is what ipykernel or another shell calls a cell."""
    return file.startswith("<") or "ipykernel_" in file


def _imports(function: FunctionType, code: str) -> str:
    """Imports of the modules that a cell's function finds in its notebook.

    Raises:
        ValueError: it needs something else of the notebook.
    """
    lines, missing = [], []
    for name in sorted(set(_global_names(code)) - {function.__name__}):
        found = function.__globals__.get(name)
        if isinstance(found, ModuleType):
            lines.append(f"import {found.__name__} as {name}\n")
        elif name in function.__globals__ or not hasattr(builtins, name):
            missing.append(name)
    if missing:
        raise ValueError(
            f"{function.__name__} uses {', '.join(missing)} of the notebook, which its workers do "
            "not have: import or define that inside the function, or write the network into a file"
        )
    return "".join(lines)


def _global_names(code: str) -> Iterator[str]:
    """Names that a definition looks up outside itself, those of its annotations included."""
    table = symtable.symtable(code, "<cell>", "exec")
    yield from (symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced())
    waiting = list(table.get_children())
    while waiting:
        inner = waiting.pop()
        waiting += inner.get_children()
        yield from (symbol.get_name() for symbol in inner.get_symbols() if symbol.is_global())
