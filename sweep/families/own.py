"""A user's own network: load its file, see what its function takes, build it.

Only workers and what measures a finished network do this, with the source that the user gave for
this very command; the copy in a store is never run.
"""

from __future__ import annotations

import inspect
import linecache
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Literal, get_args, get_origin

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from sweep.definitions import Params, Recipe, Scalar, declared
from sweep.errors import InputError
from sweep.nesting import loading_network
from sweep.records import DataSpec, NetworkArgument, NetworkSource, OwnNetwork

__all__ = ["OwnFamily", "load_function", "network_arguments", "told"]

_NUM_GIVEN = 2  # input_shape and num_classes
_WRITE_SO = "def build(input_shape, num_classes, *, width: int = 128) -> nn.Module"


class OwnFamily:
    """A user's network (see `sweep.families.Family`)."""

    def __init__(self, network: OwnNetwork) -> None:
        self._function = load_function(network.source)
        self._words = network.source.words
        self._names = [argument.name for argument in network.arguments]

    def build(self, params: Params, spec: DataSpec) -> nn.Module:
        """The network of a configuration.

        Raises whatever the function raises; TypeError if it returns something else, RuntimeError if
        it would end the process.
        """
        values: dict[str, Scalar] = {name: params[name] for name in self._names}
        try:
            with _keeping_settings():
                network = self._function(spec.input_shape, spec.num_classes, **values)
        except SystemExit as error:
            raise RuntimeError(f"{self._words} calls sys.exit: {error}") from error
        if not isinstance(network, nn.Module):
            raise TypeError(
                f"{self._words} must return a torch.nn.Module; found {type(network).__name__}"
            )
        if any(map(is_lazy, network.parameters())):
            with torch.no_grad():
                network.eval()(torch.zeros(1, *spec.input_shape))
            network.train()
        return network


def load_function(source: NetworkSource) -> Callable[..., Any]:
    """The function that builds the network; a process runs the user's file once.

    Raises:
        InputError: the file cannot be run, or has no such function.
    """
    name = f"sweep_own_network_{source.sha256}"
    module = sys.modules.get(name) or _run_file(source, name)
    function = getattr(module, source.function, None)
    if function is not None and not inspect.isfunction(function):
        kind = "class" if inspect.isclass(function) else type(function).__name__
        raise InputError(f"{source.words} is no function ({kind}): write a function that calls it")
    if function is None:
        found = [n for n, each in vars(module).items() if _is_own_function(each, name)]
        has = f"its functions are {', '.join(found)}" if found else "it defines none"
        raise InputError(
            f"{source.file} has no function {source.function!r}: {has}; name one with "
            f"--model {source.file}:NAME"
        )
    return function


def _run_file(source: NetworkSource, name: str) -> ModuleType:
    module = ModuleType(name)
    module.__file__ = source.file
    # Tracebacks show the user's lines, and classes of the file know their module.
    lines = source.code.splitlines(keepends=True)
    linecache.cache[source.file] = (len(source.code), None, lines, source.file)
    sys.modules[name] = module
    token = loading_network.set(True)
    try:
        # From bytes, so that Python heeds a byte-order mark and the file's own encoding line; and
        # without this module's imports from the future.
        code = compile(source.code.encode(), source.file, "exec", dont_inherit=True)
        with _keeping_settings():
            exec(code, module.__dict__)  # noqa: S102 - the user's
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise InputError(f"{source.file} cannot be loaded: {told(error, source.file)}") from error
    finally:
        loading_network.reset(token)
    return module


@contextmanager
def _keeping_settings() -> Iterator[None]:
    """Context after which the study's settings are as before: they are not the file's business."""
    num_threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    is_deterministic = torch.are_deterministic_algorithms_enabled()
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)
        torch.set_default_dtype(dtype)
        torch.use_deterministic_algorithms(is_deterministic)


def network_arguments(
    function: Callable[..., Any], source: NetworkSource
) -> tuple[NetworkArgument, ...]:
    """The hyperparameters that a user's function takes.

    Raises:
        InputError: it does not take `input_shape` and `num_classes` first, or an argument has no
            usable annotation, no default, or the name of a hyperparameter of training.
    """
    words = source.words
    try:
        parameters = list(inspect.signature(function, eval_str=True).parameters.values())
    except Exception as error:
        raise InputError(f"{words}: its annotations cannot be read: {error}") from error
    given, own = parameters[:_NUM_GIVEN], parameters[_NUM_GIVEN:]
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if len(given) < _NUM_GIVEN or any(each.kind not in by_position for each in given):
        raise InputError(
            f"{words} must take input_shape and num_classes first, then its hyperparameters by "
            f"name: {_WRITE_SO}"
        )
    return tuple(_argument(each, words) for each in own)


def _argument(parameter: inspect.Parameter, words: str) -> NetworkArgument:
    name, default, kind = parameter.name, parameter.default, parameter.annotation
    where = f"{words}: argument {name}"
    if parameter.kind not in (
        inspect.Parameter.KEYWORD_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    ):
        raise InputError(f"{where} must be passed by name; write each hyperparameter out")
    if name in declared(Recipe):
        raise InputError(f"{where} has the name of a hyperparameter of training; rename it")
    if kind is inspect.Parameter.empty:
        raise InputError(f"{where} has no annotation; write its type, such as `{name}: int = 128`")
    if default is inspect.Parameter.empty:
        raise InputError(f"{where} has no default; give it one, such as `{name}: int = 128`")
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    try:
        if choices and all(isinstance(each, str) for each in choices):
            return NetworkArgument(name, "choice", default, choices)
        if kind is int:
            return NetworkArgument(name, "int", default)
        if kind is float:
            whole = type(default) is int
            return NetworkArgument(name, "float", float(default) if whole else default)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{where} {error}") from error
    shown = getattr(kind, "__name__", str(kind)) if not choices else str(kind)
    raise InputError(
        f"{where} must be annotated int, float or Literal with texts, such as "
        f'Literal["relu", "gelu"]; found {shown}'
    )


def told(error: BaseException, file: str) -> str:
    """An exception in one line, with the last line of the user's file that it went through."""
    line = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and error.filename == file:
        line = error.lineno
        text = error.msg
    else:
        text = (str(error).strip().splitlines() or [""])[0]
    what = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return what if line is None else f"line {line}: {what}"


def _is_own_function(value: Any, module: str) -> bool:
    return inspect.isfunction(value) and value.__module__ == module
