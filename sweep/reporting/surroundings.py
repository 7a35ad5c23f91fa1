"""A report is the same whatever its caller has set in the libraries that it uses.

Nor does it change what the caller has set. Must not import Matplotlib at import.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, chdir, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from sweep.quiet import without_warnings

__all__ = ["undisturbed"]


@contextmanager
def undisturbed() -> Iterator[None]:
    """Work with the libraries' own defaults and without their messages for a user.

    Figures set Matplotlib's themselves (see `sweep.reporting.figures.drawing`).
    """
    calculations = np.errstate(divide="warn", over="warn", under="ignore", invalid="warn")
    with calculations, without_warnings():  # threads take turns
        logger = logging.getLogger("matplotlib")
        level = logger.level
        logger.setLevel(logging.CRITICAL)
        try:
            _import_matplotlib()
            yield
        finally:
            logger.setLevel(level)


def _import_matplotlib() -> None:
    """Import it whatever the user's settings for it say, even if they are damaged.

    Valid ones are read all the same, for a caller who draws figures later.
    """
    if "matplotlib" in sys.modules:
        return
    backend = os.environ.pop("MPLBACKEND", None)  # an unknown one would end the import
    try:
        try:
            matplotlib = importlib.import_module("matplotlib")
        except (ValueError, OSError):  # its file of settings cannot be decoded or read
            for name in [name for name in sys.modules if name.startswith("matplotlib.")]:
                del sys.modules[name]  # they belong to the module that could not be made
            with _packaged_settings():
                matplotlib = importlib.import_module("matplotlib")
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    if backend:
        with suppress(ValueError):
            matplotlib.rcParams["backend"] = backend


@contextmanager
def _packaged_settings() -> Iterator[None]:
    """Let Matplotlib find the file of its own defaults before any other."""
    spec = find_spec("matplotlib")
    assert spec is not None  # noqa: S101 - for the type checker: it has just been imported
    assert spec.origin is not None  # noqa: S101
    folder = Path(spec.origin).parent / "mpl-data"
    former = os.environ.get("MATPLOTLIBRC")
    os.environ["MATPLOTLIBRC"] = str(folder / "matplotlibrc")
    try:
        with ExitStack() as stack:
            if Path("matplotlibrc").exists():  # comes before the environment's
                stack.enter_context(chdir(folder))
            yield
    finally:
        if former is None:
            del os.environ["MATPLOTLIBRC"]
        else:
            os.environ["MATPLOTLIBRC"] = former
