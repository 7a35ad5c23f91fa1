"""The only room that opens the test split: once, for what validation chose.

An opening is recorded in the store before it happens, so that not even a crash hides one. Importing
this package does not import torch: what was read before is read again without it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sweep.evaluation.openings import read_test_split, read_test_split_of_winner
from sweep.training import load_torch

if TYPE_CHECKING:
    from sweep.evaluation.exporting import Export, export
    from sweep.evaluation.prediction import Prediction, predict

__all__ = [
    "Export",
    "Prediction",
    "export",
    "predict",
    "read_test_split",
    "read_test_split_of_winner",
]

_NEED_TORCH = {
    "Export": "exporting",
    "export": "exporting",
    "Prediction": "prediction",
    "predict": "prediction",
}


def __getattr__(name: str) -> Any:
    if name not in _NEED_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    load_torch()
    return getattr(import_module(f"{__name__}.{_NEED_TORCH[name]}"), name)
