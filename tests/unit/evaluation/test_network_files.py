"""The weights of a network out of a store, which must be its own."""

from __future__ import annotations

import pytest
import safetensors.torch
import torch
from driving import MLP
from helpers import changed, make_config
from torch import nn

from sweep.data import TrainingData
from sweep.definitions import parameters_of, with_defaults
from sweep.errors import InputError, StoreError
from sweep.evaluation import networks
from sweep.records import NetworkArgument, NetworkSource, OwnNetwork, TrialConfig

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


OWN = """
import torch
from torch import nn

class Few(nn.Module):
    def forward(self, inputs):
        assert len(inputs) < 5, "too many"
        return inputs.flatten(1)[:, :10]

def build(input_shape, num_classes, *, width: int = 3):
    if width == 2:
        raise MemoryError("no more\\nof it")
    torch.rand(3)
    return Few()
"""


def own_network(width: int, digits: TrainingData) -> nn.Module:
    source = NetworkSource("net.py", "build", OWN)
    model = OwnNetwork(source, (NetworkArgument("width", "int", 3),))
    config = TrialConfig(0, 0, with_defaults(parameters_of(model), {"width": width}))
    return networks._build(model, config, safetensors.torch.save({}), digits)


def test_a_users_network_that_cannot_be_built_is_not_said_to_have_damaged_weights(digits):
    with pytest.raises(InputError, match=r"^net\.py:build does not work: line 12: MemoryError: no"):
        own_network(2, digits)


def test_a_users_network_that_cannot_be_run_is_one_line(digits):
    draws = torch.get_rng_state()
    network = own_network(3, digits)
    assert torch.equal(torch.get_rng_state(), draws), "building it took none of the caller's"
    networks.compute_logits(network, digits.validation.inputs[:4], digits)
    with pytest.raises(InputError, match="on 5 examples: AssertionError: too many"):
        networks.compute_logits(network, digits.validation.inputs[:5], digits)
