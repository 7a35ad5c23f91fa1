"""The training data on the device. Batches are gathered, converted and normalised there.

Trials whose configurations name the same order see the same batches in an epoch.

Shape legend: N examples, B batch, K lanes, D numbers of one example, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sweep.data import Part, TrainingData
from sweep.definitions import Recipe
from sweep.training.augmentation import Augmentation
from sweep.training.hardware import Precision

__all__ = ["Batches", "Split"]


@dataclass(frozen=True, slots=True)
class Split:
    """A split on the device: inputs uint8 or float32 (N, D), labels int64 (N,)."""

    inputs: Tensor
    labels: Tensor

    @classmethod
    def load(cls, part: Part, device: torch.device) -> Split:
        """Copy a split to the device."""
        inputs = torch.tensor(part.inputs.reshape(len(part), -1), device=device)
        return cls(inputs, torch.tensor(part.labels, device=device))

    def __len__(self) -> int:
        return len(self.labels)


class Batches:
    """The training and validation splits on one device.

    `order_seed` fixes the orders of the training examples; `fingerprint` is the SHA-256 of the
    training pool and its split.
    """

    def __init__(
        self, data: TrainingData, order_seed: int, device: torch.device, precision: Precision
    ) -> None:
        self.device = device
        self.precision = precision
        self.spec = data.spec
        self.fingerprint = data.fingerprint
        self.train = Split.load(data.train, device)
        self.validation = Split.load(data.validation, device)
        self._order_seed = order_seed
        self._mean = torch.tensor(data.mean, dtype=precision.weights, device=device)
        self._scale = torch.tensor(1.0 / data.std, dtype=precision.weights, device=device)

    def class_weights(self, kind: str) -> Tensor | None:
        """The weight of each class in the training loss, shape (C,); None if all are equal.

        `kind` is the recipe's. `balanced` weights are N / (C n), for n of the N training examples
        in the class; a class without any has weight 0.
        """
        if kind == "none":
            return None
        num_classes = self.spec.num_classes
        counts = torch.bincount(self.train.labels, minlength=num_classes)
        weights = len(self.train) / (num_classes * counts.clamp(min=1))
        return torch.where(counts > 0, weights, 0.0).to(self.precision.weights)

    def sizes(self, batch_size: int) -> list[int]:
        """The number of examples in each batch of an epoch, in order.

        The last batch has what is left. A single example joins the batch before it: a batch of one
        has no variance, which batch normalisation divides by.
        """
        num_full, rest = divmod(len(self.train), batch_size)
        sizes = [batch_size] * num_full
        if rest == 1 and sizes:
            sizes[-1] += 1
        elif rest:
            sizes.append(rest)
        return sizes

    def order(self, which: int, epoch: int) -> Tensor:
        """The training examples of an epoch in order, int64, shape (N,).

        `which` is the `order` of a trial's configuration.
        """
        entropy = (self._order_seed, epoch, which)
        seed = np.random.SeedSequence(entropy).generate_state(1)[0]
        order = np.random.default_rng(seed).permutation(len(self.train))
        return torch.from_numpy(order).to(self.device)

    def augmentation(self, recipes: Sequence[Recipe]) -> Augmentation:
        """How lanes with these recipes change the training images."""
        return Augmentation(
            recipes, self.spec, self._order_seed, self.device, self.precision.weights
        )

    def read(
        self, split: Split, rows: Tensor, change: Callable[[Tensor], Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Normalised inputs and classes of the examples in these rows, int64, shape (B,).

        Inputs are in the precision of the weights, shape (B, *input_shape); classes are int64,
        shape (B,). `change` maps raw inputs of that shape to others before they are normalised, and
        may give each lane its own: (K, B, *input_shape).
        """
        shape = self.spec.input_shape
        inputs = split.inputs.index_select(0, rows)
        if change is not None:
            inputs = change(inputs.view(-1, *shape)).flatten(-len(shape))
        # Not in bfloat16: a byte minus the mean has more digits than bfloat16 can hold.
        inputs = inputs.to(self.precision.weights)
        inputs.sub_(self._mean).mul_(self._scale)
        return inputs.unflatten(-1, shape), split.labels.index_select(0, rows)

    def autocast(self) -> AbstractContextManager[object]:
        """Context in which networks compute logits in the precision of the products."""
        products = self.precision.products
        if products == self.precision.weights:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=products)
