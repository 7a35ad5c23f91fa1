"""Cross-entropy of many lanes against PyTorch's of each, with its gradient."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from sweep.training.stacked import cross_entropies, training_losses

LANES, CLASSES, BATCH = 3, 5, 7


def computed(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Sums of losses of logits of shape (K, C, B), and gradients of their means."""
    logits = logits.detach().requires_grad_()
    losses = cross_entropies(logits, labels).sum(1)
    (gradients,) = torch.autograd.grad(losses.sum() / len(labels), logits)
    return losses.detach(), gradients


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
    losses, gradients = computed(logits, labels)
    expected_losses, expected_gradients = reference(logits, labels)
    torch.testing.assert_close(losses, expected_losses, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(gradients, expected_gradients, rtol=tolerance, atol=tolerance)


SMOOTHING = (0.0, 0.1, 0.7)


def test_smoothed_losses_and_gradients_are_pytorchs_lane_by_lane():
    logits, labels = some(torch.float64)
    stacked = logits.clone().requires_grad_()
    losses = training_losses(
        stacked, labels, torch.tensor(SMOOTHING, dtype=torch.float64).view(-1, 1)
    )
    (gradients,) = torch.autograd.grad(losses.sum(), stacked)
    for lane, smoothing in enumerate(SMOOTHING):
        images = logits[lane].T.clone().requires_grad_()
        expected = functional.cross_entropy(
            images, labels, label_smoothing=smoothing, reduction="sum"
        )
        torch.testing.assert_close(losses[lane], expected, rtol=1e-13, atol=1e-13)
        (gradient,) = torch.autograd.grad(expected, images)
        torch.testing.assert_close(gradients[lane], gradient.T, rtol=1e-13, atol=1e-13)


WEIGHTS = torch.tensor([[0.3, 4.0, 1.0, 0.0, 2.5], [1.0] * 5, [2.0, 0.1, 0.1, 5.0, 1.0]]).double()


@pytest.mark.parametrize("smoothing", [None, SMOOTHING], ids=["no smoothing", "smoothing"])
def test_weighted_losses_and_gradients_are_pytorchs_lane_by_lane(smoothing):
    logits, labels = some(torch.float64)
    stacked = logits.clone().requires_grad_()
    spread = None if smoothing is None else torch.tensor(smoothing, dtype=torch.float64).view(-1, 1)
    losses = training_losses(stacked, labels, spread, WEIGHTS)
    (gradients,) = torch.autograd.grad(losses.sum() / BATCH, stacked)
    for lane, weights in enumerate(WEIGHTS):
        images = logits[lane].T.clone().requires_grad_()
        expected = functional.cross_entropy(
            images,
            labels,
            weight=weights,
            label_smoothing=0.0 if smoothing is None else smoothing[lane],
        )
        torch.testing.assert_close(losses[lane] / BATCH, expected, rtol=1e-13, atol=1e-13)
        (gradient,) = torch.autograd.grad(expected, images)
        torch.testing.assert_close(gradients[lane], gradient.T, rtol=1e-13, atol=1e-13)


def test_a_lane_without_weights_is_not_changed_by_a_neighbour_that_has_them():
    logits, labels = some(torch.float32)
    weighted = training_losses(logits, labels, None, WEIGHTS.float())
    assert torch.equal(weighted[1], training_losses(logits, labels)[1])


@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf])
def test_a_lane_that_is_not_finite_spoils_no_other(poison):
    logits, labels = some(torch.float32)
    healthy = computed(logits, labels)
    sick = logits.clone()
    sick[1] = poison
    losses, gradients = computed(sick, labels)
    assert not losses[1].isfinite()
    for lane in (0, 2):
        assert torch.equal(losses[lane], healthy[0][lane])
        assert torch.equal(gradients[lane], healthy[1][lane])
