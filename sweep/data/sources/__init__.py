"""How each kind of data set is read: one module each.

Sources read the test part, too: only `sweep.data.splits` and `sweep.data.sealed` may import them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from sweep.data.parts import Part
from sweep.data.sources.digits import Digits
from sweep.data.sources.mnist_family import MnistFamily
from sweep.records import DataSettings, DataSpec

__all__ = ["SOURCES", "DataSource", "open_source"]


class DataSource(Protocol):
    """Reads one data set; both methods raise `DataError` if it is missing or damaged."""

    def spec(self) -> DataSpec:
        """What is known of the data set, at the lowest cost."""

    def read(self, part: Literal["pool", "test"]) -> Part:
        """The training pool or the test part."""


SOURCES: dict[str, Callable[[DataSettings], DataSource]] = {
    "mnist": lambda settings: MnistFamily(settings, "MNIST"),
    "fashion-mnist": lambda settings: MnistFamily(settings, "FashionMNIST"),
    "kmnist": lambda settings: MnistFamily(settings, "KMNIST"),
    "emnist-balanced": lambda settings: MnistFamily(
        settings, "EMNIST", prefix="emnist-balanced-", test="test", transposed=True
    ),
    "digits": Digits,
}
"""The source of each data set, by name."""


def open_source(settings: DataSettings) -> DataSource:
    """The source of the data set that the settings name."""
    return SOURCES[settings.name](settings)
