"""Many multi-layer perceptrons computed at once, with gradients written out by hand.

Each computation is a program: a list of calls on tensors that never move. It is made once for a
stack and a batch size and then only repeated, so that a step is nothing but kernels, and a GPU can
capture it.

Units come before images in all shapes, so that a lane is one contiguous piece of every tensor.
Padding stays zero: its weights are zero, its activations are zero or, where sigmoid makes a half of
a zero, are set to zero, and so are all its gradients. The equations are those of back-propagation
(Rumelhart, Hinton and Williams, 1986); tests hold them to autograd in float64.

Shape legend: R rows of the first layer, D inputs, B batch, K lanes, k lanes of a block that have
a certain layer, H hidden units with padding, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from sweep.models.layout import Block, plan_blocks
from sweep.models.mlp import MLP
from sweep.models.stack_tensors import BlockTensors, StackTensors
from sweep.records import TrialConfig

__all__ = ["Program", "StackedMLP", "Workspace"]

Program = list[Callable[[], object]]
"""Calls to make in this order; their results lie in the tensors that they write."""

_aten = torch.ops.aten
_SLOPE = nn.LeakyReLU().negative_slope

_FORWARD: dict[str, Callable[[Tensor], object]] = {
    "relu": torch.relu_,
    "leaky_relu": lambda outputs: torch.nn.functional.leaky_relu_(outputs, _SLOPE),
    "sigmoid": torch.sigmoid_,
    "tanh": torch.tanh_,
}

# From the activations' outputs, in place of the gradients. None of them needs the inputs.
_BACKWARD: dict[str, Callable[[Tensor, Tensor], object]] = {
    "relu": lambda gradients, outputs: _aten.threshold_backward.grad_input(
        gradients, outputs, 0, grad_input=gradients
    ),
    "leaky_relu": lambda gradients, outputs: _aten.leaky_relu_backward.grad_input(
        gradients, outputs, _SLOPE, True, grad_input=gradients
    ),
    "sigmoid": lambda gradients, outputs: _aten.sigmoid_backward.grad_input(
        gradients, outputs, grad_input=gradients
    ),
    "tanh": lambda gradients, outputs: _aten.tanh_backward.grad_input(
        gradients, outputs, grad_input=gradients
    ),
}


class Workspace:
    """The tensors that a batch passes through.

    Attributes:
        inputs: Normalised pixels, shape (B, D), in the precision of the products.
        labels: Classes, int64, shape (B,).
        first: The first layer's outputs, shape (R, B).
        first_gradients: Their gradients, once there is a backward program.
        logits: Shape (K, C, B).
        logit_gradients: Shape (K, C, B).
        blocks: The further tensors of each block.
    """

    def __init__(self, network: StackedMLP, batch_size: int) -> None:
        num_rows, num_inputs = network.weights.first_weight.shape
        like = network.product_weights.first_weight
        self.inputs = like.new_empty(batch_size, num_inputs)
        self.labels = torch.empty(batch_size, device=network.device, dtype=torch.int64)
        self.first = like.new_empty(num_rows, batch_size)
        self.first_gradients = like.new_empty(0)
        self.logits = like.new_empty(network.num_lanes, network.num_classes, batch_size)
        self.logit_gradients = torch.empty_like(self.logits)
        self.blocks = [_BlockWorkspace(self, block) for block in network.blocks]

    def add_gradients(self) -> None:
        """Make room for the gradients of the hidden layers' outputs."""
        self.first_gradients = torch.empty_like(self.first)
        for place in self.blocks:
            first = self.first_gradients[place.rows].view_as(place.activations[0])
            place.gradients = [first, *(torch.empty_like(t) for t in place.activations[1:])]


class _BlockWorkspace:
    """The hidden layers' outputs and gradients of one block, each (k, H, B).

    `activations` are what the activation functions gave, `outputs` what the next layer reads: the
    same tensors, or, with dropout, others.
    """

    def __init__(self, workspace: Workspace, block: Block) -> None:
        batch_size = workspace.inputs.shape[0]
        self.rows = block.rows
        first = workspace.first[block.rows].view(block.num_lanes, block.width, batch_size)
        further = [block.having(layer) for layer in range(1, block.depth)]
        self.activations = [
            first,
            *(first.new_empty(k, block.width, batch_size) for k in further),
        ]
        self.gradients: list[Tensor] = []
        self.outputs = self.activations
        self.masks: list[Tensor] = []
        self.logits = workspace.logits[block.lanes]
        self.logit_gradients = workspace.logit_gradients[block.lanes]

    def add_dropout(self) -> None:
        """Make room for masks and for what is left after them."""
        self.outputs = [torch.empty_like(tensor) for tensor in self.activations]
        self.masks = [torch.ones_like(tensor) for tensor in self.activations]


class StackedMLP:
    """The networks of K configurations, as `MLP` computes each of them.

    Args:
        configs: One for each lane, sorted by `stack_order`.
        num_inputs: D.
        num_classes: C.
        device: Where all tensors live.
        dtype: Of weights and gradients.
        product_dtype: Of the matrix products and activations; the weights are copied to it.
    """

    def __init__(
        self,
        configs: Sequence[TrialConfig],
        *,
        num_inputs: int,
        num_classes: int,
        device: torch.device,
        dtype: torch.dtype,
        product_dtype: torch.dtype,
    ) -> None:
        self.device = device
        self.product_dtype = product_dtype
        self.num_lanes = len(configs)
        self.num_classes = num_classes
        self.blocks = plan_blocks(configs, num_classes)

        def tensors(of_dtype: torch.dtype) -> StackTensors:
            return StackTensors(
                self.blocks,
                num_inputs=num_inputs,
                num_classes=num_classes,
                device=device,
                dtype=of_dtype,
            )

        mixed = product_dtype != dtype
        self.weights = tensors(dtype)
        self.gradients = tensors(dtype)
        self.product_weights = tensors(product_dtype) if mixed else self.weights
        self._product_gradients = tensors(product_dtype) if mixed else self.gradients
        self._configs = tuple(configs)
        self._generators: list[torch.Generator | None] = [None] * len(configs)

    def load(self, position: int, network: MLP | Sequence[Tensor]) -> None:
        """Take a lane's weights from a network of the same shape, or from its parameters."""
        parameters = network.parameters() if isinstance(network, MLP) else network
        with torch.no_grad():
            for ours, theirs in zip(self.weights.network(position), parameters, strict=True):
                ours.copy_(theirs)

    def set_dropout(self, position: int, generator: torch.Generator) -> None:
        """Give a lane its source of dropout masks."""
        self._generators[position] = generator

    def copy_weights(self) -> Program:
        """Bring the copies that the products read up to date."""
        if self.product_weights is self.weights:
            return []
        pairs = zip(self.product_weights.tensors(), self.weights.tensors(), strict=True)
        return [partial(copy.copy_, weights) for copy, weights in pairs]

    def forward(self, space: Workspace, *, training: bool) -> Program:
        """From `space.inputs` to `space.logits`; with dropout while training."""
        weights = self.product_weights
        program: Program = [
            partial(
                torch.addmm, weights.first_bias, weights.first_weight, space.inputs.t(),
                out=space.first,
            )
        ]  # fmt: skip
        for block, tensors, place in zip(self.blocks, weights.blocks, space.blocks, strict=True):
            if tensors is None:
                program.append(partial(place.logits.copy_, place.activations[0]))
                continue
            if training and any(c.dropout > 0 for c in self._configs[block.lanes]):
                place.add_dropout()
            program += self._forward_block(block, tensors, place)
        return program

    def _forward_block(
        self, block: Block, tensors: BlockTensors, place: _BlockWorkspace
    ) -> Program:
        program: Program = []
        for layer, outputs in enumerate(place.activations):
            if layer > 0:
                weight, bias = tensors.hidden_weights[layer - 1], tensors.hidden_biases[layer - 1]
                inputs = place.outputs[layer - 1][: block.having(layer)]
                program.append(partial(torch.baddbmm, bias, weight, inputs, out=outputs))
            for activation, lanes in block.runs(layer):
                program.append(partial(_FORWARD[activation], outputs[lanes]))
            for lane in range(block.having(layer)):
                size = block.layer_sizes[lane]
                if block.activations[lane] == "sigmoid" and size < block.width:
                    program.append(outputs[lane, size:].zero_)
            if place.masks:
                program += self._drop(block, place, layer)
            lanes = block.ending(layer)
            if lanes.start < lanes.stop:
                program.append(
                    partial(
                        torch.baddbmm,
                        tensors.output_bias[lanes],
                        tensors.output_weight[lanes],
                        place.outputs[layer][lanes],
                        out=place.logits[lanes],
                    )
                )
        return program

    def _drop(self, block: Block, place: _BlockWorkspace, layer: int) -> Program:
        """Draw each lane's mask from its own generator and apply it."""
        mask, outputs = place.masks[layer], place.outputs[layer]
        program: Program = []
        scale: Program = []
        for lane in range(block.having(layer)):
            config = self._configs[block.first + lane]
            generator = self._generators[block.first + lane]
            if config.dropout > 0:
                units = mask[lane, : config.layer_size]
                keep = 1 - config.dropout
                program.append(partial(units.bernoulli_, keep, generator=generator))
                scale.append(partial(outputs[lane].mul_, 1 / keep))
        return [*program, partial(torch.mul, place.activations[layer], mask, out=outputs), *scale]

    def backward(self, space: Workspace) -> Program:
        """From `space.logit_gradients` to `gradients`, after `forward` with training."""
        space.add_gradients()
        gradients = self._product_gradients
        program: Program = []
        for block, place, ours, theirs in zip(
            self.blocks, space.blocks, self.product_weights.blocks, gradients.blocks, strict=True
        ):
            if ours is None or theirs is None:
                program.append(partial(place.gradients[0].copy_, place.logit_gradients))
            else:
                program += self._backward_block(block, place, ours, theirs)
        program.append(
            partial(torch.mm, space.first_gradients, space.inputs, out=gradients.first_weight)
        )
        program.append(_sum_images(space.first_gradients, gradients.first_bias))
        if gradients is not self.gradients:
            pairs = zip(self.gradients.tensors(), gradients.tensors(), strict=True)
            program += [partial(copy.copy_, gradient) for copy, gradient in pairs]
        return program

    def _backward_block(
        self, block: Block, place: _BlockWorkspace, weights: BlockTensors, gradients: BlockTensors
    ) -> Program:
        program: Program = [_sum_images(place.logit_gradients, gradients.output_bias)]
        for layer in reversed(range(block.depth)):
            ours, outputs = place.gradients[layer], place.outputs[layer]
            lanes = block.ending(layer)
            if lanes.start < lanes.stop:
                above = place.logit_gradients[lanes]
                weight, gradient = weights.output_weight[lanes], gradients.output_weight[lanes]
                program += [
                    partial(torch.bmm, above, outputs[lanes].mT, out=gradient),
                    partial(torch.bmm, weight.mT, above, out=ours[lanes]),
                ]
            deeper = block.having(layer + 1)
            if deeper:
                above = place.gradients[layer + 1]
                weight = weights.hidden_weights[layer]
                program.append(partial(torch.bmm, weight.mT, above, out=ours[:deeper]))
            if place.masks:
                program += self._drop_gradients(block, place, layer)
            for activation, lanes in block.runs(layer):
                program.append(
                    partial(_BACKWARD[activation], ours[lanes], place.activations[layer][lanes])
                )
            if layer > 0:
                inputs = place.outputs[layer - 1][: block.having(layer)]
                weight_gradients = gradients.hidden_weights[layer - 1]
                program.append(partial(torch.bmm, ours, inputs.mT, out=weight_gradients))
                program.append(_sum_images(ours, gradients.hidden_biases[layer - 1]))
        return program

    def _drop_gradients(self, block: Block, place: _BlockWorkspace, layer: int) -> Program:
        gradients = place.gradients[layer]
        program: Program = [partial(gradients.mul_, place.masks[layer])]
        for lane in range(block.having(layer)):
            dropout = self._configs[block.first + lane].dropout
            if dropout > 0:
                program.append(partial(gradients[lane].mul_, 1 / (1 - dropout)))
        return program


def _sum_images(gradients: Tensor, out: Tensor) -> Callable[[], object]:
    return partial(torch.sum, gradients, -1, keepdim=True, out=out)
