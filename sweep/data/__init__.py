"""Data sets by name → training and validation splits; the test split stays sealed.

Imports no torch, because the driver imports this.
"""

from sweep.data.parts import Part
from sweep.data.settings import data_settings, default_data_dir
from sweep.data.splits import TrainingData, data_sizes, fingerprint, load_training_data

__all__ = [
    "Part",
    "TrainingData",
    "data_settings",
    "data_sizes",
    "default_data_dir",
    "fingerprint",
    "load_training_data",
]
