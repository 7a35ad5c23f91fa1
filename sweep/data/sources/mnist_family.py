"""MNIST and its successors, in torchvision's layout, downloaded by torchvision where missing."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np

from sweep.data.parts import Part
from sweep.data.sources.idx import find_idx, read_idx
from sweep.definitions import DATASETS
from sweep.errors import DataError
from sweep.records import DataSettings, DataSpec

__all__ = ["MnistFamily"]

_log = logging.getLogger(__name__)


class MnistFamily:
    """A data set of grey images in IDX files (see `sweep.data.sources.DataSource`).

    Args:
        settings: Name the data set and its folder.
        torchvision_class: Name of the class in `torchvision.datasets` that downloads it, and of
            its folder below the data directory.
        prefix: What all names of the files begin with.
        test: What the names of the test files go on with.
        transposed: Whether rows and columns are swapped in the files.
    """

    def __init__(
        self,
        settings: DataSettings,
        torchvision_class: str,
        *,
        prefix: str = "",
        test: str = "t10k",
        transposed: bool = False,
    ) -> None:
        self._spec = DATASETS[settings.name]
        self._data_dir = Path(settings.data_dir)
        self._class = torchvision_class
        self._folder = self._data_dir / torchvision_class / "raw"
        self._stems = {"pool": f"{prefix}train", "test": f"{prefix}{test}"}
        self._transposed = transposed

    def spec(self) -> DataSpec:
        """What is known of the data set."""
        return self._spec

    def read(self, part: Literal["pool", "test"]) -> Part:
        """The training pool or the test part."""
        stem = self._stems[part]
        names = [f"{stem}-images-idx3-ubyte", f"{stem}-labels-idx1-ubyte"]
        if any(find_idx(self._folder, name) is None for name in names):
            self._download()
        image_path, label_path = (find_idx(self._folder, name) for name in names)
        if image_path is None or label_path is None:
            raise DataError(self._missing(f"no {names[0]} after downloading"))
        images, labels = read_idx(image_path), read_idx(label_path)
        spec = self._spec
        expected = spec.num_test if part == "test" else spec.num_pool
        size = spec.input_shape[1:]
        if images.shape != (expected, *size):
            raise DataError(
                f"{image_path}: must hold {expected:,} images of {' x '.join(map(str, size))}; "
                f"found shape {images.shape}"
            )
        if labels.shape != (expected,):
            raise DataError(
                f"{label_path}: must hold {expected:,} labels; found shape {labels.shape}"
            )
        if labels.max() >= spec.num_classes:
            raise DataError(
                f"{label_path}: labels must be below {spec.num_classes}; found {labels.max()}"
            )
        if self._transposed:
            images = np.ascontiguousarray(images.transpose(0, 2, 1))
        return Part(images.reshape(-1, *spec.input_shape), labels.astype(np.int64))

    def _download(self) -> None:
        """Download both parts beside their place, then move them: a part is there or is not."""
        # torchvision takes two seconds to import and is needed for nothing else. It checks the
        # archives' MD5 sums before it unpacks them.
        from torchvision import datasets

        data_dir = self._data_dir
        _log.info("downloading %s to %s", self._class, data_dir)
        arguments = {"split": "balanced"} if self._class == "EMNIST" else {}
        made = next(
            (folder for folder in reversed([data_dir, *data_dir.parents]) if not folder.exists()),
            None,
        )
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=data_dir) as temporary, _silence():
                getattr(datasets, self._class)(temporary, train=True, download=True, **arguments)
                self._folder.mkdir(parents=True, exist_ok=True)
                downloaded = Path(temporary) / self._folder.relative_to(data_dir)
                for file in downloaded.iterdir():
                    file.replace(self._folder / file.name)
        except (OSError, RuntimeError) as error:
            if made is not None:
                shutil.rmtree(made, ignore_errors=True)
            lines = str(error).strip().splitlines() or [repr(error)]
            raise DataError(self._missing(lines[0].rstrip(":"))) from None

    def _missing(self, reason: str) -> str:
        return (
            f"{self._class} is neither under {str(self._folder)!r} nor could it be "
            f"downloaded ({reason}); name its place with --data-dir, or start with "
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
