"""MNIST, or made-up images in its files where it is not at hand: nothing is downloaded."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweep.data.sources.mnist_family import find_idx

__all__ = ["find_or_make"]

_COUNTS = {"train": 60_000, "t10k": 10_000}
_SIDE = 28
_NUM_CLASSES = 10


def find_or_make(data_dir: Path, made_up: Path) -> tuple[Path, str]:
    """The folder with `MNIST/raw/`, and what its images are, in words."""
    names = [f"{part}-{kind}" for part in _COUNTS for kind in ("images-idx3", "labels-idx1")]
    if all(find_idx(data_dir / "MNIST" / "raw", f"{name}-ubyte") for name in names):
        return data_dir, "MNIST"
    raw = made_up / "MNIST" / "raw"
    if not (raw / "t10k-labels-idx1-ubyte").exists():  # the last to be written
        raw.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(0)
        patterns = rng.integers(0, 256, (_NUM_CLASSES, _SIDE, _SIDE), np.uint8)
        for part, count in _COUNTS.items():
            labels = np.arange(count, dtype=np.uint8) % _NUM_CLASSES
            noise = rng.integers(0, 128, (count, _SIDE, _SIDE), np.uint8)
            _write(raw / f"{part}-images-idx3-ubyte", patterns[labels] // 2 + noise)
            _write(raw / f"{part}-labels-idx1-ubyte", labels)
    return made_up, "made-up images of MNIST's shape, since MNIST is not here"


def _write(path: Path, values: NDArray[np.uint8]) -> None:
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
    path.write_bytes(header + values.tobytes())
