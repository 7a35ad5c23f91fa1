"""The built-in data sets: what is known of each without reading it."""

from __future__ import annotations

from sweep.records import DataSpec

__all__ = ["DATASETS"]

_TEN = tuple("0123456789")
_FASHION = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
_KUZUSHIJI = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
_BALANCED = tuple("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt")


def _images(class_names: tuple[str, ...], num_pool: int, num_test: int, size: int = 28) -> DataSpec:
    return DataSpec("image", (1, size, size), class_names, num_pool, num_test)


DATASETS: dict[str, DataSpec] = {
    "mnist": _images(_TEN, 60_000, 10_000),
    "fashion-mnist": _images(_FASHION, 60_000, 10_000),
    "kmnist": _images(_KUZUSHIJI, 60_000, 10_000),
    "emnist-balanced": _images(_BALANCED, 112_800, 18_800),
    "digits": _images(_TEN, 1437, 360, size=8),
}
"""The data sets by name."""
