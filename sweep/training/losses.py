"""What training minimises, of one network and of many lanes, and the cross-entropy of each example.

Shape legend: K lanes, C classes, B batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from sweep.definitions import Recipe

__all__ = ["StackedLoss", "cross_entropies", "training_loss"]


def training_loss(logits: Tensor, labels: Tensor, recipe: Recipe) -> Tensor:
    """The mean loss of a batch, in nats, a scalar.

    Args:
        logits: Shape (B, C).
        labels: Classes, int64, shape (B,).
        recipe: How the network is trained.
    """
    return functional.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)


class StackedLoss:
    """The same for many lanes at once.

    Args:
        recipes: How each lane is trained.
        like: A tensor of the type and on the device of the logits.
    """

    def __init__(self, recipes: Sequence[Recipe], like: Tensor) -> None:
        smoothing = [recipe.label_smoothing for recipe in recipes]
        self._smoothing = like.new_tensor(smoothing).view(-1, 1) if any(smoothing) else None

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The sum of each lane's losses over the batch, shape (K,).

        Args:
            logits: Shape (K, C, B).
            labels: Classes, int64, shape (B,).
        """
        losses = cross_entropies(logits, labels)
        if self._smoothing is not None:
            of_all_classes = -logits.log_softmax(1).mean(1)
            losses = torch.lerp(losses, of_all_classes, self._smoothing)
        return losses.sum(1)


def cross_entropies(logits: Tensor, labels: Tensor) -> Tensor:
    """The cross-entropy of each example in each lane, in nats, shape (K, B).

    Args:
        logits: Shape (K, C, B).
        labels: Classes, int64, shape (B,).
    """
    targets = labels.expand(len(logits), -1)
    return functional.nll_loss(logits.log_softmax(1), targets, reduction="none")
