"""Cross-entropy of many lanes, with its gradient, and how many images they get right.

Shape legend: K lanes, C classes, B batch.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from sweep.models import Program, Workspace

__all__ = ["count_correct", "cross_entropy", "cross_entropy_gradients", "exact_logits"]


def exact_logits(space: Workspace, dtype: torch.dtype) -> tuple[Program, Tensor]:
    """The calls that bring logits to the number format of losses, and what they leave.

    Args:
        space: Holds logits, shape (K, C, B).
        dtype: What losses are computed in.
    """
    if space.logits.dtype == dtype:
        return [], space.logits
    exact = torch.empty_like(space.logits, dtype=dtype)
    return [partial(exact.copy_, space.logits)], exact


def cross_entropy(logits: Tensor, labels: Tensor, losses: Tensor) -> tuple[Program, Tensor]:
    """The calls from logits to the sum of each lane's losses over the batch.

    Args:
        logits: Shape (K, C, B).
        labels: Classes, int64, shape (B,).
        losses: Where the sums go, in nats, shape (K,).

    Returns:
        The calls, and the logarithms of the probabilities that they leave, shape (K, C, B).
    """
    logarithms = torch.empty_like(logits)
    right = labels.view(1, 1, -1).expand(len(logits), 1, -1)
    chosen = torch.empty_like(logarithms[:, :1])
    program: Program = [
        partial(torch.ops.aten._log_softmax.out, logits, 1, False, out=logarithms),
        partial(torch.gather, logarithms, 1, right, out=chosen),
        partial(torch.sum, chosen, (1, 2), out=losses),
        losses.neg_,
    ]
    return program, logarithms


def count_correct(logits: Tensor, labels: Tensor, counts: Tensor) -> Program:
    """The calls from logits to how many images of the batch each lane gets right.

    The prediction is the first of the largest logits, as `argmax` has it. On a CPU `argmax` over
    any but the last dimension takes 690 microseconds for 16 lanes of 128 images, the same by
    largest values 20: each class that has the largest logit is given its distance from the end,
    of which the largest is that of the first.

    Args:
        logits: Shape (K, C, B).
        labels: Classes, int64, shape (B,).
        counts: Where the numbers go, int64, shape (K,).
    """
    num_lanes, num_classes, batch_size = logits.shape
    correct = torch.empty(num_lanes, batch_size, dtype=torch.bool, device=logits.device)
    if logits.is_cuda:
        found = torch.empty_like(correct, dtype=torch.int64)
        wanted = labels
        program: Program = [partial(torch.argmax, logits, 1, out=found)]
    else:
        found = torch.empty_like(correct, dtype=logits.dtype)
        wanted = torch.empty_like(labels, dtype=logits.dtype)
        largest = torch.empty_like(logits[:, :1])
        distances = torch.empty_like(logits)
        from_the_end = torch.arange(num_classes, 0, -1, dtype=logits.dtype).view(1, -1, 1)
        program = [
            partial(torch.amax, logits, 1, keepdim=True, out=largest),
            partial(torch.eq, logits, largest, out=distances),
            partial(distances.mul_, from_the_end),
            partial(torch.amax, distances, 1, out=found),
            partial(torch.sub, num_classes, labels, out=wanted),
        ]
    return [
        *program,
        partial(torch.eq, found, wanted, out=correct),
        partial(torch.sum, correct, 1, out=counts),
    ]


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
