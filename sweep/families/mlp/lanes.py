"""Many multi-layer perceptrons computed at once: ordinary differentiable code.

Units come before examples in all shapes, so that a lane is one contiguous piece of every tensor.
Padding stays zero: its weights are zero, its outputs are masked where the activation of 0 is not 0,
and so its gradients are zero too.

Shape legend: R rows of the first layer (units of all lanes), D inputs, B batch, K lanes, k lanes of
a block that have a certain layer, H hidden units with padding, C classes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from sweep.definitions import MlpParameters
from sweep.families.activations import fast_activation
from sweep.families.mlp.dropout import draw_numbers, scaled_masks, threshold
from sweep.families.mlp.layout import Block, Run, plan_blocks
from sweep.families.mlp.normalization import BatchNorm, LayerNorm, units_of
from sweep.records import DataSpec

__all__ = ["StackedMLP"]

_Generators = Sequence[torch.Generator] | None

_NORMALIZATIONS: dict[str, type[BatchNorm | LayerNorm]] = {"batch": BatchNorm, "layer": LayerNorm}


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
        shape = (sum(self._num_rows), spec.num_inputs)
        self._weight = nothing.new_zeros(shape, requires_grad=True)
        self._blocks = [_Block(block, nothing) for block in plan]
        self._num_shared_dims = 1 + len(spec.input_shape)
        self._shapes = [_shapes(network, spec) for network in networks]
        self.parameters = [self._weight, *(p for block in self._blocks for p in block.parameters)]
        # Position in the stack of the first lane of each tensor that `_pieces` returns.
        self._positions = [block.first for block in plan]
        for block, ours in zip(plan, self._blocks, strict=True):
            self._positions += [block.first + place for place in ours.places]
        self.weights = self.lanes([parameter.detach() for parameter in self.parameters])
        self.buffers = [lane for block in self._blocks for lane in block.buffers]

    def lanes(self, tensors: Sequence[Tensor]) -> list[list[Tensor]]:
        """Each lane's contiguous views, padding included, in the order of `MLP.parameters()`."""
        lanes: list[list[Tensor]] = [[] for _ in self._shapes]
        for start, piece in zip(self._positions, self._pieces(tensors), strict=True):
            for position, view in enumerate(piece.unbind(), start):
                lanes[position].append(view)
        return lanes

    def trim(self, position: int, views: Sequence[Tensor]) -> list[Tensor]:
        """A lane's views without padding, shaped like `MLP.parameters()`."""
        return [
            view[: shape[0], : shape[1]] if len(shape) > 1 else view[: shape[0], 0]
            for view, shape in zip(views, self._shapes[position], strict=True)
        ]

    def forward(self, inputs: Tensor, generators: _Generators = None) -> Tensor:
        """Logits of all lanes; dropout needs the generators of its masks."""
        biases = [block.bias for block in self._blocks]
        if inputs.dim() == self._num_shared_dims:
            bias = _join([each.view(-1, 1) for each in biases])
            sums = self._by_block(torch.addmm(bias, self._weight, inputs.flatten(1).t()))
        else:
            own = inputs.flatten(2).transpose(1, 2)
            parts = _split(own, [block.num_lanes for block in self._blocks])
            sums = list(map(torch.baddbmm, biases, self._by_block(self._weight), parts))
        blocks = zip(self._blocks, sums, strict=True)
        return _join([block.forward(part, generators) for block, part in blocks])

    def _pieces(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The tensors with lanes as their first dimension."""
        weight, *others = tensors
        return [*self._by_block(weight), *others]

    def _by_block(self, tensor: Tensor) -> list[Tensor]:
        """The rows of the first layer, shape (R, n), as each block's, shape (K, H, n)."""
        parts = zip(self._blocks, _split(tensor, self._num_rows), strict=True)
        return [rows.view(block.num_lanes, -1, rows.shape[1]) for block, rows in parts]


class _Block:
    """Lanes of one width, shape and normalisation.

    Attributes:
        bias: The first layer's, whose weight belongs to the whole stack; shape (K, H, 1).
        parameters: The first layer's bias; weight and bias of each further hidden layer, shapes
            (k, H, H) and (k, H, 1), and of each normalisation, shape (k, H, 1) both; then those of
            the output layers, shapes (k, C, H) and (k, C, 1). Without biases that are not trained.
        places: Position in the block of the first lane of each parameter.
        buffers: Those of each lane, layer after layer.
    """

    def __init__(self, plan: Block, like: Tensor) -> None:
        self.num_lanes = len(plan.lanes)
        has_bias = plan.lanes[0].has_bias(1)
        self.bias = like.new_zeros(self.num_lanes, plan.width, 1, requires_grad=has_bias)
        self._layers = [_Layer(plan, index, like) for index in range(len(plan.widths))]
        self.parameters = _trained(
            [self.bias, *(p for layer in self._layers for p in layer.parameters)]
        )
        self.places = [0] * len(self.parameters)
        self._outputs: list[list[Tensor]] = []
        place = 0
        for width, num_lanes in plan.outputs() if self._layers else []:
            self._outputs.append(_linear(like, num_lanes, plan.num_classes, width))
            self.parameters += self._outputs[-1]
            self.places += [place] * 2
            place += num_lanes
        self.buffers: list[list[Tensor]] = [[] for _ in plan.lanes]
        for layer in self._layers:
            for lane, buffers in zip(self.buffers, layer.buffers, strict=False):
                lane += buffers

    def forward(self, sums: Tensor, generators: _Generators) -> Tensor:
        """Logits, shape (K, C, B), from the first layer's sums, shape (K, H, B)."""
        if not self._layers:
            return sums
        outputs = [sums]
        ended: list[Tensor] = []
        for layer in self._layers:
            outputs, ending = layer.forward(_join(outputs), generators)
            ended = [*ending, *ended]
        logits = []
        for weight, bias in self._outputs:
            hidden = [part for part in ended if part.shape[1] == weight.shape[2]]
            logits.append(torch.baddbmm(bias, weight, _join(hidden)))
        return _join(logits)


class _Layer:
    """Hidden layer `index` of the k lanes of a block that have it.

    Attributes:
        parameters: Its weight and bias, but the first layer's belong to the stack and the block;
            then those of its normalisation. Without a bias that is not trained.
        buffers: Those of each lane.
    """

    def __init__(self, plan: Block, index: int, like: Tensor) -> None:
        sizes, width, num_deeper = plan.sizes(index), plan.widths[index], plan.having(index + 1)
        self._linear: list[Tensor] = []
        if index:
            shape = (len(sizes), width, plan.widths[index - 1])
            self._linear = _linear(like, *shape, has_bias=plan.lanes[0].has_bias(index + 1))
        build_norm = _NORMALIZATIONS.get(plan.lanes[0].normalization)
        self._norm = build_norm(sizes, width, like) if build_norm else None
        self.parameters = _trained([*self._linear, *(self._norm.parameters if self._norm else [])])
        self.buffers = self._norm.buffers if self._norm else []
        runs = plan.runs(index)
        self._runs = [_Run(plan, run, sizes[run.lanes], width, like) for run in runs]
        self._sizes = [run.lanes.stop - run.lanes.start for run in runs]
        self._num_deeper_runs = sum(run.lanes.stop <= num_deeper for run in runs)

    def forward(self, inputs: Tensor, generators: _Generators) -> tuple[list[Tensor], list[Tensor]]:
        """The outputs of lanes that have a further hidden layer, and of those that have none.

        `inputs` are outputs of the layer below, shape (k, H, B); for the first layer, its own sums.
        """
        if self._linear:
            weight, bias = self._linear
            inputs = torch.baddbmm(bias, weight, inputs)
        if self._norm:
            inputs = self._norm.forward(inputs, is_training=generators is not None)
        runs = zip(self._runs, _split(inputs, self._sizes), strict=True)
        outputs = [run.forward(part, generators) for run, part in runs]
        return outputs[: self._num_deeper_runs], outputs[self._num_deeper_runs :]


class _Run:
    """Activation and dropout of neighbouring lanes."""

    def __init__(
        self, plan: Block, run: Run, sizes: Sequence[int], width: int, like: Tensor
    ) -> None:
        self._activation = fast_activation(run.activation)
        dropouts = [network.dropout for network in plan.lanes[run.lanes]]
        self._units: Tensor | None = None
        if min(sizes) < width and self._activation(like.new_zeros(())) != 0:
            self._units = units_of(sizes, width, like)
        self._dropouts = [
            (plan.first + run.lanes.start + lane, lane, size)
            for lane, (size, dropout) in enumerate(zip(sizes, dropouts, strict=True))
            if dropout > 0
        ]
        thresholds = [threshold(dropout) for dropout in dropouts]
        self._thresholds = like.new_tensor(thresholds, dtype=torch.int16).view(-1, 1, 1)
        self._scales = like.new_tensor([1 / (1 - dropout) for dropout in dropouts]).view(-1, 1, 1)

    def forward(self, inputs: Tensor, generators: _Generators) -> Tensor:
        """A layer's outputs from its sums, both of shape (lanes, H, B)."""
        outputs = self._activation(inputs)
        if self._units is not None:
            outputs = outputs * self._units
        if self._dropouts and generators is not None:
            draws = [(lane, size, generators[position]) for position, lane, size in self._dropouts]
            numbers = draw_numbers(outputs, draws)
            # Scales keep the precision of the weights, whatever that of the outputs.
            dtype = self._scales.dtype
            outputs = outputs * scaled_masks(numbers, self._thresholds, self._scales, dtype)
        return outputs


def _shapes(network: MlpParameters, spec: DataSpec) -> list[tuple[int, ...]]:
    """Those of `MLP.parameters()`."""
    shapes: list[tuple[int, ...]] = []
    sizes = network.layer_sizes(spec)
    for index, (num_inputs, units) in enumerate(itertools.pairwise(sizes), 1):
        shapes.append((units, num_inputs))
        if network.has_bias(index):
            shapes.append((units,))
        if network.normalization != "none" and index < network.num_layers:
            shapes += [(units,)] * 2
    return shapes


def _linear(like: Tensor, *shape: int, has_bias: bool = True) -> list[Tensor]:
    """Weight and bias of linear layers, zero; a bias that they should not have stays so."""
    return [
        like.new_zeros(shape, requires_grad=True),
        like.new_zeros((*shape[:-1], 1), requires_grad=has_bias),
    ]


def _trained(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [tensor for tensor in tensors if tensor.requires_grad]


def _split(tensor: Tensor, sizes: Sequence[int]) -> Sequence[Tensor]:
    """Parts along the first dimension."""
    return tensor.split(sizes) if len(sizes) > 1 else [tensor]


def _join(parts: list[Tensor]) -> Tensor:
    return torch.cat(parts) if len(parts) > 1 else parts[0]
