"""Data sets by name → training and validation splits; the test split stays sealed.

Imports no torch, because the driver imports this.
"""

from sweep.data.overview import DataOverview, MissingValues, data_overview
from sweep.data.packing import pack_data, unpack_data
from sweep.data.parts import Part, Pool
from sweep.data.settings import data_settings, default_data_dir
from sweep.data.splits import (
    TrainingData,
    fingerprint,
    load_training_data,
    read_pool,
    read_validation,
)

__all__ = [
    "DataOverview",
    "MissingValues",
    "Part",
    "Pool",
    "TrainingData",
    "data_overview",
    "data_settings",
    "default_data_dir",
    "fingerprint",
    "load_training_data",
    "pack_data",
    "read_pool",
    "read_validation",
    "unpack_data",
]
