"""A data set's training pool, split into training and validation examples.

The test part cannot be reached from here: see `sweep.data.sealed`.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweep.codec import pack_labels
from sweep.data.parts import Part
from sweep.data.sources import open_source
from sweep.errors import DataError
from sweep.records import DataFacts, DataSettings, DataSpec

__all__ = [
    "TrainingData",
    "data_spec",
    "default_data_dir",
    "fingerprint",
    "load_training_data",
    "num_validation",
]


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What engines may see: two disjoint splits and how to normalise them.

    `mean` and `std` (1 where it would be 0) are those of each input over the training split before
    any scaling, float64 of shape (inputs,); an image's inputs share those of their channel.
    """

    spec: DataSpec
    train: Part
    validation: Part
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    fingerprint: str  # SHA-256 of both splits, in their order

    @property
    def facts(self) -> DataFacts:
        """What a study remembers of its data."""
        labels = pack_labels(self.validation.labels, self.spec.num_classes)
        return DataFacts(self.spec, self.fingerprint, labels)


def data_spec(settings: DataSettings) -> DataSpec:
    """What is known of a data set without reading its examples.

    Raises `DataError` if the data set is missing or damaged.
    """
    return open_source(settings).spec()


def load_training_data(settings: DataSettings) -> TrainingData:
    """Read a data set's training pool and split it.

    The split depends only on its seed and the sizes, so that all trials of a study see the same one
    on any machine. Raises `DataError` if the data set is missing or damaged, or if the validation
    split leaves nothing to train on.
    """
    source = open_source(settings)
    spec, pool = source.spec(), source.read("pool")
    size = num_validation(settings, len(pool))
    order = np.random.default_rng(settings.split_seed).permutation(len(pool))
    validation, train = pool.take(order[:size]), pool.take(order[size:])
    mean, std = _moments(spec, train)
    return TrainingData(spec, train, validation, mean, std, fingerprint(train, validation))


def num_validation(settings: DataSettings, num_pool: int) -> int:
    """Examples held out for validation; `DataError` if they leave nothing to train on."""
    size = num_pool // 6 if settings.num_validation is None else settings.num_validation
    if size >= num_pool:
        raise DataError(
            f"dataset.validation must be below {num_pool:,}, the size of the training pool of "
            f"{settings.name}; found {size:,}"
        )
    return size


def _moments(spec: DataSpec, train: Part) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each column, or of each channel's pixels."""
    if spec.kind == "image":
        channels = [_moments_of_bytes(train.inputs[:, c]) for c in range(spec.input_shape[0])]
        mean, std = np.repeat(channels, spec.num_inputs // len(channels), axis=0).T
    else:
        columns = train.inputs.reshape(len(train), -1)
        mean, std = columns.mean(0, dtype=np.float64), columns.std(0, dtype=np.float64)
    return mean, np.where(std > 0, std, 1.0)


def _moments_of_bytes(pixels: NDArray[np.uint8]) -> tuple[float, float]:
    # A histogram gives the same numbers without a large float copy.
    counts = np.bincount(pixels.reshape(-1), minlength=256)
    values = np.arange(256)
    mean = float(counts @ values / counts.sum())
    return mean, float(np.sqrt(counts @ (values - mean) ** 2 / counts.sum()))


def fingerprint(*parts: Part) -> str:
    """SHA-256 of the parts' shapes, inputs and labels."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{part.inputs.dtype.name}{part.inputs.shape}".encode())
        digest.update(np.ascontiguousarray(part.inputs).tobytes())
        digest.update(part.labels.astype("<i8").tobytes())
    return digest.hexdigest()


def default_data_dir() -> Path:
    """The default folder of data sets: `$SWEEP_DATA_DIR`, or `data/` if that is not set."""
    folder = os.environ.get("SWEEP_DATA_DIR") or "data"
    return Path(os.path.expanduser(folder))  # noqa: PTH111 - that of `Path` may raise
