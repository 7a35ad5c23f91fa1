"""Engines: configurations and data in, per-epoch metrics and outcomes out.

Importing this package does not import torch; `load_torch` and `load_engine` do.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from sweep.data import TrainingData
    from sweep.families import StackableFamily
    from sweep.records import TrainingSettings
    from sweep.training.engine import Engine

__all__ = ["ENGINE_NAMES", "PRECISION_NAMES", "VALIDATION_BATCH", "load_engine", "load_torch"]

ENGINE_NAMES = ("sequential", "stacked")
PRECISION_NAMES = ("auto", "float32", "bfloat16", "float16")

VALIDATION_BATCH = 1024
"""Examples per validation batch: enough to fill a matrix product, few enough for caches."""


def load_torch() -> None:
    """Import torch, also where the current folder was deleted: there oneMKL ends the process."""
    try:
        Path.cwd()
    except FileNotFoundError:
        folder = os.open(".", os.O_RDONLY)
        os.chdir(os.sep)
        try:
            import torch  # noqa: F401
        finally:
            os.fchdir(folder)
            os.close(folder)


def load_engine(settings: TrainingSettings, data: TrainingData) -> Engine:
    """The engine that the settings name, with the data on its device."""
    if settings.engine not in ENGINE_NAMES:
        raise ValueError(
            f"engine must be one of {', '.join(ENGINE_NAMES)}; found {settings.engine!r}"
        )
    from sweep.families import load_family
    from sweep.training.engine import Engine
    from sweep.training.sequential import SequentialGroup
    from sweep.training.stacked import StackedGroup

    family = load_family(settings.model)
    if settings.engine == "sequential":
        return Engine(settings, data, partial(SequentialGroup, family=family))
    stackable = cast("StackableFamily", family)  # the driver has seen to it
    return Engine(settings, data, partial(StackedGroup, family=stackable))
