"""MNIST and its successors: IDX files in torchvision's layout, which downloads missing ones.

The files are read without torchvision, because the driver must not import torch.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from sweep.data.parts import Part, Pool
from sweep.data.sources.downloads import (
    MAX_BYTES,
    PARTS,
    PartName,
    built_in_part,
    download,
    missing,
)
from sweep.definitions import DATASETS
from sweep.errors import DataError
from sweep.records import DataSettings

__all__ = ["MnistFamily", "find_idx", "read_idx"]


class MnistFamily:
    """Grey images in IDX files, a `sweep.data.sources.DataSource`.

    `torchvision_class` downloads the data set and names its folder. Of EMNIST, `split` is one of
    several in that folder; its images have rows and columns swapped. `first_label` is that of the
    first class.
    """

    def __init__(
        self,
        settings: DataSettings,
        torchvision_class: str,
        *,
        split: str = "",
        first_label: int = 0,
    ) -> None:
        self._spec = DATASETS[settings.name]
        self._data_dir = Path(settings.path)
        self._class = torchvision_class
        self._folder = self._data_dir / torchvision_class / "raw"
        self._split = split
        self._first_label = first_label

    def is_here(self) -> bool:
        """Whether all four files are in the data directory."""
        return all(find_idx(self._folder, name) for part in PARTS for name in self._names(part))

    def pool(self) -> Pool:
        """What is there for training and validation."""
        return Pool(self._read("pool"), self._spec.class_names, self._spec.num_test)

    def test(self) -> Part:
        """The test part."""
        return self._read("test")

    def _names(self, part: PartName) -> tuple[str, str]:
        """The file of images and that of labels."""
        if self._split:
            stem = f"emnist-{self._split}-{'test' if part == 'test' else 'train'}"
        else:
            stem = "t10k" if part == "test" else "train"
        return f"{stem}-images-idx3-ubyte", f"{stem}-labels-idx1-ubyte"

    def _read(self, part: PartName) -> Part:
        names = self._names(part)
        if any(find_idx(self._folder, name) is None for name in names):
            download(self._class, self._data_dir, self._folder, self._fetch)
        image_path, label_path = (find_idx(self._folder, name) for name in names)
        if image_path is None or label_path is None:
            raise missing(self._class, self._folder, f"no {names[0]} after downloading")
        found = built_in_part(
            self._spec,
            part,
            read_idx(image_path)[:, None],
            read_idx(label_path),
            image_path=image_path,
            label_path=label_path,
            first_label=self._first_label,
        )
        if not self._split:
            return found
        return Part(np.ascontiguousarray(found.inputs.swapaxes(-1, -2)), found.labels)

    def _fetch(self, folder: str) -> None:
        # torchvision takes two seconds to import. It checks the archives' MD5 sums.
        from torchvision import datasets

        arguments = {"split": self._split} if self._split else {}
        getattr(datasets, self._class)(folder, train=True, download=True, **arguments)


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
