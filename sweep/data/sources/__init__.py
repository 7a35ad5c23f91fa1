"""How each kind of data set is read: one module each.

Sources read the test part, too: only `sweep.data.splits` and `sweep.data.sealed` may import them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sweep.data.arrays import GivenArrays
from sweep.data.parts import Part, Pool
from sweep.data.sources.arrays import Arrays
from sweep.data.sources.cifar import CIFAR10, CIFAR100, Cifar
from sweep.data.sources.digits import Digits
from sweep.data.sources.mnist_family import MnistFamily
from sweep.data.sources.svhn import Svhn
from sweep.records import DataSettings

__all__ = ["OWN_SOURCES", "SOURCES", "BuiltInSource", "DataSource", "open_source"]


class DataSource(Protocol):
    """Reads one data set; both methods raise `DataError` if it is missing, damaged or unusable.

    Own data are examined whole, the test part included, by `pool`: nothing that can be wrong with
    the test part is left to be found when it is opened.
    """

    def pool(self) -> Pool:
        """What is there for training and validation."""

    def test(self) -> Part:
        """The test part."""


class BuiltInSource(DataSource, Protocol):
    """Reads a built-in data set, which is downloaded if it is not on this machine."""

    def is_here(self) -> bool:
        """Whether both parts can be read without a download."""


SOURCES: dict[str, Callable[[DataSettings], BuiltInSource]] = {
    "mnist": lambda settings: MnistFamily(settings, "MNIST"),
    "fashion-mnist": lambda settings: MnistFamily(settings, "FashionMNIST"),
    "kmnist": lambda settings: MnistFamily(settings, "KMNIST"),
    "emnist-balanced": lambda settings: MnistFamily(settings, "EMNIST", split="balanced"),
    "emnist-letters": lambda settings: MnistFamily(
        settings, "EMNIST", split="letters", first_label=1
    ),
    "cifar10": lambda settings: Cifar(settings, CIFAR10),
    "cifar100": lambda settings: Cifar(settings, CIFAR100),
    "svhn": Svhn,
    "digits": Digits,
}
"""The source of each built-in data set, by name."""


def _open_folder(settings: DataSettings) -> DataSource:
    from sweep.data.sources.image_folder import ImageFolder  # Pillow

    return ImageFolder(settings)


def _open_table(settings: DataSettings) -> DataSource:
    from sweep.data.sources.table import Table  # pandas takes half a second

    return Table(settings)


OWN_SOURCES: dict[str, Callable[[DataSettings], DataSource]] = {
    "arrays": Arrays,
    "folder": _open_folder,
    "table": _open_table,
}
"""The source of each kind of own data."""


def open_source(settings: DataSettings, given: GivenArrays | None = None) -> DataSource:
    """The source of the data set that the settings name, or of arrays that Python gives."""
    if given is not None:
        return Arrays(settings, given)
    if settings.kind == "builtin":
        return SOURCES[settings.name](settings)
    return OWN_SOURCES[settings.kind](settings)
