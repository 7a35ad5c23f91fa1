"""The reference multi-layer perceptron.

Shape legend: B batch, D inputs, H hidden units, C classes.
"""

from __future__ import annotations

import torch
from torch import nn

from sweep.definitions import MlpParameters
from sweep.families.activations import ACTIVATIONS
from sweep.records import DataSpec

__all__ = ["MLP"]


class _Dropout(nn.Module):
    """Dropout that draws from torch's global generator.

    A mask is drawn unit by unit, shape (H, B), to be the same as in a stack, where units come
    before examples.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self._keep = 1 - probability

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return inputs
        mask = torch.empty_like(inputs.t(), memory_format=torch.contiguous_format)
        mask.bernoulli_(self._keep)
        return inputs * mask.t() * (1 / self._keep)


class MLP(nn.Module):
    """`num_layers` linear layers; activation and dropout follow each but the last.

    Weights are drawn as `torch.nn.Linear` draws them, from torch's global generator. One layer is
    D → C, softmax regression, where `layer_size`, `activation` and `dropout` have no effect; four
    are D → H → H → H → C.
    """

    def __init__(self, network: MlpParameters, spec: DataSpec) -> None:
        super().__init__()
        sizes = network.layer_sizes(spec)
        layers: list[nn.Module] = []
        for index in range(network.num_layers):
            layers.append(nn.Linear(sizes[index], sizes[index + 1]))
            if index < network.num_layers - 1:
                layers.append(ACTIVATIONS[network.activation]())
                if network.dropout > 0:
                    layers.append(_Dropout(network.dropout))
        self.layers = nn.Sequential(*layers)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits, shape (B, C), from normalised examples, shape (B, *input_shape)."""
        logits: torch.Tensor = self.layers(inputs.flatten(1))
        return logits
