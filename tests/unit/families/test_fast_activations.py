"""Activations of stacks against PyTorch's."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from sweep.families.activations import mish


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-14)], ids=str
)
def test_mish_and_its_slope_are_those_of_pytorch(dtype, tolerance):
    """Relative to the outputs, from the smallest to the largest."""
    far = torch.tensor([-1e4, -80.0, 80.0, 1e4, 1e30])
    inputs = torch.cat([torch.linspace(-30, 30, 1001), far]).to(dtype).requires_grad_()
    found, exact = mish(inputs), functional.mish(inputs.double())
    (slope,) = torch.autograd.grad(found.sum(), inputs)
    (exact_slope,) = torch.autograd.grad(exact.sum(), inputs)
    assert found.dtype is dtype
    torch.testing.assert_close(found.double(), exact, rtol=4 * tolerance, atol=1e-40)
    torch.testing.assert_close(slope, exact_slope, rtol=tolerance, atol=tolerance)


def test_the_slope_of_mish_is_its_derivative():
    inputs = torch.linspace(-9, 9, 31, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(mish, inputs)


def test_what_is_not_finite_shows():
    inputs = torch.tensor([math.nan, math.inf], requires_grad=True)
    assert mish(inputs).isnan().tolist() == [True, False]
    assert mish(inputs)[1] == math.inf


def test_in_bfloat16_mish_is_rounded_once():
    inputs = torch.linspace(-5, 5, 101, dtype=torch.bfloat16)
    assert torch.equal(mish(inputs), functional.mish(inputs))
