"""Preprocessing as layers gives the encoder's own numbers; code builds the network it describes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from sweep.data.encoding import TableEncoder
from sweep.definitions import parameters_of, with_defaults
from sweep.errors import SweepFailedError
from sweep.evaluation.packaging import EncodeRows, Standardize, network_code, packaged
from sweep.families import load_family


def table(number: int, seed: int) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "length": generator.normal(1e6, 0.1, number),
            "count": generator.integers(0, 9, number),
            "far": generator.normal(0, 1e-3, number),
            "colour": generator.choice(["red", "blue", "NA"], number),
            "many": generator.integers(0, 150, number).astype(str),
            "rare": generator.choice(["a", "b", "c"], number, p=[0.9, 0.08, 0.02]),
        }
    )
    rows.loc[generator.random(number) < 0.1, ["length", "colour"]] = np.nan
    return rows.astype(dict.fromkeys(("colour", "many", "rare"), "str"))


COLUMNS = [
    ["length", "count", "far", "colour", "many", "rare"],
    ["count", "far"],
    ["length"],
    ["colour"],
    ["rare", "many"],
]


@pytest.mark.parametrize("names", COLUMNS, ids=" ".join)
def test_rows_become_the_encoders_own_numbers(small, names):
    encoder = TableEncoder.fit(table(2000, 0)[names])
    rows = table(300, 1)
    rows.loc[0, "far"] = 1e9
    rows.loc[1:3, "many"] = "new"
    rows.loc[4, ["rare", "many", "count", "far"]] = np.nan
    rows = rows[names]
    numbers = [rows[name].to_numpy(np.float64) for name in encoder.numbers]
    codes = [
        [
            each.missing if pd.isna(value) else each.codes.get(value, each.other)
            for value in rows[name]
        ]
        for name, each in zip(encoder.texts, encoder.rules.categories, strict=True)
    ]
    layer = packaged(nn.Identity(), replace(small, encoder=encoder))[0]
    assert isinstance(layer, EncodeRows)
    found = layer(torch.tensor(np.array([*numbers, *codes], np.float64).T))
    assert found.dtype == torch.float32
    np.testing.assert_array_equal(found.numpy(), encoder.transform(rows))


def rebuilt(package: nn.Sequential) -> nn.Module:
    classes, expression = network_code(package)
    names: dict[str, Any] = {"nn": nn, "torch": torch, "Tensor": torch.Tensor}
    exec(f"from __future__ import annotations\n{classes}", names)  # noqa: S102
    built: nn.Module = eval(expression, names)  # noqa: S307
    built.load_state_dict(package.state_dict())
    return built.eval()


LAYERS = [
    nn.Conv2d(1, 4, 3, padding="same", bias=False),
    nn.BatchNorm2d(4),
    nn.LeakyReLU(0.2),
    nn.Conv2d(4, 6, (3, 2), stride=2, padding=(1, 0)),
    nn.GroupNorm(2, 6),
    nn.ELU(),
    nn.Dropout2d(0.3),
    nn.MaxPool2d(2),
    nn.AdaptiveAvgPool2d((2, 1)),
    nn.Flatten(),
    nn.Linear(12, 8),
    nn.LayerNorm(8, eps=1e-3),
    nn.GELU(approximate="tanh"),
    nn.Linear(8, 10, bias=False),
]


def test_code_builds_the_same_network(small):
    torch.manual_seed(0)
    network = nn.Sequential(*LAYERS)
    pixels = torch.from_numpy(small.train.inputs[:20])
    for _ in range(3):
        network(torch.randn(16, 1, 8, 8))  # moves the running means
    package = nn.Sequential(Standardize((1, 1, 1)), *network, nn.Softmax(1)).eval()
    package[0].mean += 8
    package = nn.Sequential(*[layer for layer in package if not isinstance(layer, nn.Dropout2d)])
    assert rebuilt(package)(pixels).equal(package.eval()(pixels))


@pytest.mark.parametrize(
    "changes",
    [{"num_layers": 1}, {"num_layers": 3, "dropout": 0.5}, {"num_layers": 2, "activation": "silu"}],
    ids=str,
)
def test_a_networks_probabilities_are_those_of_its_package(small, changes):
    params = with_defaults(parameters_of("mlp"), {"layer_size": 7, **changes})
    network = load_family("mlp").build(params, small.spec).eval()
    inputs = torch.from_numpy(small.validation.inputs)
    mean, std = (torch.from_numpy(each).view(1, 8, 8) for each in (small.mean, small.std))
    expected = network(((inputs - mean) / std).to(torch.float32)).softmax(1)
    package = packaged(network, small)
    for each in (package, rebuilt(package)):
        assert torch.allclose(each(inputs), expected)


def test_a_layer_of_somebody_else_has_no_code(small):
    class Mine(nn.Module):
        pass

    with pytest.raises(SweepFailedError, match="Mine, cannot be written as plain code"):
        network_code(packaged(Mine(), small))
