"""Examples in memory, whatever they were read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Part", "Pool"]


@dataclass(frozen=True, slots=True)
class Part:
    """Examples and their labels, which count from 0.

    `inputs` are uint8 for images and float32 for rows, shape (N, *input_shape). A table that has
    yet to be encoded is a pandas `DataFrame` of N rows.
    """

    inputs: Any
    labels: NDArray[np.int64]  # (N,)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: NDArray[np.int64]) -> Part:
        """The examples at these positions, in this order."""
        inputs = self.inputs[indices] if self.is_encoded else self.inputs.iloc[indices]
        return Part(inputs, self.labels[indices])

    @property
    def is_encoded(self) -> bool:
        """Whether the inputs are numbers, as a network takes them."""
        return isinstance(self.inputs, np.ndarray)


@dataclass(frozen=True, slots=True)
class Pool:
    """What a source has for training and validation.

    Attributes:
        examples: All of them, before any are held out.
        class_names: In the order of the labels.
        num_test: Size of the test part, which is not here.
        validation: The data set's own validation split.
        groups: Of own data, a number for each example; those of one number stay in one split.
        content: SHA-256 of all that was read, the test part included; empty for a built-in one.
        notes: What was left out or converted, a sentence each.
    """

    examples: Part
    class_names: tuple[str, ...]
    num_test: int
    validation: Part | None = None
    groups: NDArray[np.int64] | None = None
    content: str = ""
    notes: tuple[str, ...] = ()
