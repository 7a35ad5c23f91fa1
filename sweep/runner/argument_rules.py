"""What the arguments of the public functions may be: one rule for each name.

A function reads all its arguments before it does anything else, so that a wrong one is a line that
names it, whatever its type, and nothing was created. Importing this module is cheap.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from numbers import Integral, Real
from typing import Any

from sweep.errors import InputError
from sweep.training import ENGINE_NAMES, PRECISION_NAMES
from sweep.words import did_you_mean, parse_duration

__all__ = ["read_argument"]

_MAX_SHOWN = 60


def read_argument(name: str, value: Any) -> Any:
    """The value of an argument of this name as a plain value of Python.

    A scalar of NumPy or PyTorch becomes Python's, a `Path` text, and a duration seconds.

    Raises `InputError` if the value is not what the argument's rule asks for.
    """
    if getattr(value, "shape", None) == ():
        value = value.item()
    try:
        return _READERS[name](value)
    except ValueError as error:
        raise InputError(f"{name} {error}") from None


def _wrong(rule: str, value: Any, known: Iterable[str] = ()) -> ValueError:
    try:
        found = " ".join(repr(value).split())
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        found = f"a {type(value).__name__} that is too long to show"
    if len(found) > _MAX_SHOWN:
        found = found[: _MAX_SHOWN - 3] + "..."
    near = did_you_mean(value, known) if isinstance(value, str) else ""
    return ValueError(f"must be {rule}; found {found}{near}")


def _is_number(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


# ---------------------------------------------------------------- readers


def _count(
    least: int = -(2**63), most: int = 2**63 - 1, *, or_auto: bool = False
) -> Callable[[Any], int | str]:
    """A reader of whole numbers, or `auto` in place of one."""
    words = " or auto" if or_auto else ""

    def read(value: Any) -> int | str:
        if or_auto and isinstance(value, str) and value == "auto":
            return value
        if not _is_number(value, Integral):
            raise _wrong(f"a whole number{words}", value)
        if value < least:
            raise _wrong(f"at least {least}{words}", value)
        if value > most:
            raise _wrong(f"at most {most}{words}", value)
        return int(value)

    return read


def _seconds(value: Any) -> float:
    return parse_duration(value.total_seconds() if isinstance(value, timedelta) else value)


def _above_zero(value: Any) -> float:
    rule = "a number above 0"
    if not _is_number(value, Real):
        raise _wrong(rule, value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not 0 < number < math.inf:
        raise _wrong(rule, value)
    return number


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong("text", value)
    return value


def _list_of(
    read: Callable[[Any], str], types: tuple[type, ...], what: str
) -> Callable[[Any], list[str]]:
    """A reader of one value of these types, or any number of them."""

    def read_all(value: Any) -> list[str]:
        if isinstance(value, types):
            return [read(value)]
        if not isinstance(value, Iterable) or isinstance(value, bytes):
            raise _wrong(what, value)
        return [read(each) for each in value]

    return read_all


def _one_of(*names: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in names:
            raise _wrong(f"one of {', '.join(names)}", value, names)
        return value

    return read


def _path(value: Any) -> str:
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(path, str) or "\0" in path:
        raise _wrong("a path", value)
    return os.path.expanduser(path)  # noqa: PTH111 - that of `Path` may raise


def _storage(value: Any) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, os.PathLike):
        raise _wrong("sqlite:/// and a path, or a Path", value)
    return f"sqlite:///{_path(value)}"


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong("True or False", value)
    return value


def _function(value: Any) -> Any:
    if not callable(value):
        raise _wrong("a function", value)
    return value


def _arrays(value: Any) -> Any:
    from sweep.data.arrays import read_given

    return read_given(value)


def _model(value: Any) -> Any:
    from sweep.runner.own_network import read_networks

    return read_networks(value)


def _inputs(value: Any) -> Any:
    """Paths, or an array as it is; one of a single dimension, such as a column, has paths."""
    if hasattr(value, "__array__") and getattr(value, "ndim", 0) > 1:
        return value
    rule = "a path, several, or an array"
    paths = _list_of(_path, (str, os.PathLike), rule)(value)
    if not paths:
        raise _wrong(rule, value)
    return paths


def _executor(value: Any) -> Any:
    if not isinstance(value, str) and not callable(value):
        raise _wrong("processes, ray, inline, or a function that makes a launcher", value)
    return value


def _resources(value: Any) -> dict[str, float]:
    """Numbers by name, from a mapping or from text such as `GPU=1,CPU=4`."""
    rule = "resources by Ray's names, such as GPU=1,CPU=4"
    if isinstance(value, str):
        pairs = [each.partition("=")[::2] for each in value.split(",")]
        value = {name.strip(): number for name, number in pairs}
        if len(value) < len(pairs):
            raise _wrong(f"{rule}, each once", ",".join(map("=".join, pairs)))
    if not isinstance(value, Mapping) or not value:
        raise _wrong(rule, value)
    found = {}
    for name, number in value.items():
        try:
            found[name] = float(number)
        except (TypeError, ValueError):
            raise _wrong(rule, value) from None
        is_valid = isinstance(name, str) and name.isprintable() and name
        if not is_valid or not 0 < found[name] < math.inf:
            raise _wrong(f"{rule}, each above 0", value)
    return found


_MOST = 1_000_000  # as many trials as a search space may have
_MOST_AT_ONCE = 1024  # a process or thread each; more are a slip of the keyboard

_READERS: dict[str, Callable[[Any], Any]] = {
    "checkpoint_every": _seconds,
    "data": _arrays,
    "data_dir": _path,
    "device": _text,
    "engine": _one_of("auto", *ENGINE_NAMES),
    "executor": _executor,
    "format": _one_of("safetensors", "pt2", "onnx"),
    "front": _flag,
    "inputs": _inputs,
    "invert": _flag,
    "keep_weights": _count(1, _MOST),
    "lanes": _count(1, _MOST_AT_ONCE, or_auto=True),
    "max_failures": _count(0, _MOST),
    "model": _model,
    "on_event": _function,
    "out": _path,
    "precision": _one_of("auto", *PRECISION_NAMES),
    "progress": _flag,
    "ray_address": _text,
    "retry_failed": _flag,
    "rope": _above_zero,
    "seed": _count(),  # the space has its limits
    "seeds": _count(1, _MOST),
    "stop": _function,
    "storage": _storage,
    "studies": _list_of(_text, (str,), "a name or several"),
    "study": _text,
    "threads": _count(1, _MOST_AT_ONCE, or_auto=True),
    "timeout": _seconds,
    "top": _count(1, _MOST),
    "trial": _count(),  # the study has its limits
    "trial_time_limit": _seconds,
    "trials": _count(1),  # the space has its limit
    "worker_resources": _resources,
    "workers": _count(1, _MOST_AT_ONCE, or_auto=True),
}
