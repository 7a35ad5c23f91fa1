"""Normalisation of one layer of the lanes of a block.

Padding has weights and biases of zero, so that it stays zero.

Shape legend: B batch, k lanes, H units with padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["BatchNorm", "LayerNorm", "units_of"]

_EPSILON = 1e-5
_MOMENTUM = 0.1


class BatchNorm:
    """What `torch.nn.BatchNorm1d` does to each lane (Ioffe and Szegedy 2015).

    Attributes:
        parameters: Weight and bias, shape (k, H, 1) both.
        buffers: Each lane's running mean and variance, without padding, and number of batches.
    """

    def __init__(self, sizes: Sequence[int], width: int, like: Tensor) -> None:
        self.parameters = _affine(len(sizes), width, like)
        self._mean, self._variance = like.new_zeros(2, len(sizes) * width)
        self._num_batches = like.new_zeros(len(sizes), dtype=torch.int64)
        self.buffers = [
            [mean[:size], variance[:size], num_batches]
            for size, mean, variance, num_batches in zip(
                sizes,
                self._mean.view(-1, width),
                self._variance.view(-1, width),
                self._num_batches,
                strict=True,
            )
        ]

    def forward(self, sums: Tensor, *, is_training: bool) -> Tensor:
        """The sums, normalised; shape (k, H, B) both.

        Raises:
            ValueError: a batch of one example in training.
        """
        if is_training:
            self._num_batches.add_(1)
        weight, bias = self.parameters
        # One channel for each unit of each lane: the channels of one long example.
        outputs = functional.batch_norm(
            sums.view(1, -1, sums.shape[2]),
            self._mean,
            self._variance,
            weight.view(-1),
            bias.view(-1),
            is_training,
            _MOMENTUM,
            _EPSILON,
        )
        return outputs.view_as(sums)


class LayerNorm:
    """What `torch.nn.LayerNorm` does to each lane (Ba et al. 2016); as `BatchNorm`."""

    def __init__(self, sizes: Sequence[int], width: int, like: Tensor) -> None:
        self.parameters = _affine(len(sizes), width, like)
        self.buffers: list[list[Tensor]] = [[] for _ in sizes]
        self._units = units_of(sizes, width, like)
        self._share = 1 / self._units.sum(1, keepdim=True)

    def forward(self, sums: Tensor, *, is_training: bool) -> Tensor:
        """The sums, normalised; shape (k, H, B) both."""
        weight, bias = self.parameters
        outputs: Tensor = _LayerNormFunction.apply(
            sums.to(weight.dtype), weight, bias, self._units, self._share
        )
        return outputs.to(sums.dtype)


class _LayerNormFunction(torch.autograd.Function):
    """Layer normalisation over units; 1 / `share` is their number without padding.

    The kernel of PyTorch normalises over the last dimension, which is that of examples here, and
    autograd would take twice as long. Without matrix products, which autocast and TF32 round.
    """

    @staticmethod
    def forward(
        ctx: Any, sums: Tensor, weight: Tensor, bias: Tensor, units: Tensor, share: Tensor
    ) -> Tensor:
        mean = sums.sum(1, keepdim=True) * share
        standard = torch.addcmul(sums, units, mean, value=-1)
        outputs = standard * standard
        factor = outputs.sum(1, keepdim=True).mul_(share).add_(_EPSILON).rsqrt_()
        standard *= factor
        ctx.save_for_backward(standard, factor, weight, units, share)
        # Not `addcmul`, which takes four times as long with two factors to broadcast.
        return torch.mul(standard, weight, out=outputs).add_(bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        standard, factor, weight, units, share = ctx.saved_tensors
        product = gradient * standard
        of_weight, of_bias = product.sum(2, keepdim=True), gradient.sum(2, keepdim=True)
        slope = product.mul_(weight).sum(1, keepdim=True).mul_(share)
        of_sums = torch.mul(gradient, weight, out=product)
        mean = of_sums.sum(1, keepdim=True).mul_(share)
        of_sums.addcmul_(units, mean, value=-1).addcmul_(standard, slope, value=-1)
        of_sums *= factor
        return of_sums, of_weight, of_bias, None, None


def units_of(sizes: Sequence[int], width: int, like: Tensor) -> Tensor:
    """1 for each unit of lanes with these sizes, 0 for padding; shape (k, H, 1)."""
    units = torch.arange(width, device=like.device)
    numbers = torch.tensor(sizes, device=like.device)
    return (units < numbers[:, None])[..., None].to(like.dtype)


def _affine(num_lanes: int, width: int, like: Tensor) -> list[Tensor]:
    return [like.new_zeros((num_lanes, width, 1), requires_grad=True) for _ in range(2)]
