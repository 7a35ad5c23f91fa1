"""Data sets: which one is meant, what is known of it, what a study remembers of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["DataFacts", "DataSettings", "DataSpec"]


@dataclass(frozen=True, slots=True)
class DataSettings:
    """Which data set is meant, and how its training pool is split.

    Attributes:
        name: Name of the data set.
        num_validation: Examples held out for validation, a sixth of the training pool if None.
        split_seed: Seed of that split.
        data_dir: Folder of local data sets; downloads go there.
    """

    name: str
    num_validation: int | None
    split_seed: int
    data_dir: str


@dataclass(frozen=True, slots=True)
class DataSpec:
    """What is known of a data set without reading its examples.

    Attributes:
        kind: `image` (bytes) or `table` (float32 columns).
        input_shape: Of one example: channels, height and width, or the number of columns.
        class_names: Names of the classes in the order of their labels.
        num_pool: Examples of the training pool, those for validation included.
        num_test: Examples of the test part.
    """

    kind: str
    input_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    num_pool: int
    num_test: int

    @property
    def num_inputs(self) -> int:
        """Numbers of one example."""
        return math.prod(self.input_shape)

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def dtype(self) -> str:
        """NumPy's name of the type in which examples are kept."""
        return "uint8" if self.kind == "image" else "float32"


@dataclass(frozen=True, slots=True)
class DataFacts:
    """What a study remembers of its data, so that the store alone makes a report.

    Attributes:
        spec: What is known of the data set.
        fingerprint: SHA-256 of the training pool and its split.
        validation_labels: True class of each validation example (see `sweep.codec.pack_labels`).
    """

    spec: DataSpec
    fingerprint: str
    validation_labels: bytes
