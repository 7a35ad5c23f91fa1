"""Engines: configurations and data in, per-epoch metrics and outcomes out.

Importing this package does not import torch; `load_engine` does.
"""

from sweep.training.engine import Engine, Report

__all__ = ["ENGINE_NAMES", "Engine", "Report", "load_engine"]

ENGINE_NAMES = ("sequential",)


def load_engine(name: str) -> type[Engine]:
    """The engine of this name.

    Args:
        name: One of `ENGINE_NAMES`.
    """
    if name == "sequential":
        from sweep.training.sequential import SequentialEngine

        return SequentialEngine
    raise ValueError(f"engine must be one of {', '.join(ENGINE_NAMES)}; found {name!r}")
