"""Weights that safetensors does not take as they are: tied, or laid out in another order."""

from __future__ import annotations

import pytest
import safetensors.torch
from driving import Driver
from helpers import make_settings, timeless

from sweep.data import TrainingData
from sweep.definitions import parameters_of, with_defaults
from sweep.families.own import load_function, network_arguments
from sweep.records import NetworkSource, OwnNetwork, TrialConfig
from sweep.training import load_engine

TIED = """
    first, second = nn.Linear(64, 64), nn.Linear(64, 64)
    second.weight = first.weight
    return nn.Sequential(nn.Flatten(), first, nn.ReLU(), second, nn.Linear(64, num_classes))
"""
CHANNELS_LAST = """
    layers = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(64, num_classes)
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)
"""


@pytest.mark.parametrize("body", [TIED, CHANNELS_LAST])
def test_they_are_saved_and_resumed(small: TrainingData, body: str) -> None:
    head = "import torch\nfrom torch import nn\ndef build(input_shape, num_classes):"
    source = NetworkSource("net.py", "build", head + body)
    network = OwnNetwork(source, network_arguments(load_function(source), source))
    params = with_defaults(parameters_of(network), {"epochs": 3, "batch_size": 32})
    config = TrialConfig(0, 7, params)

    def driver() -> Driver:
        return Driver(load_engine(make_settings(model=network), small))

    (undisturbed,) = driver().run(config)
    stopped = driver()
    stopped.add(config)
    for _ in range(6):
        stopped.turn()
    stopped._take(list(stopped.engine.save()))
    going_on = driver()
    going_on.add(config, checkpoints={0: stopped.checkpoints[0][-1]})
    while going_on.num_open:
        going_on.turn()
    assert going_on.refused == {}
    assert timeless(going_on.outcomes[0]) == timeless(undisturbed)
    assert undisturbed.weights is not None
    assert all(t.is_contiguous() for t in safetensors.torch.load(undisturbed.weights).values())
