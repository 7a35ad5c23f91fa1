"""The reference network: what `num_layers` means, where activation and dropout stand."""

from __future__ import annotations

import pytest
import torch
from helpers import flat_spec, make_config
from torch import nn

from sweep.definitions import FAMILIES, MlpParameters
from sweep.families.activations import ACTIVATIONS
from sweep.families.mlp import FAMILY, MLP

SPEC = flat_spec(20, 3)


def build(
    num_layers: int,
    activation: str = "relu",
    dropout: float = 0.0,
    generator: torch.Generator | None = None,
) -> MLP:
    return MLP(MlpParameters(num_layers, 8, activation, dropout), SPEC, generator)


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


# ---------------------------------------------------------------- dropout


def generator(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_dropout_follows_every_hidden_activation_while_training():
    """By hand: the masks are drawn layer by layer from the generator, shape (H, B)."""
    torch.manual_seed(0)
    model = build(3, "tanh", dropout=0.25, generator=generator())
    inputs = torch.randn(6, 20)
    first, second, last = [m for m in model.modules() if isinstance(m, nn.Linear)]
    source = generator()
    hidden = inputs
    for layer in (first, second):
        mask = torch.empty(8, 6).bernoulli_(0.75, generator=source)
        assert 0 < mask.sum() < mask.numel()
        hidden = torch.tanh(layer(hidden)) * mask.T / 0.75
    torch.testing.assert_close(model(inputs), last(hidden))


def test_dropout_keeps_the_mean():
    model = MLP(MlpParameters(2, 2000, "relu", dropout=0.3), flat_spec(1, 1), generator())
    for parameter in model.parameters():
        nn.init.ones_(parameter)
    dropped = model(torch.ones(50, 1)).mean().item()
    model.eval()
    assert dropped == pytest.approx(model(torch.ones(1, 1)).item(), rel=0.02)


def test_every_forward_draws_new_masks():
    model = build(3, dropout=0.5, generator=generator())
    inputs = torch.randn(64, 20)
    assert not torch.equal(model(inputs), model(inputs))


def test_no_unit_is_dropped_in_validation():
    torch.manual_seed(0)
    model = build(3, dropout=0.5, generator=generator())
    torch.manual_seed(0)
    without = build(3)
    inputs = torch.randn(64, 20)
    model.eval()
    assert torch.equal(model(inputs), without(inputs))
    model.train()
    again = build(3, dropout=0.5, generator=generator())
    again.load_state_dict(model.state_dict())
    assert torch.equal(model(inputs), again(inputs)), "validation has drawn from the generator"


def test_the_generator_alone_decides_the_masks():
    torch.manual_seed(0)
    one = build(3, dropout=0.5, generator=generator(1))
    torch.manual_seed(0)
    same = build(3, dropout=0.5, generator=generator(1))
    other = build(3, dropout=0.5, generator=generator(2))
    same.load_state_dict(one.state_dict())
    other.load_state_dict(one.state_dict())
    inputs = torch.randn(64, 20)
    before = torch.get_rng_state()
    result = one(inputs)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    assert torch.equal(result, same(inputs))
    assert not torch.equal(result, other(inputs))


def test_without_a_generator_dropout_draws_from_torchs_own():
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
    dropped = build(4, dropout=0.5, generator=generator())
    for ours, theirs in zip(plain.parameters(), dropped.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_softmax_regression_has_no_dropout():
    assert [type(module) for module in build(1, dropout=0.5).layers] == [nn.Linear]


def test_a_configuration_describes_the_network():
    config = make_config(num_layers=3, layer_size=8, activation="tanh", dropout=0.5)
    torch.manual_seed(0)
    model = FAMILY.build(config.params, SPEC, generator())
    torch.manual_seed(0)
    same = build(3, "tanh", dropout=0.5, generator=generator())
    inputs = torch.randn(5, 20)
    assert torch.equal(model(inputs), same(inputs))
