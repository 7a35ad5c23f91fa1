"""The reference network: what `num_layers` means, where activation and dropout stand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sweep.models import ACTIVATIONS, MLP
from sweep.space import PARAMETERS


def build(num_layers: int, activation: str = "relu", dropout: float = 0.0) -> MLP:
    return MLP(20, 3, num_layers=num_layers, layer_size=8, activation=activation, dropout=dropout)


@pytest.mark.parametrize(
    ("num_layers", "shapes"),
    [(1, [(3, 20)]), (2, [(8, 20), (3, 8)]), (4, [(8, 20), (8, 8), (8, 8), (3, 8)])],
)
def test_num_layers_counts_linear_layers(num_layers, shapes):
    model = build(num_layers)
    assert [tuple(m.weight.shape) for m in model.modules() if isinstance(m, nn.Linear)] == shapes
    expected = sum(rows * columns + rows for rows, columns in shapes)
    assert sum(p.numel() for p in model.parameters()) == expected


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("relu", torch.relu),
        ("leaky_relu", nn.functional.leaky_relu),
        ("sigmoid", torch.sigmoid),
        ("tanh", torch.tanh),
    ],
)
def test_the_activation_follows_every_layer_but_the_last(name, function):
    torch.manual_seed(0)
    model = build(3, name)
    inputs = torch.randn(5, 20)
    first, second, last = [m for m in model.modules() if isinstance(m, nn.Linear)]
    expected = last(function(second(function(first(inputs)))))
    torch.testing.assert_close(model(inputs), expected)


def test_the_network_knows_the_activations_of_the_search_space():
    assert tuple(ACTIVATIONS) == PARAMETERS["activation"].choices


def test_dropout_follows_every_hidden_layer_while_training():
    model = build(3, dropout=0.5)
    kinds = [type(module) for module in model.layers]
    assert kinds == [
        nn.Linear, nn.ReLU, nn.Dropout, nn.Linear, nn.ReLU, nn.Dropout, nn.Linear,
    ]  # fmt: skip
    inputs = torch.randn(64, 20)
    assert not torch.equal(model(inputs), model(inputs))
    model.eval()
    assert torch.equal(model(inputs), model(inputs))


def test_softmax_regression_has_no_dropout():
    assert [type(module) for module in build(1, dropout=0.5).layers] == [nn.Linear]
