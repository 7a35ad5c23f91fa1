"""Optimisers against the classes of `torch.optim`."""

from __future__ import annotations

import pytest
import torch
from helpers import make_config

from sweep.space import PARAMETERS
from sweep.training.optimizers import build_optimizer

STEPS = 25
CASES = {
    "adamw": (make_config(optimizer="adamw", weight_decay=0.1), torch.optim.AdamW, {}),
    "adam": (make_config(optimizer="adam", weight_decay=0.1), torch.optim.Adam, {}),
    "adam without decay": (make_config(optimizer="adam", weight_decay=0.0), torch.optim.Adam, {}),
    "sgd": (
        make_config(optimizer="sgd", weight_decay=0.1, momentum=0.0),
        torch.optim.SGD,
        {"momentum": 0.0},
    ),
    "sgd with momentum": (
        make_config(optimizer="sgd", weight_decay=0.1, momentum=0.9),
        torch.optim.SGD,
        {"momentum": 0.9},
    ),
}


def rates() -> list[float]:
    return [1e-2 / (1 + step) for step in range(STEPS)]


@pytest.mark.parametrize(("config", "reference", "options"), CASES.values(), ids=CASES)
def test_every_step_is_pytorchs(config, reference, options):
    torch.manual_seed(0)
    start = [torch.randn(5, 3), torch.randn(5)]
    mine = [p.clone().requires_grad_() for p in start]
    theirs = [p.clone().requires_grad_() for p in start]
    optimizer = build_optimizer(mine, config)
    known = reference(theirs, weight_decay=config.weight_decay, **options)
    for rate in rates():
        inputs = torch.randn(4, 3)
        for weight, bias in (mine, theirs):
            torch.tanh(inputs @ weight.T + bias).square().sum().backward()
        optimizer.step(rate)
        known.param_groups[0]["lr"] = rate
        known.step()
        known.zero_grad()
        for a, b in zip(mine, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    assert all(not torch.equal(a, b) for a, b in zip(mine, start, strict=True))


@pytest.mark.parametrize("name", PARAMETERS["optimizer"].choices)
def test_a_step_forgets_the_gradients(name):
    weight = torch.ones(2, requires_grad=True)
    optimizer = build_optimizer([weight], make_config(optimizer=name))
    weight.sum().backward()
    optimizer.step(0.1)
    assert weight.grad is None


def test_a_parameter_without_gradient_is_an_error():
    optimizer = build_optimizer([torch.ones(2, requires_grad=True)], make_config())
    with pytest.raises(RuntimeError, match="took no part in the loss"):
        optimizer.step(0.1)
