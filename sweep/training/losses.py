"""Cross-entropy of many lanes, with its gradient.

Shape legend: K lanes, C classes, B batch.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from sweep.models import Program, Workspace

__all__ = ["cross_entropy", "cross_entropy_gradients"]


def cross_entropy(space: Workspace, dtype: torch.dtype, losses: Tensor) -> tuple[Program, Tensor]:
    """The calls from logits to the sum of each lane's losses over the batch.

    Args:
        space: Holds logits, shape (K, C, B), and labels.
        dtype: What is computed in, whatever the logits are.
        losses: Where the sums go, in nats, shape (K,).

    Returns:
        The calls, and the logarithms of the probabilities that they leave, shape (K, C, B).
    """
    logits, labels = space.logits, space.labels
    logarithms = torch.empty_like(logits, dtype=dtype)
    program: Program = []
    exact = logits
    if logits.dtype != dtype:
        exact = torch.empty_like(logarithms)
        program.append(partial(exact.copy_, logits))
    right = labels.view(1, 1, -1).expand(len(logits), 1, -1)
    chosen = torch.empty_like(logarithms[:, :1])
    program += [
        partial(torch.ops.aten._log_softmax.out, exact, 1, False, out=logarithms),
        partial(torch.gather, logarithms, 1, right, out=chosen),
        partial(torch.sum, chosen, (1, 2), out=losses),
        losses.neg_,
    ]
    return program, logarithms


def cross_entropy_gradients(space: Workspace, logarithms: Tensor) -> Program:
    """The calls that follow `cross_entropy`: gradients of each lane's mean loss.

    Args:
        space: Its `logit_gradients` are written.
        logarithms: What `cross_entropy` left; used up.
    """
    labels = space.labels
    right = labels.view(1, 1, -1).expand(len(logarithms), 1, -1)
    ones = torch.ones_like(logarithms[:, :1]).neg_()
    program: Program = [
        logarithms.exp_,
        partial(logarithms.scatter_add_, 1, right, ones),
    ]
    gradients = space.logit_gradients
    if logarithms.dtype == gradients.dtype:
        return [
            *program,
            partial(torch.mul, logarithms, 1 / len(labels), out=gradients),
        ]
    return [
        *program,
        partial(logarithms.mul_, 1 / len(labels)),
        partial(gradients.copy_, logarithms),
    ]
