"""Small files in the exact layouts of CIFAR and SVHN."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import scipy.io

__all__ = ["cifar_batch", "images_of", "labels_of", "old_pickle", "svhn_file"]


def images_of(size: int) -> np.ndarray:
    """Colour images, uint8, shape (N, 3, 32, 32)."""
    return np.random.default_rng(size).integers(0, 256, (size, 3, 32, 32)).astype(np.uint8)


def labels_of(size: int) -> np.ndarray:
    return np.arange(size) % 10


def cifar_batch(size: int, labels: str = "labels") -> bytes:
    """A file of CIFAR, whose rows hold all of red, then green, then blue."""
    return old_pickle(
        {
            "batch_label": "training batch 1 of 5",
            labels: labels_of(size).tolist(),
            "data": images_of(size).reshape(size, -1),
            "filenames": [f"{index}.png" for index in range(size)],
        }
    )


def old_pickle(value: Any) -> bytes:
    """A pickle as Python 2 wrote it: byte strings, and the names of an older NumPy."""
    return b"\x80\x02" + _old(value) + b"."


def _old(value: Any) -> bytes:
    if isinstance(value, dict):
        items = b"".join(_old(key) + _old(each) for key, each in value.items())
        return b"}(" + items + b"u"
    if isinstance(value, list):
        return b"](" + b"".join(map(_old, value)) + b"e"
    if isinstance(value, np.ndarray):
        return (
            b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85"
            + _old("b") + b"tR(K\x01(" + b"".join(map(_old, value.shape)) + b"t"
            + b"cnumpy\ndtype\n(" + _old("u1") + b"K\x00K\x01tR(K\x03" + _old("|")
            + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
            + b"\x89" + _old(value.astype(np.uint8).tobytes()) + b"tb"
        )  # fmt: skip
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    raw = value if isinstance(value, bytes) else value.encode()
    return b"T" + struct.pack("<i", len(raw)) + raw


def svhn_file(size: int) -> bytes:
    """A file of SVHN: examples come last, and the digit 0 is labelled 10."""
    labels = labels_of(size)
    buffer = io.BytesIO()
    scipy.io.savemat(
        buffer,
        {
            "X": images_of(size).transpose(2, 3, 1, 0),
            "y": np.where(labels == 0, 10, labels).astype(np.uint8)[:, None],
        },
        do_compression=True,
    )
    return buffer.getvalue()
