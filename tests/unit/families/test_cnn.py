"""The convolutional network: its form, its costs, and that its fast way computes the same."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import nn

from sweep.definitions import DATASETS, FAMILIES, Cost, parameters_of, require_valid, with_defaults
from sweep.families import load_family
from sweep.families.activations import ACTIVATIONS
from sweep.records import DataSpec

DEFINITION = FAMILIES["cnn"]
DIGITS = DATASETS["digits"]
CONFIGURATIONS: list[dict[str, Any]] = [
    {},
    {"num_blocks": 1, "kernel_size": 2, "head_size": 7, "normalization": "none"},
    {"num_blocks": 5, "kernel_size": 4, "pooling": "average", "dropout": 0.2, "head_size": 10},
    {"num_blocks": 4, "kernel_size": 4, "pooling": "stride", "normalization": "layer"},
    {"num_blocks": 2, "kernel_size": 5, "pooling": "stride", "activation": "gelu"},
]
SHAPES = [(1, 8, 8), (3, 12, 7), (2, 3, 20)]


def spec_of(*shape: int) -> DataSpec:
    return DataSpec("image", shape, ("a", "b", "c"), num_pool=100, num_test=10)


def build(spec: DataSpec = DIGITS, **params: Any) -> nn.Module:
    torch.manual_seed(0)
    return load_family("cnn").build({"channels": 4, **params}, spec)


def cost(spec: DataSpec = DIGITS, **params: Any) -> Cost:
    return DEFINITION.cost({"channels": 4, **params}, spec)


def kinds(**params: Any) -> list[str]:
    return [type(layer).__name__ for layer in build(**params).layers]


@pytest.mark.parametrize(
    ("shape", "params"), list(itertools.product(SHAPES, CONFIGURATIONS)), ids=str
)
def test_its_parameters_and_memory_are_those_of_the_network(shape, params):
    spec = spec_of(*shape)
    network, expected = build(spec, **params), cost(spec, **params)
    assert sum(weight.numel() for weight in network.parameters()) == expected.num_parameters
    inputs = torch.randn(4, *shape)
    kept: dict[int, int] = {}  # bytes by address

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        assert network(inputs).shape == (4, 3)
    num_bytes = sum(kept.values()) - 4 * expected.num_parameters
    assert num_bytes / 4 / 4 <= expected.training_numbers
    assert expected.inference_numbers < expected.training_numbers


@pytest.mark.slow
@pytest.mark.parametrize("params", CONFIGURATIONS, ids=str)
def test_its_operations_are_those_that_pytorch_counts(params):
    from torch.utils.flop_counter import FlopCounterMode  # imports the compiler, which takes long

    network = build(**params)
    with FlopCounterMode(display=False) as counter:
        network(torch.randn(4, 1, 8, 8)).sum().backward()
    assert counter.get_total_flops() == 4 * cost(**params).example_flops


def test_blocks_halve_images_and_double_channels_until_no_side_would_fall_below_two_pixels():
    convolutions = [m for m in build(num_blocks=4).layers if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == [4, 8, 16, 16]
    assert kinds(num_blocks=4).count("MaxPool2d") == 2
    assert build(num_blocks=4).layers[-1].in_features == 16 * 2 * 2
    assert kinds(num_blocks=1) == [
        "Conv2d", "MaxPool2d", "BatchNorm2d", "ReLU", "Flatten", "Linear",
    ]  # fmt: skip
    assert kinds(num_blocks=1, normalization="layer", pooling="average", head_size=5)[1:] == [
        "AvgPool2d", "GroupNorm", "ReLU", "Flatten", "Linear", "ReLU", "Linear",
    ]  # fmt: skip
    assert kinds(num_blocks=1, normalization="none", pooling="stride", dropout=0.1) == [
        "Conv2d", "ReLU", "Flatten", "Dropout", "Linear",
    ]  # fmt: skip


def test_an_image_of_one_pixel_is_enough():
    assert build(spec_of(1, 1, 1), num_blocks=16)(torch.randn(4, 1, 1, 1)).shape == (4, 3)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 12, 7)])
@pytest.mark.parametrize("params", CONFIGURATIONS, ids=str)
def test_the_order_in_memory_changes_no_number(shape, params):
    network = build(spec_of(*shape), **{**params, "dropout": 0.0}).double()
    found = []
    inputs = torch.randn(6, *shape, dtype=torch.float64)
    for compute in (network, network.layers):
        network.zero_grad()
        logits = compute(inputs)
        logits.square().sum().backward()
        found.append([logits, *(weight.grad for weight in network.parameters())])
    torch.testing.assert_close(*found)


def test_many_examples_are_classified_a_part_at_a_time():
    network = build(dropout=0.5).double().eval()
    images = torch.randn(300, 1, 8, 8, dtype=torch.float64)
    most = []
    network.layers[0].register_forward_hook(lambda _, inputs, __: most.append(len(inputs[0])))
    with torch.no_grad():
        parts = network(images)
        assert sum(most) == 300
        assert max(most) < 200
        torch.testing.assert_close(parts, network.layers(images))


CHANGES = {
    "num_blocks": 2, "channels": 5, "kernel_size": 5, "normalization": "layer",
    "pooling": "average", "head_size": 9, "activation": "tanh", "dropout": 0.5,
}  # fmt: skip


@pytest.mark.parametrize("name", DEFINITION.parameters)
def test_every_hyperparameter_has_an_effect(name):
    params = with_defaults(DEFINITION.parameters, {name: CHANGES[name]})
    assert DEFINITION.idle(params) == frozenset()
    images = torch.randn(5, 1, 8, 8)
    others = [load_family("cnn").build(each, DIGITS) for each in (params, {})]
    states = [network.state_dict() for network in others]
    same_shapes = [{n: w.shape for n, w in state.items()} for state in states]
    if same_shapes[0] == same_shapes[1]:
        others[0].load_state_dict(states[1])
        assert not torch.equal(others[0](images), others[1](images))


def test_dropout_draws_from_torchs_own_generator():
    network = build(dropout=0.5, head_size=8)
    images = torch.randn(20, 1, 8, 8)
    logits = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        logits.append(network(images))
    assert torch.equal(logits[0], logits[1])
    assert not torch.equal(logits[0], logits[2])


def test_the_largest_network_can_be_counted_without_being_built():
    bounds = {n: p.maximum for n, p in DEFINITION.parameters.items() if hasattr(p, "maximum")}
    spec = spec_of(3, 4096, 4096)
    assert cost(spec, **bounds).num_parameters > 1e12


def test_the_definition_fits_the_network():
    assert DEFINITION.parameters["activation"].choices == tuple(ACTIVATIONS)
    require_valid(parameters_of("cnn"), with_defaults(parameters_of("cnn"), {}))
    # oneDNN writes past its memory with a kernel of one pixel and a stride of two.
    assert DEFINITION.parameters["kernel_size"].minimum == 2
