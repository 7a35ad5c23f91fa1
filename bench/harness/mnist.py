"""MNIST in the form that torchvision reads."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sweep.data import load_training_data
from sweep.records import DataSettings


@contextmanager
def unpacked_mnist(data_dir: Path) -> Iterator[str]:
    """A temporary folder with MNIST's files unpacked.

    Args:
        data_dir: Folder of local data sets, packed or not; downloads go there.

    Raises:
        DataError: the data set cannot be downloaded or is damaged.
    """
    load_training_data(DataSettings("builtin", "mnist", str(data_dir)))
    with tempfile.TemporaryDirectory(prefix="mnist-") as folder:
        target = Path(folder) / "MNIST" / "raw"
        target.mkdir(parents=True)
        for file in (data_dir / "MNIST" / "raw").iterdir():
            packed = file.suffix == ".gz"
            content = gzip.decompress(file.read_bytes()) if packed else file.read_bytes()
            (target / (file.stem if packed else file.name)).write_bytes(content)
        yield folder
