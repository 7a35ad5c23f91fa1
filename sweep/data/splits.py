"""The training pool of a data set, split into training and validation examples.

The test part is not reachable from here: see `sweep.data.sealed`.

Shape legend: N examples, D numbers of one example.
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

__all__ = ["TrainingData", "data_spec", "default_data_dir", "fingerprint", "load_training_data"]


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What engines may see: two disjoint splits and what is needed to normalise them.

    Attributes:
        mean: Mean of each input over the training split, before any scaling; of an image, that of
            its channel. float64, shape (D,).
        std: Standard deviation likewise; 1 where it would be 0.
        fingerprint: SHA-256 of both splits, in their order.
    """

    spec: DataSpec
    train: Part
    validation: Part
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    fingerprint: str

    @property
    def facts(self) -> DataFacts:
        """What a study remembers of its data."""
        labels = pack_labels(self.validation.labels, self.spec.num_classes)
        return DataFacts(self.spec, self.fingerprint, labels)


def data_spec(settings: DataSettings) -> DataSpec:
    """What is known of a data set without reading its examples.

    Raises:
        DataError: the data set is missing or damaged.
    """
    return open_source(settings).spec()


def load_training_data(settings: DataSettings) -> TrainingData:
    """Read a data set's training pool and split it.

    The split depends on its seed and the sizes alone, so that all trials of a study, on any
    machine, see the same one.

    Raises:
        DataError: the data set is missing or damaged, or the validation split leaves nothing to
            train on.
    """
    source = open_source(settings)
    spec, pool = source.spec(), source.read("pool")
    size = settings.num_validation
    size = len(pool) // 6 if size is None else size
    if size >= len(pool):
        raise DataError(
            f"dataset.validation must be below {len(pool):,}, the size of the training pool of "
            f"{settings.name}; found {size:,}"
        )
    order = np.random.default_rng(settings.split_seed).permutation(len(pool))
    validation, train = pool.take(order[:size]), pool.take(order[size:])
    mean, std = _moments(spec, train)
    return TrainingData(spec, train, validation, mean, std, fingerprint(train, validation))


def _moments(spec: DataSpec, train: Part) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each input: of a column, or of a channel's pixels."""
    if spec.kind == "image":
        channels = [_moments_of_bytes(train.inputs[:, c]) for c in range(spec.input_shape[0])]
        mean, std = np.repeat(channels, spec.num_inputs // len(channels), axis=0).T
    else:
        columns = train.inputs.reshape(len(train), -1)
        mean, std = columns.mean(0, dtype=np.float64), columns.std(0, dtype=np.float64)
    return mean, np.where(std > 0, std, 1.0)


def _moments_of_bytes(pixels: NDArray[np.uint8]) -> tuple[float, float]:
    # Bytes are counted instead of converted: the same numbers without a large copy.
    counts = np.bincount(pixels.reshape(-1), minlength=256)
    values = np.arange(256)
    mean = float(counts @ values / counts.sum())
    return mean, float(np.sqrt(counts @ (values - mean) ** 2 / counts.sum()))


def fingerprint(*parts: Part) -> str:
    """SHA-256 of the shapes, inputs and labels of these parts."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{part.inputs.dtype.name}{part.inputs.shape}".encode())
        digest.update(np.ascontiguousarray(part.inputs).tobytes())
        digest.update(part.labels.astype("<i8").tobytes())
    return digest.hexdigest()


def default_data_dir() -> Path:
    """Where data sets lie unless told otherwise: `$SWEEP_DATA_DIR`, then `data/`."""
    return Path(os.environ.get("SWEEP_DATA_DIR") or "data")
