"""Optimisers against the classes of `torch.optim`."""

from __future__ import annotations

from importlib import import_module

import pytest
import torch
from helpers import make_config

from sweep.definitions import Recipe, parameters_of, view
from sweep.training.optimizers import Optimizer, build_optimizer, orthogonalized

STEPS = 25
OPTIMIZERS = parameters_of("mlp")["optimizer"].choices


def make_recipe(**changes) -> Recipe:
    return view(Recipe, make_config(**changes).params)


CASES = {
    "adamw": (make_recipe(optimizer="adamw", weight_decay=0.1), torch.optim.AdamW, {}),
    "adamw without decay": (
        make_recipe(optimizer="adamw", weight_decay=0.0),
        torch.optim.AdamW,
        {},
    ),
    "adam": (make_recipe(optimizer="adam", weight_decay=0.1), torch.optim.Adam, {}),
    "adam without decay": (make_recipe(optimizer="adam", weight_decay=0.0), torch.optim.Adam, {}),
    "sgd": (
        make_recipe(optimizer="sgd", weight_decay=0.1, momentum=0.0),
        torch.optim.SGD,
        {"momentum": 0.0},
    ),
    "sgd with momentum": (
        make_recipe(optimizer="sgd", weight_decay=0.1, momentum=0.9),
        torch.optim.SGD,
        {"momentum": 0.9},
    ),
    "rmsprop": (make_recipe(optimizer="rmsprop", weight_decay=0.1), torch.optim.RMSprop, {}),
    "nadam": (make_recipe(optimizer="nadam", weight_decay=0.1), torch.optim.NAdam, {}),
    "nadam without decay": (
        make_recipe(optimizer="nadam", weight_decay=0.0),
        torch.optim.NAdam,
        {},
    ),
}
TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-12}


def start(dtype: torch.dtype) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(5, 3, dtype=dtype), torch.randn(5, dtype=dtype)]


def gradients(parameters: list[torch.Tensor], step: int) -> list[torch.Tensor]:
    """Of a loss that differs from step to step."""
    generator = torch.Generator().manual_seed(step)
    weight, bias = (p.detach().requires_grad_() for p in parameters)
    inputs = torch.randn(4, 3, generator=generator, dtype=weight.dtype)
    loss = torch.tanh(inputs @ weight.T + bias).square().sum()
    return list(torch.autograd.grad(loss, [weight, bias]))


def rate(step: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.tensor(1e-2 / (1 + step), dtype=dtype)


def go(optimizer: Optimizer, parameters: list[torch.Tensor], steps: range) -> None:
    for step in steps:
        optimizer.step(parameters, gradients(parameters, step), rate(step))


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize(("recipe", "reference", "options"), CASES.values(), ids=CASES)
def test_every_step_is_pytorchs(monkeypatch, recipe, reference, options, dtype):
    # NAdam multiplies momenta in float32, whatever the parameters.
    nadam = import_module("torch.optim.nadam")
    monkeypatch.setattr(nadam, "_get_scalar_dtype", lambda: torch.float64)
    mine = start(dtype)
    theirs = [p.clone().requires_grad_() for p in mine]
    optimizer = build_optimizer(mine, recipe)
    known = reference(theirs, weight_decay=recipe.weight_decay, **options)
    for step in range(STEPS):
        optimizer.step(mine, gradients(mine, step), rate(step))
        for parameter, gradient in zip(theirs, gradients(theirs, step), strict=True):
            parameter.grad = gradient
        known.param_groups[0]["lr"] = rate(step).item()
        known.step()
        for a, b in zip(mine, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=TOLERANCES[dtype], atol=TOLERANCES[dtype] / 10)
    assert all(not torch.equal(a, b) for a, b in zip(mine, start(dtype), strict=True))


# A first and a last layer, hidden matrices (two of one shape), a convolution, and two biases.
SHAPES = [(5, 3), (5,), (7, 5), (4, 7), (7, 5), (6, 4, 3, 2), (1, 6), (1,)]
MUON = [2, 3, 4, 5]


def random_tensors(seed: int, dtype: torch.dtype) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=dtype) for shape in SHAPES]


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("padding", [0, 3])
def test_muon_is_pytorchs_for_hidden_matrices_and_adamw_for_the_rest(monkeypatch, dtype, padding):
    """Also where the tensors are padded with zeros, and vectors are columns, as in a stack."""
    # It iterates in bfloat16, where rounding would hide a mistake.
    monkeypatch.setattr(torch, "bfloat16", dtype)
    theirs = random_tensors(0, dtype)
    flat = [theirs[index].flatten(1) for index in MUON]
    others = [tensor for index, tensor in enumerate(theirs) if index not in MUON]
    options = {"lr": 0.02, "weight_decay": 0.1}
    muon = torch.optim.Muon(flat, adjust_lr_fn="match_rms_adamw", momentum=0.95, **options)
    adamw = torch.optim.AdamW(others, **options)

    def padded(tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        found = []
        for tensor in tensors:
            columns = tensor.unsqueeze(1) if tensor.dim() == 1 and padding else tensor
            sides = [0, padding] * min(columns.dim(), 2)
            kernel = [0, 0] * (columns.dim() - 2)
            found.append(torch.nn.functional.pad(columns, [*kernel, *sides]))
        return found

    mine = padded(theirs)
    recipe = make_recipe(optimizer="muon", weight_decay=0.1)
    optimizer = build_optimizer(mine, recipe, [tensor.shape for tensor in theirs])
    rate = torch.tensor(0.02, dtype=torch.float64)
    for step in range(1, 6):
        slopes = random_tensors(step, dtype)
        optimizer.step(mine, padded(slopes), rate)
        for index, matrix in zip(MUON, flat, strict=True):
            matrix.grad = slopes[index].flatten(1)
        for tensor, slope in zip(
            others, [s for n, s in enumerate(slopes) if n not in MUON], strict=True
        ):
            tensor.grad = slope
        muon.step()
        adamw.step()
        for a, b in zip(mine, padded(theirs), strict=True):
            torch.testing.assert_close(a, b, rtol=TOLERANCES[dtype], atol=TOLERANCES[dtype])


def test_orthogonalized_matrices_have_singular_values_near_one():
    torch.manual_seed(0)
    for shape in ((3, 20, 8), (2, 8, 20)):
        found = torch.linalg.svdvals(orthogonalized(torch.randn(shape)))
        assert found.min() > 0.5
        assert found.max() < 1.5


@pytest.mark.parametrize("recipe", [case[0] for case in CASES.values()], ids=CASES)
def test_the_state_goes_along_when_the_parameters_are_moved(recipe):
    stayed, moved = start(torch.float32), start(torch.float32)
    at_rest, travelling = build_optimizer(stayed, recipe), build_optimizer(moved, recipe)
    go(at_rest, stayed, range(STEPS))
    go(travelling, moved, range(10))
    left_behind, moved = moved, [p.clone() for p in moved]
    before = [p.clone() for p in left_behind]
    go(travelling, moved, range(10, STEPS))
    for a, b in zip(stayed, moved, strict=True):
        assert torch.equal(a, b)
    assert all(torch.equal(a, b) for a, b in zip(left_behind, before, strict=True))


@pytest.mark.parametrize("recipe", [case[0] for case in CASES.values()], ids=CASES)
def test_a_learning_rate_is_read_at_the_step(recipe):
    """The same tensor with another number in it: as a captured step reads it."""
    parameters, expected = start(torch.float32), start(torch.float32)
    optimizer, reference = build_optimizer(parameters, recipe), build_optimizer(expected, recipe)
    learning_rate = torch.zeros((), dtype=torch.float64)
    for step in range(5):
        learning_rate.copy_(rate(step))
        optimizer.step(parameters, gradients(parameters, step), learning_rate)
        reference.step(expected, gradients(expected, step), rate(step))
    for a, b in zip(parameters, expected, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_learning_rate_of_nothing_changes_nothing(name):
    parameters = start(torch.float32)
    optimizer = build_optimizer(parameters, make_recipe(optimizer=name, weight_decay=0.1))
    optimizer.step(parameters, gradients(parameters, 0), torch.zeros((), dtype=torch.float64))
    assert all(torch.equal(a, b) for a, b in zip(parameters, start(torch.float32), strict=True))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_needs_no_graph(name):
    parameters = [p.requires_grad_() for p in start(torch.float32)]
    optimizer = build_optimizer(parameters, make_recipe(optimizer=name))
    optimizer.step(parameters, gradients(parameters, 0), rate(0))
    assert all(p.is_leaf for p in parameters)
