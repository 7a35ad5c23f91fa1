"""Cross-entropy of many lanes against PyTorch's, its gradient against autograd's, and hits."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional

from sweep.training.losses import (
    count_correct,
    cross_entropy,
    cross_entropy_gradients,
    exact_logits,
)

LANES, CLASSES, BATCH = 3, 5, 7


def computed(logits: torch.Tensor, labels: torch.Tensor, dtype: torch.dtype):
    """Losses and gradients of logits of shape (K, C, B)."""
    space = SimpleNamespace(
        logits=logits, labels=labels, logit_gradients=torch.full_like(logits, math.nan)
    )
    losses = torch.full((len(logits),), math.nan, dtype=dtype)
    conversion, exact = exact_logits(space, dtype)
    program, logarithms = cross_entropy(exact, labels, losses)
    for call in [*conversion, *program, *cross_entropy_gradients(space, logarithms)]:
        call()
    return losses, space.logit_gradients


def reference(logits: torch.Tensor, labels: torch.Tensor):
    """The same by PyTorch: sums of losses, gradients of their means."""
    losses, gradients = [], []
    for lane in logits:
        images = lane.T.detach().requires_grad_()
        losses.append(functional.cross_entropy(images, labels, reduction="sum").detach())
        mean = functional.cross_entropy(images, labels)
        gradients.append(torch.autograd.grad(mean, images)[0].T)
    return torch.stack(losses), torch.stack(gradients)


def some(dtype: torch.dtype, scale: float = 2.0) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    logits = (torch.randn(LANES, CLASSES, BATCH, dtype=torch.float64) * scale).to(dtype)
    return logits, torch.randint(CLASSES, (BATCH,))


@pytest.mark.parametrize("scale", [0.0, 2.0, 1e4])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-6)], ids=str
)
def test_losses_and_gradients_are_pytorchs(dtype, tolerance, scale):
    logits, labels = some(dtype, scale)
    losses, gradients = computed(logits, labels, dtype)
    expected_losses, expected_gradients = reference(logits, labels)
    torch.testing.assert_close(losses, expected_losses, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(gradients, expected_gradients, rtol=tolerance, atol=tolerance)


def test_bfloat16_logits_are_computed_in_float32():
    logits, labels = some(torch.bfloat16)
    losses, gradients = computed(logits, labels, torch.float32)
    expected_losses, expected_gradients = reference(logits.float(), labels)
    torch.testing.assert_close(losses, expected_losses)
    assert gradients.dtype is torch.bfloat16
    torch.testing.assert_close(gradients, expected_gradients.bfloat16(), rtol=2**-7, atol=0)


@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf])
def test_a_lane_that_is_not_finite_spoils_no_other(poison):
    logits, labels = some(torch.float32)
    healthy = computed(logits, labels, torch.float32)
    sick = logits.clone()
    sick[1] = poison
    losses, gradients = computed(sick, labels, torch.float32)
    assert not losses[1].isfinite()
    for lane in (0, 2):
        assert torch.equal(losses[lane], healthy[0][lane])
        assert torch.equal(gradients[lane], healthy[1][lane])


# ---------------------------------------------------------------- hits


def hits(logits: torch.Tensor, labels: torch.Tensor) -> list[int]:
    counts = torch.full((len(logits),), -1)
    for call in count_correct(logits, labels, counts):
        call()
    return counts.tolist()


@pytest.mark.parametrize("num_classes", [2, 10, 47])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_an_image_is_right_where_argmax_says_so(dtype, num_classes):
    torch.manual_seed(0)
    logits = torch.randn(4, num_classes, 300, dtype=dtype)
    labels = torch.randint(num_classes, (300,))
    expected = (logits.argmax(1) == labels).sum(1).tolist()
    assert hits(logits, labels) == expected
    assert 0 < min(expected) < max(expected) < 300


def test_of_equal_logits_the_first_is_the_prediction():
    """As in bfloat16, where equal largest logits are common."""
    torch.manual_seed(0)
    logits = torch.randint(3, (5, 10, 400)).to(torch.float32)
    labels = torch.randint(10, (400,))
    largest = logits.amax(1, keepdim=True)
    assert ((logits == largest).sum(1) > 1).float().mean() > 0.9
    assert hits(logits, labels) == (logits.argmax(1) == labels).sum(1).tolist()
    logits = torch.zeros(1, 10, 10)
    assert hits(logits, torch.zeros(10, dtype=torch.int64)) == [10]
    assert hits(logits, torch.arange(10)) == [1]


def test_a_lane_that_is_not_finite_spoils_no_others_hits():
    logits, labels = some(torch.float32)
    healthy = hits(logits, labels)
    for poison in (math.nan, math.inf, -math.inf):
        sick = logits.clone()
        sick[1] = poison
        found = hits(sick, labels)
        assert [found[0], found[2]] == [healthy[0], healthy[2]]
        assert 0 <= found[1] <= BATCH
