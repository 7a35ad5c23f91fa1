"""The form in which examples come, whatever they were read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Part"]


@dataclass(frozen=True, slots=True)
class Part:
    """Examples with their labels.

    Attributes:
        inputs: uint8 for images, float32 for tables; shape (N, *input_shape).
        labels: int64, shape (N,), from 0 to the number of classes - 1.
    """

    inputs: NDArray[Any]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: NDArray[np.int64]) -> Part:
        """The examples at these positions, in this order."""
        return Part(self.inputs[indices], self.labels[indices])
