"""The only room that opens the test split: once, for what validation chose.

An opening is recorded in the store before it happens, so that not even a crash hides one.
"""

from sweep.training import load_torch

load_torch()

from sweep.evaluation.exporting import Export, export  # noqa: E402
from sweep.evaluation.openings import read_test_split, read_test_split_of_winner  # noqa: E402
from sweep.evaluation.prediction import Prediction, predict  # noqa: E402

__all__ = [
    "Export",
    "Prediction",
    "export",
    "predict",
    "read_test_split",
    "read_test_split_of_winner",
]
