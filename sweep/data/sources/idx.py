"""The IDX file format of the MNIST family (described at the end of LeCun's MNIST page)."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from sweep.errors import DataError

__all__ = ["MAX_BYTES", "find_idx", "read_idx"]

MAX_BYTES = 2**28  # three times as much as the largest file of the family


def find_idx(folder: Path, name: str) -> Path | None:
    """The file `name` or `name.gz` in `folder`, whichever is there."""
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    return None


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, compressed or not.

    No more is read than the header promises, so that a small archive cannot fill the memory.

    Args:
        path: The file.

    Returns:
        Array of uint8 with the shape that the file's header gives.

    Raises:
        DataError: the file cannot be read or is damaged.
    """
    try:
        with _open(path) as file:
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


def _open(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _read_shape(path: Path, file: IO[bytes]) -> tuple[int, ...]:
    """The shape that a file's header gives.

    The header is two zero bytes, the type (8: unsigned byte), the number of dimensions, and each
    of them as a big-endian 32-bit number. The data follow.
    """
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
