"""The IDX file format of the MNIST family (described at the end of LeCun's MNIST page)."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweep.errors import DataError

__all__ = ["find_idx", "read_idx"]


def find_idx(folder: Path, name: str) -> Path | None:
    """The file `name` or `name.gz` in `folder`, whichever is there."""
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    return None


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, compressed or not.

    Args:
        path: The file.

    Returns:
        Array of uint8 with the shape that the file's header gives.

    Raises:
        DataError: the file cannot be read or is damaged.
    """
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(
            f"{path}: cannot be read: {reason}; delete the file to download it again"
        ) from None
    # Two zero bytes, the type (8: unsigned byte), the number of dimensions, each as big-endian
    # 32-bit number, then the data.
    num_dimensions = raw[3] if len(raw) >= 4 else 0
    start = 4 + 4 * num_dimensions
    if raw[:3] != b"\0\0\x08" or not 1 <= num_dimensions <= 3 or len(raw) < start:
        raise DataError(f"{path}: is not an IDX file of bytes; delete it to download it again")
    shape = tuple(int(n) for n in np.frombuffer(raw, ">u4", num_dimensions, offset=4))
    if len(raw) - start != math.prod(shape):
        raise DataError(
            f"{path}: is damaged: its header promises {math.prod(shape):,} bytes, "
            f"found {len(raw) - start:,}; delete it to download it again"
        )
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)
