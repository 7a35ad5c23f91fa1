"""The training pool of a data set, split into training and validation images.

The test part is not reachable from here: see `sweep.data.sealed`.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sweep.data.datasets import DATASETS, Part
from sweep.data.sources import read_part
from sweep.errors import DataError
from sweep.records import DataFacts

__all__ = ["TrainingData", "default_data_dir", "fingerprint", "load_training_data"]


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What engines may see.

    Attributes:
        train: The training split.
        validation: The validation split, disjoint from `train`.
        class_names: Names of the classes in the order of their labels.
        mean: Mean pixel of the training split, on the scale of the stored bytes.
        std: Standard deviation of the same.
        fingerprint: SHA-256 of both splits, in their order.
    """

    train: Part
    validation: Part
    class_names: tuple[str, ...]
    mean: float
    std: float
    fingerprint: str

    @property
    def num_inputs(self) -> int:
        """Pixels of one image."""
        return int(np.prod(self.train.images.shape[1:]))

    @property
    def facts(self) -> DataFacts:
        """What a study remembers of its data."""
        labels = self.validation.labels.astype(np.uint8).tobytes()
        return DataFacts(self.fingerprint, self.class_names, labels)

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)


def load_training_data(
    name: str, data_dir: Path, *, num_validation: int | None, split_seed: int
) -> TrainingData:
    """Read a data set's training pool and split it.

    The split depends on `split_seed` and the sizes alone, so that all trials of a study, on any
    machine, see the same one.

    Args:
        name: A name of `sweep.data.DATASETS`.
        data_dir: Folder of local data sets; downloads go there.
        num_validation: Images held out for validation, a sixth of the pool if None.
        split_seed: Seed of the split.

    Returns:
        Both splits with what is needed to normalise them.

    Raises:
        DataError: the data set is missing or damaged, or the validation split leaves nothing to
            train on.
    """
    pool = read_part(name, data_dir, test=False)
    size = num_validation if num_validation is not None else len(pool) // 6
    if size >= len(pool):
        raise DataError(
            f"dataset.validation must be below {len(pool):,}, the size of the training pool of "
            f"{name}; found {size:,}"
        )
    order = np.random.default_rng(split_seed).permutation(len(pool))
    validation, train = pool.take(order[:size]), pool.take(order[size:])
    # Bytes are counted instead of converted: the same numbers without a large copy.
    counts = np.bincount(train.images.reshape(-1), minlength=256)
    values = np.arange(256)
    mean = float(counts @ values / counts.sum())
    std = float(np.sqrt(counts @ (values - mean) ** 2 / counts.sum())) or 1.0
    return TrainingData(
        train, validation, DATASETS[name].class_names, mean, std, fingerprint(train, validation)
    )


def fingerprint(*parts: Part) -> str:
    """SHA-256 of the shapes, pixels and labels of these parts."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(repr(part.images.shape).encode())
        digest.update(np.ascontiguousarray(part.images).tobytes())
        digest.update(part.labels.astype("<i8").tobytes())
    return digest.hexdigest()


def default_data_dir() -> Path:
    """Where data sets lie unless told otherwise: `$SWEEP_DATA_DIR`, then `data/`."""
    return Path(os.environ.get("SWEEP_DATA_DIR") or "data")
