"""Data sets by name → training and validation splits; the seal on the test split.

Needs NumPy only, so that the driver never imports torch.
"""

from sweep.data.parts import Part
from sweep.data.splits import (
    TrainingData,
    data_spec,
    default_data_dir,
    fingerprint,
    load_training_data,
)

__all__ = [
    "Part",
    "TrainingData",
    "data_spec",
    "default_data_dir",
    "fingerprint",
    "load_training_data",
]
