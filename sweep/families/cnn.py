"""The convolutional network.

Shape legend: B batch, C classes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch
from torch import nn

from sweep.definitions import CnnParameters, Params, view
from sweep.families.activations import ACTIVATIONS
from sweep.records import DataSpec

__all__ = ["CNN", "FAMILY"]

_INFERENCE_BATCH = 128
"""More examples at once take more memory and are no faster."""


class CNN(nn.Module):
    """Blocks of convolution, pooling, normalisation and activation; then linear layers.

    Pooling comes before normalisation and activation, which then have a quarter of the work.
    Weights are drawn as PyTorch's modules draw them.
    """

    def __init__(self, network: CnnParameters, spec: DataSpec) -> None:
        super().__init__()
        self.layers = nn.Sequential(*_blocks(network, spec), nn.Flatten(), *_head(network, spec))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits, shape (B, C), from normalised images, shape (B, *input_shape)."""
        # With the channels last in memory, a step on a CPU takes two thirds of the time. What
        # convolutions return lies in memory as what they get.
        inputs = inputs.clone(memory_format=torch.channels_last)
        if self.training:
            logits: torch.Tensor = self.layers(inputs)
            return logits
        return torch.cat([self.layers(part) for part in inputs.split(_INFERENCE_BATCH)])


def _blocks(network: CnnParameters, spec: DataSpec) -> Iterator[nn.Module]:
    for block in network.blocks(spec):
        has_stride = block.has_pooling and network.pooling == "stride"
        yield nn.Conv2d(
            block.num_inputs,
            block.num_outputs,
            network.kernel_size,
            stride=2 if has_stride else 1,
            padding=network.kernel_size // 2,
            bias=network.normalization == "none",
        )
        if block.has_pooling and not has_stride:
            yield nn.MaxPool2d(2) if network.pooling == "max" else nn.AvgPool2d(2)
        if network.normalization == "batch":
            yield nn.BatchNorm2d(block.num_outputs)
        elif network.normalization == "layer":
            yield nn.GroupNorm(1, block.num_outputs)
        yield ACTIVATIONS[network.activation]()


def _head(network: CnnParameters, spec: DataSpec) -> Iterator[nn.Module]:
    for index, sizes in enumerate(itertools.pairwise(network.head_sizes(spec))):
        if index > 0:
            yield ACTIVATIONS[network.activation]()
        if network.dropout > 0:
            yield nn.Dropout(network.dropout)
        yield nn.Linear(*sizes)


class _Cnn:
    """The family (see `sweep.families.Family`), whose networks are trained one by one."""

    def build(self, params: Params, spec: DataSpec) -> CNN:
        return CNN(view(CnnParameters, params), spec)


FAMILY = _Cnn()
