"""The weights of a network out of a store, which must be its own."""

from __future__ import annotations

import pytest
import safetensors.torch
import torch
from driving import MLP
from helpers import changed, make_config

from sweep.errors import StoreError
from sweep.evaluation import networks

CONFIG = make_config(num_layers=3, normalization="batch", initialization="orthogonal")


@pytest.fixture
def state(digits):
    """The state of a network of which every tensor, the running means too, is another than new."""
    network = MLP.build(CONFIG.params, digits.spec)
    network(torch.randn(50, *digits.spec.input_shape))
    return network.state_dict()


def test_it_has_the_running_means_of_its_training(digits, state):
    file = safetensors.torch.save(state)
    network = networks._build("mlp", CONFIG, file, digits)
    found = network.state_dict()
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in state.items())
    assert not network.training


@pytest.mark.parametrize(
    "changes",
    [
        {"normalization": "layer"},
        {"normalization": "none"},
        {"num_layers": 2},
        {"layer_size": 31},
        {"layer_size": 16384, "num_layers": 64},
    ],
    ids=str,
)
def test_weights_of_another_network_are_refused(digits, state, changes):
    """Before anything as large as the other network is made: only its shapes are."""
    file = safetensors.torch.save(state)
    with pytest.raises(StoreError, match=r"not those of its network \(other shapes\)"):
        networks._build("mlp", changed(CONFIG, **changes), file, digits)


def test_weights_without_running_means_are_refused(digits, state):
    file = safetensors.torch.save({n: t for n, t in state.items() if "running" not in n})
    with pytest.raises(StoreError, match=r"not those of its network \(other shapes\)"):
        networks._build("mlp", CONFIG, file, digits)


def test_what_does_not_fit_into_the_file_is_not_even_shaped(digits, state, monkeypatch):
    monkeypatch.setattr(networks, "load_family", lambda _: None)
    file = safetensors.torch.save(state)
    with pytest.raises(StoreError, match="other shapes"):
        networks._build("mlp", changed(CONFIG, layer_size=16384), file, digits)
