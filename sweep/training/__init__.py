"""Engines: configurations and data in, per-epoch metrics and outcomes out.

Importing this package does not import torch; `load_engine` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.training.capacity import MAX_LANES, STACK_FLOPS, Capacity, image_flops

if TYPE_CHECKING:
    from sweep.data import TrainingData
    from sweep.records import TrainingSettings
    from sweep.training.engine import Engine

__all__ = [
    "ENGINE_NAMES",
    "MAX_LANES",
    "PRECISION_NAMES",
    "STACK_FLOPS",
    "Capacity",
    "image_flops",
    "load_engine",
]

ENGINE_NAMES = ("sequential", "stacked")
PRECISION_NAMES = ("auto", "float32", "bfloat16")


def load_engine(settings: TrainingSettings, data: TrainingData) -> Engine:
    """The engine that the settings name, with the data on its device.

    Raises:
        ValueError: there is no engine of this name.
    """
    if settings.engine not in ENGINE_NAMES:
        raise ValueError(
            f"engine must be one of {', '.join(ENGINE_NAMES)}; found {settings.engine!r}"
        )
    from sweep.training.engine import Engine
    from sweep.training.sequential import SequentialGroup
    from sweep.training.stacked import StackedGroup

    if settings.engine == "sequential":
        return Engine(settings, data, SequentialGroup)
    return Engine(settings, data, StackedGroup)
