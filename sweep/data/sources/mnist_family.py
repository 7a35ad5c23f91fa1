"""MNIST and its successors: IDX files in torchvision's layout, which downloads missing ones.

The files are read without torchvision, because the driver must not import torch.
"""

from __future__ import annotations

import contextlib
import gzip
import logging
import math
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal

import numpy as np
from numpy.typing import NDArray

from sweep.data.parts import Part, Pool
from sweep.definitions import DATASETS
from sweep.errors import DataError
from sweep.records import DataSettings

__all__ = ["MAX_BYTES", "MnistFamily", "find_idx", "read_idx"]

MAX_BYTES = 2**28  # three times the largest file of the family

_log = logging.getLogger(__name__)


class MnistFamily:
    """Grey images in IDX files, a `sweep.data.sources.DataSource`.

    `torchvision_class` downloads the data set and names its folder. `prefix` starts every file name
    and is followed by `test` for the test files. `transposed` files have rows and columns swapped.
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
        self._data_dir = Path(settings.path)
        self._class = torchvision_class
        self._folder = self._data_dir / torchvision_class / "raw"
        self._stems = {"pool": f"{prefix}train", "test": f"{prefix}{test}"}
        self._transposed = transposed

    def is_here(self) -> bool:
        """Whether all four files are in the data directory."""
        return all(
            find_idx(self._folder, n) for part in ("pool", "test") for n in self._names(part)
        )

    def pool(self) -> Pool:
        """What is there for training and validation."""
        return Pool(self._read("pool"), self._spec.class_names, self._spec.num_test)

    def test(self) -> Part:
        """The test part."""
        return self._read("test")

    def _names(self, part: str) -> tuple[str, str]:
        """The file of images and that of labels."""
        stem = self._stems[part]
        return f"{stem}-images-idx3-ubyte", f"{stem}-labels-idx1-ubyte"

    def _read(self, part: Literal["pool", "test"]) -> Part:
        names = self._names(part)
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
        """Download both parts beside their place, then move them: no file is there in part."""
        # torchvision takes two seconds to import. It checks the archives' MD5 sums.
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
    """Keep torchvision's progress bars off the console."""
    with (
        open(os.devnull, "w") as nowhere,  # noqa: PTH123 - a device, not a file
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield


def find_idx(folder: Path, name: str) -> Path | None:
    """The file `name` or `name.gz` in `folder`; None if there is neither."""
    candidates = (folder / name, folder / f"{name}.gz")
    return next((path for path in candidates if path.is_file()), None)


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, compressed or not, in the shape of its header.

    It reads no more than the header promises, so that a small archive cannot fill the memory.
    Raises `DataError` if the file is unreadable or damaged.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            shape = _read_shape(path, file)
            size = math.prod(shape)
            raw = file.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(
            f"{path}: cannot be read: {reason}; delete the file to download it again"
        ) from None
    if len(raw) != size:
        found = f"{len(raw):,}" if len(raw) < size else "more"
        raise DataError(
            f"{path}: is damaged: its header promises {size:,} bytes, found {found}; delete it "
            "to download it again"
        )
    return np.frombuffer(raw, np.uint8).reshape(shape)


def _read_shape(path: Path, file: IO[bytes] | gzip.GzipFile) -> tuple[int, ...]:
    """The shape that a file's header gives."""
    # Two zero bytes, the type (8: unsigned byte), the number of dimensions, and the size of each
    # as a big-endian 32-bit number. The data follow.
    start = file.read(4)
    num_dimensions = start[3] if len(start) == 4 else 0
    sizes = file.read(4 * num_dimensions) if 1 <= num_dimensions <= 3 else b""
    if start[:3] != b"\0\0\x08" or not sizes or len(sizes) < 4 * num_dimensions:
        raise DataError(f"{path}: is not an IDX file of bytes; delete it to download it again")
    shape = tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
    if math.prod(shape) > MAX_BYTES:
        raise DataError(
            f"{path}: is damaged: its header promises {math.prod(shape):,} bytes, more than "
            f"{MAX_BYTES:,}; delete it to download it again"
        )
    return shape
