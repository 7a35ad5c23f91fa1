"""The training data on the device, and how a batch is read from them.

Images stay on the device as bytes; a batch is gathered, converted and normalised there. All
trials of a study see the same order of images in an epoch.

Shape legend: N images, B batch, D inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from sweep.data import Part, TrainingData
from sweep.models import Program
from sweep.training.precision import Precision

__all__ = ["Batches", "Split"]


@dataclass(frozen=True, slots=True)
class Split:
    """A split on the device: images uint8 (N, D), labels int64 (N,)."""

    images: Tensor
    labels: Tensor

    @classmethod
    def load(cls, part: Part, device: torch.device) -> Split:
        """Copy a split to the device."""
        images = torch.tensor(part.images.reshape(len(part), -1), device=device)
        return cls(images, torch.tensor(part.labels, device=device))

    def __len__(self) -> int:
        return len(self.labels)


class Batches:
    """The training and validation splits on one device.

    Args:
        data: The splits.
        order_seed: Seed of the order of the training images.
        device: Where they are kept.
        precision: What batches are converted to.
    """

    def __init__(
        self, data: TrainingData, order_seed: int, device: torch.device, precision: Precision
    ) -> None:
        self.device = device
        self.precision = precision
        self.num_inputs = data.num_inputs
        self.num_classes = data.num_classes
        self.train = Split.load(data.train, device)
        self.validation = Split.load(data.validation, device)
        self._order_seed = order_seed
        self._mean, self._scale = data.mean, 1.0 / data.std

    def order(self, epoch: int) -> Tensor:
        """The order of the training images in an epoch, int64, shape (N,)."""
        seed = np.random.SeedSequence((self._order_seed, epoch)).generate_state(1)[0]
        order = np.random.default_rng(seed).permutation(len(self.train))
        return torch.from_numpy(order).to(self.device)

    def read(self, split: Split, indices: Tensor, inputs: Tensor, labels: Tensor) -> Program:
        """The calls that fill `inputs` and `labels` with the images of `indices`.

        Args:
            split: Where to read.
            indices: int64, shape (B,).
            inputs: Where normalised pixels go, shape (B, D).
            labels: Where classes go, int64, shape (B,).
        """
        size = inputs.shape
        stored = torch.empty(size, dtype=torch.uint8, device=self.device)
        is_exact = inputs.dtype == self.precision.weights
        # Normalised before rounding: bytes less their mean have more digits than bfloat16.
        pixels = inputs if is_exact else torch.empty_like(inputs, dtype=self.precision.weights)
        program: Program = [
            partial(torch.index_select, split.images, 0, indices, out=stored),
            partial(torch.index_select, split.labels, 0, indices, out=labels),
            partial(pixels.copy_, stored),
            partial(pixels.sub_, self._mean),
            partial(pixels.mul_, self._scale),
        ]
        return program if is_exact else [*program, partial(inputs.copy_, pixels)]
