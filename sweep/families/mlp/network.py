"""The reference multi-layer perceptron.

Shape legend: B batch, D inputs, H hidden units, C classes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import nn

from sweep.definitions import MlpParameters
from sweep.families.activations import ACTIVATIONS
from sweep.families.mlp.dropout import draw_numbers, scaled_masks, threshold
from sweep.records import DataSpec

__all__ = ["MLP", "activation_gain"]

_NORMALIZATIONS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm1d,
    "layer": nn.LayerNorm,
}

# Where PyTorch knows no gain: 1 / sqrt(E[f(z)²]), z standard normal. It keeps the second moment
# of the sums from layer to layer, as He et al. (2015) ask, who find sqrt(2) for relu.
_GAINS = {"gelu": 1.53353, "silu": 1.67653, "elu": 1.24520, "mish": 1.48685}


def activation_gain(activation: str) -> float:
    """The factor by which initial weights make up for what an activation loses."""
    return _GAINS.get(activation) or nn.init.calculate_gain(activation)  # type: ignore[arg-type]


class _Dropout(nn.Module):
    """Dropout that draws from torch's global generator.

    A mask is drawn unit by unit, shape (H, B), to be the same as in a stack, where units come
    before examples.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self._threshold = threshold(probability)
        self._scale = 1 / (1 - probability)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return inputs
        units_first = inputs.t()
        (numbers,) = draw_numbers(units_first.unsqueeze(0), [(0, len(units_first), None)])
        # As in a stack, bfloat16 rounds what is scaled and not the scale.
        dtype = torch.promote_types(inputs.dtype, torch.float32)
        mask = scaled_masks(numbers.t(), self._threshold, self._scale, dtype)
        return (inputs * mask).to(inputs.dtype)


class MLP(nn.Module):
    """`num_layers` linear layers; normalisation, activation and dropout follow each but the last.

    Weights are drawn from torch's global generator. One layer is D → C, softmax regression, where
    only `initialization` has an effect; four are D → H → H → H → C.
    """

    def __init__(self, network: MlpParameters, spec: DataSpec) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for index, sizes in enumerate(itertools.pairwise(network.layer_sizes(spec)), 1):
            is_hidden = index < network.num_layers
            linear = nn.Linear(*sizes, bias=network.has_bias(index))
            if network.initialization != "default":
                gain = activation_gain(network.activation) if is_hidden else 1.0
                _initialize(linear, network.initialization, gain)
            layers.append(linear)
            if is_hidden:
                if network.normalization != "none":
                    layers.append(_NORMALIZATIONS[network.normalization](linear.out_features))
                layers.append(ACTIVATIONS[network.activation]())
                if network.dropout > 0:
                    layers.append(_Dropout(network.dropout))
        self.layers = nn.Sequential(*layers)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits, shape (B, C), from normalised examples, shape (B, *input_shape)."""
        logits: torch.Tensor = self.layers(inputs.flatten(1))
        return logits


def _initialize(linear: nn.Linear, name: str, gain: float) -> None:
    if name == "kaiming":
        nn.init.normal_(linear.weight, std=gain / math.sqrt(linear.in_features))
    elif name == "xavier":
        nn.init.xavier_uniform_(linear.weight, gain)
    else:
        nn.init.orthogonal_(linear.weight, gain)
    if linear.bias is not None:
        nn.init.zeros_(linear.bias)
