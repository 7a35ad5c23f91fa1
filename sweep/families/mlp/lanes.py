"""Many multi-layer perceptrons computed at once: ordinary differentiable code.

Units come before examples in all shapes, so that a lane is one contiguous piece of every tensor.
Padding stays zero: its weights are zero, its outputs are masked where the activation of 0 is not 0,
and so its gradients are zero too.

Shape legend: R rows of the first layer (units of all lanes), D inputs, B batch, K lanes, k lanes of
a block that have a certain layer, H hidden units with padding, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sweep.definitions import MlpParameters
from sweep.families.activations import ACTIVATIONS
from sweep.families.mlp.layout import Block, Run, plan_blocks
from sweep.records import DataSpec

__all__ = ["StackedMLP"]

_Generators = Sequence[torch.Generator] | None


class StackedMLP:
    """The networks of K configurations (see `sweep.families.StackedNetwork`)."""

    def __init__(
        self,
        networks: Sequence[MlpParameters],
        spec: DataSpec,
        *,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        plan = plan_blocks(networks, spec.num_classes)
        self._num_rows = [block.num_rows for block in plan]
        nothing = torch.empty(0, device=device, dtype=dtype)
        self._first = _linear(nothing, sum(self._num_rows), spec.num_inputs)
        self._blocks = [_Block(block, spec.num_classes, nothing) for block in plan]
        self._layer_sizes = [network.layer_size for network in networks]
        self.parameters = [*self._first, *(p for block in self._blocks for p in block.parameters)]
        # Position in the stack of the first lane of each tensor that `_pieces` returns.
        self._positions = [block.first for block in plan] * 2
        for block, ours in zip(plan, self._blocks, strict=True):
            self._positions += [block.first] * len(ours.parameters)
        self.weights = self.lanes([parameter.detach() for parameter in self.parameters])

    def lanes(self, tensors: Sequence[Tensor]) -> list[list[Tensor]]:
        """Each lane's contiguous views, padding included: weight and bias of layer after layer."""
        lanes: list[list[Tensor]] = [[] for _ in self._layer_sizes]
        for start, piece in zip(self._positions, self._pieces(tensors), strict=True):
            for position, view in enumerate(piece.unbind(), start):
                lanes[position].append(view)
        return lanes

    def trim(self, position: int, views: Sequence[Tensor]) -> list[Tensor]:
        """A lane's views without padding, shaped like `MLP.parameters()`."""
        units = slice(0, self._layer_sizes[position])
        trimmed = []
        for index in range(0, len(views), 2):
            rows = slice(None) if index == len(views) - 2 else units
            columns = slice(None) if index == 0 else units
            trimmed += [views[index][rows, columns], views[index + 1][rows, 0]]
        return trimmed

    def forward(self, inputs: Tensor, generators: _Generators = None) -> Tensor:
        """Logits of all lanes; dropout needs the generators of its masks."""
        weight, bias = self._first
        rows = _split(torch.addmm(bias, weight, inputs.flatten(1).t()), self._num_rows)
        blocks = zip(self._blocks, rows, strict=True)
        return _join([block.forward(part, generators) for block, part in blocks])

    def _pieces(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The tensors with lanes as their first dimension."""
        first = [
            rows.view(block.num_lanes, -1, rows.shape[1])
            for tensor in tensors[:2]
            for block, rows in zip(self._blocks, _split(tensor, self._num_rows), strict=True)
        ]
        return [*first, *tensors[2:]]


class _Block:
    """Lanes of one width.

    Attributes:
        parameters: Weight and bias of each hidden layer but the first, shapes (k, H, H) and
            (k, H, 1), and of the output layer, shapes (K, C, H) and (K, C, 1); nothing for lanes
            without a hidden layer.
    """

    def __init__(self, plan: Block, num_classes: int, like: Tensor) -> None:
        self.num_lanes = len(plan.lanes)
        self._layers = [_Layer(plan, index, like) for index in range(plan.depth)]
        self._output = _linear(like, self.num_lanes, num_classes, plan.width) if plan.depth else []
        self.parameters = [p for layer in self._layers for p in layer.parameters] + self._output

    def forward(self, rows: Tensor, generators: _Generators) -> Tensor:
        """Logits, shape (K, C, B), from the first layer's outputs, shape (K * H, B)."""
        outputs = [rows.view(self.num_lanes, -1, rows.shape[1])]
        if not self._layers:
            return outputs[0]
        ended: list[Tensor] = []
        for layer in self._layers:
            outputs, ending = layer.forward(_join(outputs), generators)
            ended = [*ending, *ended]
        weight, bias = self._output
        return torch.baddbmm(bias, weight, _join(ended))


class _Layer:
    """Hidden layer `index` of the k lanes of a block that have it.

    `parameters` are its weight and bias; the first layer's belong to the whole stack.
    """

    def __init__(self, plan: Block, index: int, like: Tensor) -> None:
        num_lanes, num_deeper = plan.having(index), plan.having(index + 1)
        self.parameters = _linear(like, num_lanes, plan.width, plan.width) if index else []
        runs = plan.runs(index)
        self._runs = [_Run(plan, run, like) for run in runs]
        self._sizes = [run.lanes.stop - run.lanes.start for run in runs]
        self._num_deeper_runs = sum(run.lanes.stop <= num_deeper for run in runs)

    def forward(self, inputs: Tensor, generators: _Generators) -> tuple[list[Tensor], list[Tensor]]:
        """The outputs of lanes that have a further hidden layer, and of those that have none.

        `inputs` are outputs of the layer below, shape (k, H, B); for the first layer, its own sums.
        """
        if self.parameters:
            weight, bias = self.parameters
            inputs = torch.baddbmm(bias, weight, inputs)
        runs = zip(self._runs, _split(inputs, self._sizes), strict=True)
        outputs = [run.forward(part, generators) for run, part in runs]
        return outputs[: self._num_deeper_runs], outputs[self._num_deeper_runs :]


class _Run:
    """Activation and dropout of neighbouring lanes."""

    def __init__(self, plan: Block, run: Run, like: Tensor) -> None:
        self._activation = ACTIVATIONS[run.activation]()
        sizes = [network.layer_size for network in plan.lanes[run.lanes]]
        dropouts = [network.dropout for network in plan.lanes[run.lanes]]
        self._units: Tensor | None = None
        if min(sizes) < plan.width and self._activation(like.new_zeros(())) != 0:
            units = torch.arange(plan.width, device=like.device)
            numbers = torch.tensor(sizes, device=like.device)
            self._units = (units < numbers[:, None])[..., None].to(like.dtype)
        self._dropouts = [
            (plan.first + run.lanes.start + lane, lane, size, 1 - dropout)
            for lane, (size, dropout) in enumerate(zip(sizes, dropouts, strict=True))
            if dropout > 0
        ]
        self._scales = like.new_tensor([1 / (1 - dropout) for dropout in dropouts]).view(-1, 1, 1)

    def forward(self, inputs: Tensor, generators: _Generators) -> Tensor:
        """A layer's outputs from its sums, both of shape (lanes, H, B)."""
        outputs: Tensor = self._activation(inputs)
        if self._units is not None:
            outputs = outputs * self._units
        if self._dropouts and generators is not None:
            outputs = outputs * self._draw_masks(outputs, generators)
        return outputs

    def _draw_masks(self, outputs: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """Scaled masks, each from its lane's generator, in the precision of the weights."""
        masks = torch.ones_like(outputs, dtype=self._scales.dtype)
        lanes = masks.unbind()
        for position, lane, size, keep in self._dropouts:
            lanes[lane][:size].bernoulli_(keep, generator=generators[position])
        return masks.mul_(self._scales)


def _linear(like: Tensor, *shape: int) -> list[Tensor]:
    """Weight and bias of linear layers, zero."""
    return [
        like.new_zeros(shape, requires_grad=True),
        like.new_zeros((*shape[:-1], 1), requires_grad=True),
    ]


def _split(tensor: Tensor, sizes: Sequence[int]) -> Sequence[Tensor]:
    """Parts along the first dimension."""
    return tensor.split(sizes) if len(sizes) > 1 else [tensor]


def _join(parts: list[Tensor]) -> Tensor:
    return torch.cat(parts) if len(parts) > 1 else parts[0]
