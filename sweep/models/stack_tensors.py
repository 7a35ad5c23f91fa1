"""The tensors of all lanes of a stack, shaped for the products that use them.

Shape legend: R rows of the first layer (hidden units of all lanes), D inputs, K lanes of a block,
k those of them that have a certain layer, H hidden units with padding, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sweep.models.layout import Block

__all__ = ["BlockTensors", "StackTensors"]


@dataclass(frozen=True, slots=True)
class BlockTensors:
    """What the lanes of one block have beyond the first layer.

    Attributes:
        hidden_weights: Of each further hidden layer, shape (k, H, H).
        hidden_biases: Of each further hidden layer, shape (k, H, 1).
        output_weight: Shape (K, C, H).
        output_bias: Shape (K, C, 1).
    """

    hidden_weights: list[Tensor]
    hidden_biases: list[Tensor]
    output_weight: Tensor
    output_bias: Tensor


class StackTensors:
    """One tensor for each layer of all lanes, zero at first: weights, or their gradients.

    Attributes:
        first_weight: Shape (R, D).
        first_bias: Shape (R, 1).
        blocks: What comes after the first layer, or None for lanes that have nothing after it.
    """

    def __init__(
        self,
        blocks: Sequence[Block],
        *,
        num_inputs: int,
        num_classes: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, device=device, dtype=dtype)

        self._layout = blocks
        num_rows = sum(block.num_lanes * block.width for block in blocks)
        self.first_weight = zeros(num_rows, num_inputs)
        self.first_bias = zeros(num_rows, 1)
        self.blocks: list[BlockTensors | None] = []
        for block in blocks:
            if block.depth == 0:
                self.blocks.append(None)
                continue
            width, counts = block.width, [block.having(n) for n in range(1, block.depth)]
            self.blocks.append(
                BlockTensors(
                    hidden_weights=[zeros(k, width, width) for k in counts],
                    hidden_biases=[zeros(k, width, 1) for k in counts],
                    output_weight=zeros(block.num_lanes, num_classes, width),
                    output_bias=zeros(block.num_lanes, num_classes, 1),
                )
            )

    def tensors(self) -> list[Tensor]:
        """Every tensor, in an order that depends on the blocks alone."""
        found = [self.first_weight, self.first_bias]
        for block in self.blocks:
            if block is not None:
                found += [*block.hidden_weights, *block.hidden_biases]
                found += [block.output_weight, block.output_bias]
        return found

    def lane(self, position: int) -> list[Tensor]:
        """One lane's part, padding included: contiguous views, in the order of its layers."""
        block, tensors, index = self._find(position)
        rows = slice(block.row + index * block.width, block.row + (index + 1) * block.width)
        views = [self.first_weight[rows], self.first_bias[rows]]
        if tensors is not None:
            for layer in range(block.num_hidden[index] - 1):
                views += [tensors.hidden_weights[layer][index], tensors.hidden_biases[layer][index]]
            views += [tensors.output_weight[index], tensors.output_bias[index]]
        return views

    def network(self, position: int) -> list[Tensor]:
        """One lane's part without padding, shaped as `MLP.parameters()` gives it."""
        return self.trim(position, self.lane(position))

    def trim(self, position: int, views: Sequence[Tensor]) -> list[Tensor]:
        """Views of tensors shaped as those of `lane`, as `network` gives them."""
        block, tensors, index = self._find(position)
        if tensors is None:
            return [views[0], views[1][:, 0]]
        units = slice(0, block.layer_sizes[index])
        trimmed = []
        for layer in range(len(views) // 2):
            weight, bias = views[2 * layer], views[2 * layer + 1]
            is_output = layer == len(views) // 2 - 1
            rows = slice(None) if is_output else units
            columns = slice(None) if layer == 0 else units
            trimmed += [weight[rows, columns], bias[rows, 0]]
        return trimmed

    def _find(self, position: int) -> tuple[Block, BlockTensors | None, int]:
        for block, tensors in zip(self._layout, self.blocks, strict=True):
            if position < block.first + block.num_lanes:
                return block, tensors, position - block.first
        raise IndexError(f"the stack has no lane {position}")
