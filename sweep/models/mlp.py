"""The reference multi-layer perceptron.

Shape legend: B batch, D inputs, H hidden units, C classes.
"""

from __future__ import annotations

import torch
from torch import nn

from sweep.records import TrialConfig

__all__ = ["ACTIVATIONS", "MLP", "build_mlp"]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}


class _Dropout(nn.Module):
    """Dropout whose masks come from a generator of its own.

    A mask is drawn unit by unit, shape (H, B), so that it is the same one when the network is
    trained in a stack, where units come before images.
    """

    def __init__(self, probability: float, generator: torch.Generator | None) -> None:
        super().__init__()
        self._keep = 1 - probability
        self._generator = generator

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return inputs
        mask = torch.empty_like(inputs.t(), memory_format=torch.contiguous_format)
        mask.bernoulli_(self._keep, generator=self._generator)
        return inputs * mask.t() * (1 / self._keep)


class MLP(nn.Module):
    """`num_layers` linear layers; activation and dropout follow each but the last.

    Weights are drawn as `torch.nn.Linear` draws them, from torch's global generator.

    Example:
        - `num_layers=1`: D → C, softmax regression; `layer_size`, `activation` and `dropout`
          are without effect.
        - `num_layers=2`: D → H → C.
        - `num_layers=4`: D → H → H → H → C.

    Args:
        num_inputs: D.
        num_classes: C.
        num_layers: Linear layers, the output layer included; at least 1.
        layer_size: H.
        activation: A name of `ACTIVATIONS`.
        dropout: Probability of dropping each hidden unit while training.
        generator: Source of the dropout masks, on the device of the network; torch's global one
            if None.
    """

    def __init__(
        self,
        num_inputs: int,
        num_classes: int,
        *,
        num_layers: int,
        layer_size: int,
        activation: str,
        dropout: float,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        sizes = [num_inputs, *[layer_size] * (num_layers - 1), num_classes]
        layers: list[nn.Module] = []
        for index in range(num_layers):
            layers.append(nn.Linear(sizes[index], sizes[index + 1]))
            if index < num_layers - 1:
                layers.append(ACTIVATIONS[activation]())
                if dropout > 0:
                    layers.append(_Dropout(dropout, generator))
        self.layers = nn.Sequential(*layers)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Compute the logits.

        Args:
            inputs: Normalised pixels, float, shape (B, D).

        Returns:
            Logits, float, shape (B, C).
        """
        logits: torch.Tensor = self.layers(inputs)
        return logits


def build_mlp(
    config: TrialConfig,
    *,
    num_inputs: int,
    num_classes: int,
    generator: torch.Generator | None = None,
) -> MLP:
    """The network that a configuration describes (see `MLP`)."""
    return MLP(
        num_inputs,
        num_classes,
        num_layers=config.num_layers,
        layer_size=config.layer_size,
        activation=config.activation,
        dropout=config.dropout,
        generator=generator,
    )
