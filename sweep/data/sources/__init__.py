"""How each kind of data set is read: one module each.

What is here reads the test part as well, which is why only `sweep.data.splits` (the pool) and
`sweep.data.sealed` (the test part) may import it; the lint step holds the contract.
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
    """Reads one data set."""

    def spec(self) -> DataSpec:
        """What is known of the data set, at the least cost that it can be known.

        Raises:
            DataError: the data set is missing or damaged.
        """
        ...

    def read(self, part: Literal["pool", "test"]) -> Part:
        """The training pool or the test part.

        Raises:
            DataError: the data set is missing or damaged.
        """
        ...


SOURCES: dict[str, Callable[[DataSettings], DataSource]] = {
    "mnist": lambda settings: MnistFamily(settings, "MNIST"),
    "fashion-mnist": lambda settings: MnistFamily(settings, "FashionMNIST"),
    "kmnist": lambda settings: MnistFamily(settings, "KMNIST"),
    "emnist-balanced": lambda settings: MnistFamily(
        settings, "EMNIST", prefix="emnist-balanced-", test="test", transposed=True
    ),
    "digits": Digits,
}
"""What reads each data set, by its name."""


def open_source(settings: DataSettings) -> DataSource:
    """What reads the data set that the settings name."""
    return SOURCES[settings.name](settings)
