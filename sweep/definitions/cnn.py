"""The convolutional network: its hyperparameters and its costs."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from sweep.definitions.mlp import ACTIVATIONS
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

__all__ = ["CNN", "Block", "CnnParameters"]


@dataclass(frozen=True, slots=True)
class Block:
    """One block: its channels, and the pixels of each channel."""

    num_inputs: int
    num_outputs: int
    num_convolved: int  # after the convolution
    num_pooled: int  # after the pooling
    has_pooling: bool


@dataclass(frozen=True, slots=True)
class CnnParameters:
    """Hyperparameters of the convolutional network."""

    num_blocks: int = integer(
        "Blocks of a convolution, pooling, normalization and activation. Pooling halves the image "
        "as long as no side falls below 2 pixels; later blocks leave it as it is.",
        3,
        minimum=1,
        maximum=16,
    )
    channels: int = integer(
        "Channels of the first block; they double after each pooling.",
        16,
        minimum=1,
        maximum=512,
    )
    kernel_size: int = integer(
        "Side of each convolution's kernel in pixels. Images are padded by half of it, so that an "
        "odd one keeps their size; an even one adds a pixel.",
        3,
        minimum=2,
        maximum=15,
    )
    normalization: str = choice(
        "In each block: batch (Ioffe and Szegedy 2015) or layer normalisation over all channels "
        "and pixels of an image (Ba et al. 2016).",
        "batch",
        ("none", "batch", "layer"),
    )
    pooling: str = choice(
        "How images are halved: the maximum or average of 2 by 2 pixels, or a convolution of "
        "stride 2 (Springenberg et al. 2015), which takes less than half the time.",
        "max",
        ("max", "average", "stride"),
    )
    head_size: int = integer(
        "Units of a hidden layer between the last block and the output layer; 0 is none.",
        0,
        minimum=0,
        maximum=16384,
    )
    activation: str = choice(
        "Function in each block and after the hidden layer.", "relu", ACTIVATIONS
    )
    dropout: float = real(
        "Probability of dropping each input of the hidden and of the output layer in a training "
        "step (Srivastava et al. 2014).",
        0.0,
        minimum=0.0,
        maximum=0.99,
    )

    def blocks(self, spec: DataSpec) -> list[Block]:
        """The blocks of the network for images like these."""
        num_inputs, *sides = spec.input_shape
        num_outputs = self.channels
        found = []
        for _ in range(self.num_blocks):
            # A kernel of even size has one more place than pixels.
            places = [side + 1 - self.kernel_size % 2 for side in sides]
            has_pooling = min(places) >= 4
            sides = [side // 2 for side in places] if has_pooling else places
            if has_pooling and self.pooling == "stride":
                places = sides = [(side + 1) // 2 for side in places]
            pixels = math.prod(places), math.prod(sides)
            found.append(Block(num_inputs, num_outputs, *pixels, has_pooling))
            num_inputs = num_outputs
            num_outputs *= 1 + has_pooling
        return found

    def head_sizes(self, spec: DataSpec) -> list[int]:
        """The inputs of the first linear layer, then the units of each."""
        last = self.blocks(spec)[-1]
        hidden = [self.head_size] if self.head_size else []
        return [last.num_outputs * last.num_pooled, *hidden, spec.num_classes]


def _cost(params: Params, spec: DataSpec) -> Cost:
    network = view(CnnParameters, params)
    blocks, sizes = network.blocks(spec), network.head_sizes(spec)
    weights = [network.kernel_size**2 * each.num_inputs * each.num_outputs for each in blocks]
    # Per channel a bias, or the factor and the summand of the normalisation.
    shifts = sum(each.num_outputs for each in blocks) * (
        1 if network.normalization == "none" else 2
    )
    linear = sum(a * b for a, b in itertools.pairwise(sizes))
    num_parameters = sum(weights) + shifts + linear + sum(sizes[1:])
    products = [w * each.num_convolved for w, each in zip(weights, blocks, strict=True)]
    convolved = [each.num_outputs * each.num_convolved for each in blocks]
    pooled = sum(each.num_outputs * each.num_pooled for each in blocks)
    return Cost(
        num_parameters=num_parameters,
        # Two per weight and place forward and four backward, but images need no gradient.
        example_flops=6 * (sum(products) + linear) - 2 * products[0],
        stacked_parameters=num_parameters,
        # Outputs of convolutions, of pooling with the places of the maxima (int64), of
        # normalisation and of activation; gradients of the largest; images twice; the head.
        training_numbers=(
            sum(convolved) + 5 * pooled + 2 * max(convolved) + 2 * spec.num_inputs
            + 4 * sum(sizes) + 8 * spec.num_classes
        ),
        inference_numbers=max(convolved) + pooled + 2 * spec.num_inputs + sum(sizes),
    )  # fmt: skip


CNN = FamilyDefinition(
    name="cnn",
    parameters=declared(CnnParameters),
    idle=lambda _: frozenset(),
    cost=_cost,
    stack_key=None,
    needs="image",
)
