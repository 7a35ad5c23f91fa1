"""What training minimises, of one network and of many lanes, and the cross-entropy of each example.

Shape legend: K lanes, C classes, B batch.
"""

from __future__ import annotations

from collections.abc import Sequence

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
    return functional.cross_entropy(logits, labels)


class StackedLoss:
    """The same for many lanes at once.

    Args:
        recipes: How each lane is trained.
        like: A tensor of the type and on the device of the logits.
    """

    def __init__(self, recipes: Sequence[Recipe], like: Tensor) -> None:
        pass

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The sum of each lane's losses over the batch, shape (K,).

        Args:
            logits: Shape (K, C, B).
            labels: Classes, int64, shape (B,).
        """
        return cross_entropies(logits, labels).sum(1)


def cross_entropies(logits: Tensor, labels: Tensor) -> Tensor:
    """The cross-entropy of each example in each lane, in nats, shape (K, B).

    Args:
        logits: Shape (K, C, B).
        labels: Classes, int64, shape (B,).
    """
    targets = labels.expand(len(logits), -1)
    return functional.nll_loss(logits.log_softmax(1), targets, reduction="none")
