"""What is known of each data set without reading it, and the form in which its images come.

Whoever only asks for shapes and names imports this, and nothing here can read an image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["DATASETS", "DatasetInfo", "Part"]


@dataclass(frozen=True, slots=True)
class Part:
    """Images with their labels.

    Attributes:
        images: uint8, shape (N, height, width).
        labels: int64, shape (N,), from 0 to the number of classes - 1.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: NDArray[np.int64]) -> Part:
        """The images at these positions, in this order."""
        return Part(self.images[indices], self.labels[indices])


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """What is known of a data set.

    Attributes:
        class_names: Names of the classes in the order of their labels.
        num_pool: Images of the training pool, validation images included.
        num_test: Images of the test part.
        image_shape: Height and width of an image in pixels.
    """

    class_names: tuple[str, ...]
    num_pool: int
    num_test: int
    image_shape: tuple[int, int] = (28, 28)


_TEN = tuple("0123456789")
_FASHION = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
_KUZUSHIJI = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
_BALANCED = tuple("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt")

DATASETS: dict[str, DatasetInfo] = {
    "mnist": DatasetInfo(_TEN, 60_000, 10_000),
    "fashion-mnist": DatasetInfo(_FASHION, 60_000, 10_000),
    "kmnist": DatasetInfo(_KUZUSHIJI, 60_000, 10_000),
    "emnist-balanced": DatasetInfo(_BALANCED, 112_800, 18_800),
    "digits": DatasetInfo(_TEN, 1437, 360, image_shape=(8, 8)),
}
"""The data sets by name."""
