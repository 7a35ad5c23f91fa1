"""Data sets by name → training and validation splits; the seal on the test split.

Needs NumPy only, so that the driver never imports torch.
"""

from sweep.data.datasets import DATASETS, DatasetInfo, Part
from sweep.data.splits import TrainingData, default_data_dir, fingerprint, load_training_data

__all__ = [
    "DATASETS",
    "DatasetInfo",
    "Part",
    "TrainingData",
    "default_data_dir",
    "fingerprint",
    "load_training_data",
]
