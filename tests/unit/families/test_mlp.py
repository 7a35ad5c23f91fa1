"""The reference network: what `num_layers` means, where activation and dropout stand."""

from __future__ import annotations

import math

import pytest
import torch
from helpers import flat_spec, make_config
from torch import nn

from sweep.definitions import FAMILIES
from sweep.families.activations import ACTIVATIONS
from sweep.families.mlp import FAMILY, MLP
from sweep.families.mlp.network import _Dropout, activation_gain

SPEC = flat_spec(20, 3)


def build(num_layers: int, activation: str = "relu", dropout: float = 0.0, **changes: str) -> MLP:
    config = make_config(
        num_layers=num_layers, layer_size=8, activation=activation, dropout=dropout, **changes
    )
    return FAMILY.build(config.params, SPEC)


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
        ("gelu", nn.functional.gelu),
        ("silu", nn.functional.silu),
        ("elu", nn.functional.elu),
        ("mish", nn.functional.mish),
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
    assert tuple(ACTIVATIONS) == FAMILIES["mlp"].parameters["activation"].choices


# ---------------------------------------------------------------- normalisation


@pytest.mark.parametrize(("name", "module"), [("batch", nn.BatchNorm1d), ("layer", nn.LayerNorm)])
def test_normalization_stands_between_hidden_layers_and_their_activations(name, module):
    model = build(3, "tanh", 0.1, normalization=name)
    kinds = [nn.Linear, module, nn.Tanh, _Dropout] * 2 + [nn.Linear]
    assert [type(layer) for layer in model.layers] == kinds


@pytest.mark.parametrize("initialization", ["default", "kaiming"])
def test_only_batch_normalization_makes_do_without_biases_before_it(initialization):
    def biases(normalization: str) -> list[bool]:
        model = build(3, normalization=normalization, initialization=initialization)
        linear = [layer for layer in model.layers if isinstance(layer, nn.Linear)]
        return [layer.bias is not None for layer in linear]

    assert biases("batch") == [False, False, True]
    assert biases("layer") == biases("none") == [True, True, True]


# ---------------------------------------------------------------- initial weights


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gains_keep_the_second_moment_or_are_pytorchs(activation):
    z = torch.linspace(-10, 10, 100_001, dtype=torch.float64)
    density = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)
    moment = torch.trapezoid(ACTIVATIONS[activation]()(z).square() * density, z).item()
    gain = activation_gain(activation)
    if activation in ("sigmoid", "tanh"):
        assert gain == nn.init.calculate_gain(activation)
    else:
        assert gain**2 * moment == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("name", ["kaiming", "xavier", "orthogonal"])
def test_initial_weights_are_those_of_pytorch(name, num_layers):
    """Each drawn by `torch.nn.init` from where the layer before it has left the generator."""
    spec = flat_spec(40, 3)
    params = {"num_layers": num_layers, "layer_size": 60, "activation": "relu"}
    torch.manual_seed(5)
    model = FAMILY.build(make_config(**params, initialization=name).params, spec)
    torch.manual_seed(5)
    *hidden, last = [module for module in model.layers if isinstance(module, nn.Linear)]
    for layer in (*hidden, last):
        expected = nn.Linear(layer.in_features, layer.out_features).weight
        gain = math.sqrt(2) if layer is not last else 1.0
        if name == "kaiming":
            kind = "relu" if layer is not last else "linear"
            nn.init.kaiming_normal_(expected, nonlinearity=kind)
        else:
            getattr(nn.init, f"{name}_uniform_" if name == "xavier" else f"{name}_")(expected, gain)
        torch.testing.assert_close(layer.weight, expected)
        assert not layer.bias.any()


def test_orthogonal_weights_keep_lengths():
    spec = flat_spec(64, 3)
    model = FAMILY.build(
        make_config(layer_size=64, activation="mish", initialization="orthogonal").params, spec
    )
    weight = model.layers[0].weight.double() / activation_gain("mish")
    torch.testing.assert_close(weight @ weight.T, torch.eye(64).double(), atol=1e-5, rtol=0)


def test_by_default_initial_weights_are_those_of_linear_layers():
    torch.manual_seed(5)
    model = build(2)
    torch.manual_seed(5)
    assert torch.equal(model.layers[0].weight, nn.Linear(20, 8).weight)


# ---------------------------------------------------------------- what has no effect


def idle(**params: int | str) -> frozenset[str]:
    return FAMILIES["mlp"].idle(params)


def test_what_has_no_effect_is_idle():
    names = FAMILIES["mlp"].parameters.keys()
    assert idle(num_layers=1) == names - {"num_layers", "initialization"}
    assert idle(num_layers=2) == {"width_shape"}
    assert idle(num_layers=3) == idle() == frozenset()
    torch.manual_seed(0)
    plain = build(1)
    torch.manual_seed(0)
    changes = {"normalization": "batch", "width_shape": "pyramid", "dropout": 0.5}
    other = build(1, "mish", **changes)
    assert str(other) == str(plain)
    assert all(map(torch.equal, other.parameters(), plain.parameters()))
    assert str(build(2, width_shape="pyramid")) == str(build(2))
    assert str(build(3, width_shape="pyramid")) != str(build(3))


# ---------------------------------------------------------------- dropout


def test_dropout_follows_every_hidden_activation_while_training():
    """By hand: the masks are drawn layer by layer, shape (H, B), 16 bits for each unit."""
    torch.manual_seed(0)
    model = build(3, "tanh", dropout=0.25)
    inputs = torch.randn(7, 20)
    first, second, last = [m for m in model.modules() if isinstance(m, nn.Linear)]
    torch.manual_seed(5)
    hidden = inputs
    for layer in (first, second):
        words = torch.empty(14, dtype=torch.int64).random_(-(2**63), None)
        mask = words.view(torch.int16).view(8, 7) < 2**14  # three quarters of them
        assert 0 < mask.sum() < mask.numel()
        hidden = torch.tanh(layer(hidden)) * mask.T / 0.75
    torch.manual_seed(5)
    torch.testing.assert_close(model(inputs), last(hidden))


def test_dropout_keeps_the_mean():
    config = make_config(num_layers=2, layer_size=2000, dropout=0.3)
    model = FAMILY.build(config.params, flat_spec(1, 1))
    for parameter in model.parameters():
        nn.init.ones_(parameter)
    dropped = model(torch.ones(50, 1)).mean().item()
    model.eval()
    assert dropped == pytest.approx(model(torch.ones(1, 1)).item(), rel=0.02)


def test_every_forward_draws_new_masks():
    model = build(3, dropout=0.5)
    inputs = torch.randn(64, 20)
    assert not torch.equal(model(inputs), model(inputs))


def test_no_unit_is_dropped_in_validation():
    torch.manual_seed(0)
    model = build(3, dropout=0.5)
    torch.manual_seed(0)
    without = build(3)
    inputs = torch.randn(64, 20)
    model.eval()
    before = torch.get_rng_state()
    assert torch.equal(model(inputs), without(inputs))
    assert torch.equal(torch.get_rng_state(), before)


def test_dropout_draws_from_torchs_own_generator():
    model = build(3, dropout=0.5)
    inputs = torch.randn(64, 20)
    torch.manual_seed(1)
    first = model(inputs)
    torch.manual_seed(1)
    assert torch.equal(first, model(inputs))
    torch.manual_seed(2)
    assert not torch.equal(first, model(inputs))


def test_the_weights_do_not_depend_on_dropout():
    """A lane of a stack is drawn without it."""
    torch.manual_seed(3)
    plain = build(4)
    torch.manual_seed(3)
    dropped = build(4, dropout=0.5)
    for ours, theirs in zip(plain.parameters(), dropped.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_softmax_regression_has_no_dropout():
    assert [type(module) for module in build(1, dropout=0.5).layers] == [nn.Linear]
