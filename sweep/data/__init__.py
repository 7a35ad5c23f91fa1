"""Data sets by name → training and validation splits; the test split stays sealed.

Imports no torch, because the driver imports this.
"""

from sweep.data.parts import Part
from sweep.data.splits import (
    TrainingData,
    data_spec,
    default_data_dir,
    fingerprint,
    load_training_data,
    num_validation,
)

__all__ = [
    "Part",
    "TrainingData",
    "data_spec",
    "default_data_dir",
    "fingerprint",
    "load_training_data",
    "num_validation",
]
