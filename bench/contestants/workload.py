"""What all contestants train: sizes, optimiser, network, matrix products. No torch here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweep.data.sources.mnist_family import find_idx, read_idx

NUM_IMAGES = 50_000
NUM_INPUTS = 784
NUM_CLASSES = 10
NUM_HIDDEN_LAYERS = 3
BATCH_SIZE = 128
NUM_STEPS = math.ceil(NUM_IMAGES / BATCH_SIZE)
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.01
PIXEL_MEAN = 0.1307
PIXEL_DEVIATION = 0.3081


@dataclass(frozen=True, slots=True)
class Product:
    """`count` products at once, each (rows, inner) by (inner, columns).

    Attributes:
        name: Layer and purpose.
        left_transposed: The left factor is stored as (inner, rows).
        right_transposed: The right factor is stored as (columns, inner).
    """

    name: str
    count: int
    rows: int
    inner: int
    columns: int
    left_transposed: bool = False
    right_transposed: bool = False

    @property
    def flops(self) -> int:
        """Multiplications and additions."""
        return 2 * self.count * self.rows * self.inner * self.columns


def step_products(width: int, lanes: int) -> list[Product]:
    """Every matrix product of one training step of `lanes` networks on one shared batch.

    Weights are stored as (outputs, inputs), as in `torch.nn.Linear`. The first layers of all lanes
    are one product, because they share their input, which needs no gradient.
    """
    products = _layer("first", 1, NUM_INPUTS, lanes * width, input_gradient=False)
    for index in range(1, NUM_HIDDEN_LAYERS):
        products += _layer(f"hidden {index}", lanes, width, width)
    return products + _layer("output", lanes, width, NUM_CLASSES)


def _layer(
    name: str, count: int, inputs: int, outputs: int, *, input_gradient: bool = True
) -> list[Product]:
    batch = BATCH_SIZE
    products = [
        Product(f"{name}: forward", count, batch, inputs, outputs, right_transposed=True),
        Product(f"{name}: weight gradient", count, outputs, batch, inputs, left_transposed=True),
    ]
    if input_gradient:
        products.append(Product(f"{name}: input gradient", count, batch, outputs, inputs))
    return products


def optimizer_bytes(width: int) -> int:
    """Memory traffic of AdamW in one step of one network, in float32.

    It reads weights, gradients and two moments, and writes weights and moments.
    """
    sizes = [NUM_INPUTS, *[width] * NUM_HIDDEN_LAYERS, NUM_CLASSES]
    weights = sum((inputs + 1) * outputs for inputs, outputs in pairwise(sizes))
    return 7 * 4 * weights


def epoch_flops(width: int) -> int:
    """Multiplications and additions in the matrix products of one epoch of one network."""
    return NUM_STEPS * sum(product.flops for product in step_products(width, lanes=1))


def training_arrays(data_dir: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The first images of MNIST's training pool, for libraries that take arrays.

    Returns:
        Normalised pixels, shape (NUM_IMAGES, 784), and labels, shape (NUM_IMAGES,).
    """
    images, labels = (_read(data_dir, f"train-{what}") for what in ("images-idx3", "labels-idx1"))
    pixels = images[:NUM_IMAGES].reshape(NUM_IMAGES, NUM_INPUTS).astype(np.float32)
    pixels = (pixels / 255 - PIXEL_MEAN) / PIXEL_DEVIATION
    return pixels.astype(np.float32), labels[:NUM_IMAGES].astype(np.int64)


def _read(data_dir: str, name: str) -> NDArray[np.uint8]:
    path = find_idx(Path(data_dir) / "MNIST" / "raw", f"{name}-ubyte")
    if path is None:
        raise FileNotFoundError(f"{data_dir}: no MNIST/raw/{name}-ubyte")
    return read_idx(path)
