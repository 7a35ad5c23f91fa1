"""The multi-layer perceptron: its hyperparameters and its costs."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

from sweep.definitions.parameters import (
    Cost,
    FamilyDefinition,
    Params,
    choice,
    declared,
    integer,
    real,
    view,
)
from sweep.records import DataSpec

__all__ = ["ACTIVATIONS", "MLP", "MlpParameters"]


ACTIVATIONS = ("relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu", "elu", "mish")
"""Names of the functions that every family of ours may use after a layer."""


@dataclass(frozen=True, slots=True)
class MlpParameters:
    """Hyperparameters of the multi-layer perceptron."""

    num_layers: int = integer(
        "Linear layers, the output layer included: 1 is softmax regression, "
        "4 is three hidden layers and the output.",
        3,
        minimum=1,
        maximum=64,
    )
    layer_size: int = integer(
        "Units of each hidden layer; without effect when num_layers is 1.",
        256,
        minimum=1,
        maximum=16384,
    )
    activation: str = choice("Function after each hidden layer.", "relu", ACTIVATIONS)
    dropout: float = real(
        "Probability of dropping each hidden unit in a training step.",
        0.0,
        minimum=0.0,
        maximum=0.99,
    )
    width_shape: str = choice(
        "Widths of the hidden layers: all of layer_size, or a pyramid in which each has half the "
        "units of the one before it, but no fewer than there are classes.",
        "constant",
        ("constant", "pyramid"),
    )
    normalization: str = choice(
        "Between each hidden layer and its activation: batch (Ioffe and Szegedy 2015) or layer "
        "normalisation (Ba et al. 2016).",
        "none",
        ("none", "batch", "layer"),
    )
    initialization: str = choice(
        "Initial weights: PyTorch's default, or drawn with the gain that suits the activation, and "
        "biases of 0: kaiming (He et al. 2015), xavier (Glorot and Bengio 2010), orthogonal (Saxe "
        "et al. 2014).",
        "default",
        ("default", "kaiming", "xavier", "orthogonal"),
    )

    def hidden_sizes(self, num_classes: int) -> list[int]:
        """The units of each hidden layer."""
        num_hidden = self.num_layers - 1
        if self.width_shape == "constant":
            return [self.layer_size] * num_hidden
        least = min(self.layer_size, num_classes)
        return [max(self.layer_size >> index, least) for index in range(num_hidden)]

    def layer_sizes(self, spec: DataSpec) -> list[int]:
        """The number of inputs, then the units of each layer."""
        return [spec.num_inputs, *self.hidden_sizes(spec.num_classes), spec.num_classes]

    def has_bias(self, layer: int) -> bool:
        """Whether linear layer `layer`, 1 to num_layers, has a bias.

        Batch normalisation would take it out again, and its gradient would be nothing but rounding,
        of which Adam makes steps.
        """
        return self.normalization != "batch" or layer == self.num_layers


def _idle(params: Params) -> frozenset[str]:
    """Softmax regression has no hidden layer; one hidden layer is no pyramid."""
    match params.get("num_layers"):
        case 1:
            return frozenset(declared(MlpParameters)) - {"num_layers", "initialization"}
        case 2:
            return frozenset({"width_shape"})
        case _:
            return frozenset()


def _cost(params: Params, spec: DataSpec) -> Cost:
    network = view(MlpParameters, params)
    sizes = network.layer_sizes(spec)
    products = sum(a * b for a, b in itertools.pairwise(sizes))
    is_normalized = network.normalization != "none"
    # Padding in a stack adds at most an eighth to a layer: see `sweep.families.mlp.layout`.
    padded = replace(network, layer_size=math.ceil(network.layer_size * 9 / 8)).layer_sizes(spec)
    hidden, classes = sum(padded[1:-1]), padded[-1]
    biases = sum(units for layer, units in enumerate(sizes) if layer and network.has_bias(layer))
    return Cost(
        num_parameters=products + biases + 2 * is_normalized * sum(sizes[1:-1]),
        # Two per weight forward and four backward, but inputs need no gradient.
        example_flops=6 * products - 2 * sizes[0] * sizes[1],
        # Normalisation has a weight and a bias for each unit, and may have a mean and a variance. A
        # stack keeps zeros where layers have no biases.
        stacked_parameters=sum((a + 1) * b for a, b in itertools.pairwise(padded))
        + 4 * is_normalized * hidden,
        # Outputs before and after activation; with dropout also masks and masked outputs; with
        # normalisation also what it puts out.
        training_numbers=hidden * (2 + 2 * (network.dropout > 0) + 2 * is_normalized) + classes * 8,
        inference_numbers=hidden * (1 + is_normalized) + classes * 6,
    )


MLP = FamilyDefinition(
    name="mlp",
    parameters=declared(MlpParameters),
    idle=_idle,
    cost=_cost,
    stack_key=lambda params: (
        params["layer_size"],
        params["width_shape"],
        params["normalization"],
    ),
)
