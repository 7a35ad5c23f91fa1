"""Data sets by name: how each one's training pool and test part are read.

The functions here read either part, which is why only `sweep.data.splits` (the pool) and
`sweep.data.sealed` (the test part) may use them.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import importlib.util
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweep.data.idx import find_idx, read_idx
from sweep.errors import DataError

__all__ = ["SOURCES", "Part", "Source"]

_log = logging.getLogger(__name__)

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Part:
    """Images with their labels.

    Attributes:
        images: uint8, shape (N, height, width).
        labels: int64, shape (N,), from 0 to the number of classes - 1.
    """

    images: Images
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: NDArray[np.int64]) -> Part:
        """The images at these positions, in this order."""
        return Part(self.images[indices], self.labels[indices])


@dataclass(frozen=True, slots=True)
class Source:
    """A data set.

    Attributes:
        class_names: Names of the classes in the order of their labels.
        num_pool: Images of the training pool, validation images included.
        image_shape: Height and width of an image in pixels.
        read: Reads a part, given the data directory and whether the test part is meant.
    """

    class_names: tuple[str, ...]
    num_pool: int
    image_shape: tuple[int, int]
    read: Callable[[Path, bool], Part]


@dataclass(frozen=True, slots=True)
class _Idx:
    """A data set of the MNIST family in torchvision's layout.

    Attributes:
        torchvision_class: Name of the class in `torchvision.datasets` that downloads it.
        folder: Folder of the IDX files below the data directory.
        train: Stem of the training files' names.
        test: Stem of the test files' names.
        num_train: Images of the training pool.
        num_test: Images of the test part.
        num_classes: Number of labels.
        transposed: Whether rows and columns are swapped in the files.
    """

    torchvision_class: str
    folder: str
    train: str = "train"
    test: str = "t10k"
    num_train: int = 60_000
    num_test: int = 10_000
    num_classes: int = 10
    transposed: bool = False

    def __call__(self, data_dir: Path, test: bool) -> Part:
        stem = self.test if test else self.train
        names = [f"{stem}-images-idx3-ubyte", f"{stem}-labels-idx1-ubyte"]
        folder = data_dir / self.folder
        if any(find_idx(folder, name) is None for name in names):
            self._download(data_dir)
        paths = [find_idx(folder, name) for name in names]
        image_path, label_path = paths
        if image_path is None or label_path is None:
            raise DataError(self._missing(data_dir, f"no {names[0]} after downloading"))
        images, labels = read_idx(image_path), read_idx(label_path)
        expected = self.num_test if test else self.num_train
        if images.shape != (expected, 28, 28):
            raise DataError(
                f"{image_path}: must hold {expected:,} images of 28 x 28; "
                f"found shape {images.shape}"
            )
        if labels.shape != (expected,):
            raise DataError(
                f"{label_path}: must hold {expected:,} labels; found shape {labels.shape}"
            )
        if labels.max() >= self.num_classes:
            raise DataError(
                f"{label_path}: labels must be below {self.num_classes}; found {labels.max()}"
            )
        if self.transposed:
            images = np.ascontiguousarray(images.transpose(0, 2, 1))
        return Part(images, labels.astype(np.int64))

    def _download(self, data_dir: Path) -> None:
        """Download both parts beside their place, then move them: a part is there or is not."""
        # torchvision takes two seconds to import and is needed for nothing else. It checks the
        # archives' MD5 sums before it unpacks them.
        from torchvision import datasets

        _log.info("downloading %s to %s", self.torchvision_class, data_dir)
        arguments = {"split": "balanced"} if self.torchvision_class == "EMNIST" else {}
        made = next(
            (folder for folder in reversed([data_dir, *data_dir.parents]) if not folder.exists()),
            None,
        )
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=data_dir) as temporary, _silence():
                getattr(datasets, self.torchvision_class)(
                    temporary, train=True, download=True, **arguments
                )
                folder = data_dir / self.folder
                folder.mkdir(parents=True, exist_ok=True)
                for file in (Path(temporary) / self.folder).iterdir():
                    file.replace(folder / file.name)
        except (OSError, RuntimeError) as error:
            if made is not None:
                shutil.rmtree(made, ignore_errors=True)
            lines = str(error).strip().splitlines() or [repr(error)]
            raise DataError(self._missing(data_dir, lines[0].rstrip(":"))) from None

    def _missing(self, data_dir: Path, reason: str) -> str:
        return (
            f"{self.torchvision_class} is neither under {str(data_dir / self.folder)!r} nor could "
            f"it be downloaded ({reason}); name its place with --data-dir, or start with "
            "search_spaces/digits.yaml, which needs no download"
        )


@contextmanager
def _silence() -> Iterator[None]:
    """Keep torchvision's progress bars off the console, which belongs to the command line."""
    with (
        open(os.devnull, "w") as nowhere,  # noqa: PTH123 - a device, not a file
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield


_NUM_DIGITS_TEST = 360
_DIGITS_TEST_SEED = 20_250_101  # fixed for ever: the test part never depends on a study


def _read_digits(_data_dir: Path, test: bool) -> Part:
    """scikit-learn's bundled handwriting (Alpaydin and Kaynak, 1998), 8 x 8, values 0 to 16.

    The file is read without importing scikit-learn, which takes two seconds.
    """
    package = importlib.util.find_spec("sklearn")
    if package is None or not package.submodule_search_locations:
        raise DataError("the digits come with scikit-learn, which is missing: pip install it")
    path = Path(package.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz"
    try:
        with gzip.open(path, "rt", encoding="ascii") as file:
            rows = np.array([[int(value) for value in row] for row in csv.reader(file)])
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {error}; install scikit-learn again") from None
    if rows.shape != (1797, 65):
        raise DataError(f"{path}: must have 1,797 rows of 65 values; found shape {rows.shape}")
    digits = Part(rows[:, :64].astype(np.uint8).reshape(-1, 8, 8), rows[:, 64].astype(np.int64))
    order = np.random.default_rng(_DIGITS_TEST_SEED).permutation(len(digits))
    return digits.take(order[:_NUM_DIGITS_TEST] if test else order[_NUM_DIGITS_TEST:])


_TEN = tuple("0123456789")
_FASHION = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
_KUZUSHIJI = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
_BALANCED = tuple("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt")


def _idx_source(class_names: tuple[str, ...], files: _Idx) -> Source:
    return Source(class_names, files.num_train, (28, 28), files)


SOURCES: dict[str, Source] = {
    "mnist": _idx_source(_TEN, _Idx("MNIST", "MNIST/raw")),
    "fashion-mnist": _idx_source(_FASHION, _Idx("FashionMNIST", "FashionMNIST/raw")),
    "kmnist": _idx_source(_KUZUSHIJI, _Idx("KMNIST", "KMNIST/raw")),
    "emnist-balanced": _idx_source(
        _BALANCED,
        _Idx(
            "EMNIST",
            "EMNIST/raw",
            train="emnist-balanced-train",
            test="emnist-balanced-test",
            num_train=112_800,
            num_test=18_800,
            num_classes=47,
            transposed=True,
        ),
    ),
    "digits": Source(_TEN, 1797 - _NUM_DIGITS_TEST, (8, 8), _read_digits),
}
