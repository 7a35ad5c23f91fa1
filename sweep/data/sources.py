"""How the training pool and the test part of each data set are read.

What is here reads either part, which is why only `sweep.data.splits` (the pool) and
`sweep.data.sealed` (the test part) may import it; the lint step holds the contract.
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

from sweep.data.datasets import DATASETS, Part
from sweep.data.idx import find_idx, read_idx
from sweep.errors import DataError

__all__ = ["read_part"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Idx:
    """A data set of the MNIST family in torchvision's layout.

    Attributes:
        name: Its name in `DATASETS`.
        torchvision_class: Name of the class in `torchvision.datasets` that downloads it.
        folder: Folder of the IDX files below the data directory.
        train: Stem of the training files' names.
        test: Stem of the test files' names.
        transposed: Whether rows and columns are swapped in the files.
    """

    name: str
    torchvision_class: str
    folder: str
    train: str = "train"
    test: str = "t10k"
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
        info = DATASETS[self.name]
        expected = info.num_test if test else info.num_pool
        if images.shape != (expected, *info.image_shape):
            raise DataError(
                f"{image_path}: must hold {expected:,} images of "
                f"{' x '.join(map(str, info.image_shape))}; found shape {images.shape}"
            )
        if labels.shape != (expected,):
            raise DataError(
                f"{label_path}: must hold {expected:,} labels; found shape {labels.shape}"
            )
        if labels.max() >= len(info.class_names):
            raise DataError(
                f"{label_path}: labels must be below {len(info.class_names)}; found {labels.max()}"
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
    num_test = DATASETS["digits"].num_test
    return digits.take(order[:num_test] if test else order[num_test:])


_READERS: dict[str, Callable[[Path, bool], Part]] = {
    "mnist": _Idx("mnist", "MNIST", "MNIST/raw"),
    "fashion-mnist": _Idx("fashion-mnist", "FashionMNIST", "FashionMNIST/raw"),
    "kmnist": _Idx("kmnist", "KMNIST", "KMNIST/raw"),
    "emnist-balanced": _Idx(
        "emnist-balanced",
        "EMNIST",
        "EMNIST/raw",
        train="emnist-balanced-train",
        test="emnist-balanced-test",
        transposed=True,
    ),
    "digits": _read_digits,
}


def read_part(name: str, data_dir: Path, *, test: bool) -> Part:
    """Read the training pool or the test part of a data set.

    Args:
        name: A name of `sweep.data.DATASETS`.
        data_dir: Folder of local data sets; downloads go there.
        test: Whether the test part is meant.

    Raises:
        DataError: the data set is missing or damaged.
    """
    return _READERS[name](data_dir, test)
