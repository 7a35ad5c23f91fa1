"""Examples in memory, whatever they were read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Part"]


@dataclass(frozen=True, slots=True)
class Part:
    """Examples and their labels, which count from 0."""

    inputs: NDArray[Any]  # (N, *input_shape); uint8 for images, float32 for tables
    labels: NDArray[np.int64]  # (N,)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: NDArray[np.int64]) -> Part:
        """The examples at these positions, in this order."""
        return Part(self.inputs[indices], self.labels[indices])
