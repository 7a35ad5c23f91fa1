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
    from sweep.records import Model, TrainingSettings
    from sweep.training.engine import Engine
    from sweep.training.groups import BuildGroup

__all__ = [
    "ENGINE_NAMES",
    "PRECISION_NAMES",
    "VALIDATION_BATCH",
    "load_engine",
    "load_groups",
    "load_torch",
]

ENGINE_NAMES = ("sequential", "stacked")
PRECISION_NAMES = ("float32", "bfloat16", "float16")

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
    from sweep.training.engine import Engine

    return Engine(settings, data, load_groups(settings.model, settings.engine))


def load_groups(model: Model, engine: str) -> BuildGroup:
    """What builds the groups of trials that an engine trains together."""
    if engine not in ENGINE_NAMES:
        raise ValueError(f"engine must be one of {', '.join(ENGINE_NAMES)}; found {engine!r}")
    from sweep.families import load_family
    from sweep.training.sequential import SequentialGroup
    from sweep.training.stacked import StackedGroup

    family = load_family(model)
    if engine == "sequential":
        return partial(SequentialGroup, family=family)
    stackable = cast("StackableFamily", family)  # the driver has seen to it
    return partial(StackedGroup, family=stackable)
