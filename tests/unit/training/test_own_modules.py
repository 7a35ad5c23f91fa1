"""Networks that are not the project's own: the sequential engine takes any module."""

from __future__ import annotations

import pytest
import torch
from driving import make_batches
from helpers import make_config, make_settings
from torch import Tensor, nn

from sweep.training.lane import Lane
from sweep.training.sequential import SequentialGroup


class Own(nn.Module):
    """A frozen layer, a trained one, and buffers of both kinds, one of which is not kept."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.Linear(64, 20).requires_grad_(False)
        self.norm = nn.BatchNorm1d(20)
        self.trained = nn.Linear(20, 10)
        self.register_buffer("scratch", torch.zeros(3), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        self.scratch = torch.randn(len(inputs)) if self.training else torch.zeros(3)
        return self.trained(self.norm(self.frozen(inputs.flatten(1))))


class Unused(Own):
    def __init__(self) -> None:
        super().__init__()
        self.spare = nn.Linear(2, 2)


class Short(Own):
    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs)[:, :5]


class Family:
    def __init__(self, module: type[nn.Module]) -> None:
        self.module = module

    def build(self, _params, _spec) -> nn.Module:
        return self.module()


def group(data, module: type[nn.Module], **changes) -> SequentialGroup:
    lane = Lane(make_config(**changes), make_settings().objective)
    return SequentialGroup([lane], make_batches(data), Family(module))


def train(trained: SequentialGroup) -> SequentialGroup:
    trained.begin_epoch()
    for index in range(trained.num_steps):
        trained.step(index)
    return trained


@pytest.mark.parametrize("changes", [{}, {"weight_averaging": 0.5}, {"max_norm": 1.0}], ids=str)
def test_what_needs_no_gradient_stays_and_is_kept(small, changes):
    trained = group(small, Own, **changes)
    before = trained.copy_weights(0)
    after = train(trained).copy_weights(0)
    assert trained.lanes[0].num_parameters == 20 * 2 + 20 * 10 + 10
    same = {name for name, weight in after.items() if torch.equal(weight, before[name])}
    assert same == {"frozen.weight", "frozen.bias"}
    assert after["norm.num_batches_tracked"] == trained.num_steps
    trained.finish_epoch()
    again = trained.copy_weights(0)
    assert all(torch.equal(weight, again[name]) for name, weight in after.items())


def test_averages_of_running_means_are_measured(small):
    trained = train(group(small, Own, weight_averaging=0.9))
    state = {name: tensor.clone() for name, tensor in trained.tensors(0).items()}
    kept = trained.copy_weights(0)
    for name in ("norm.running_mean", "norm.running_var", "trained.weight"):
        assert not torch.equal(kept[name], state[f"network.{name}"])
    # An average of a mean that was 0 at first and has moved: nearer to 0.
    assert kept["norm.running_mean"].norm() < state["network.norm.running_mean"].norm()


def test_a_parameter_that_is_not_used_is_named(small):
    unused = group(small, Unused)
    unused.begin_epoch()
    message = r"parameter spare.weight took no part in the loss: use it in forward, or freeze it"
    with pytest.raises(ValueError, match=message):
        unused.step(0)


def test_logits_of_another_shape_are_told(small):
    short = group(small, Short)
    short.begin_epoch()
    message = r"must return logits of shape \(32, 10\), .*; found \(32, 5\)"
    with pytest.raises(ValueError, match=message):
        short.step(0)


def test_a_network_without_anything_to_train_is_told(small):
    class Frozen(Own):
        def __init__(self) -> None:
            super().__init__()
            self.requires_grad_(False)

    with pytest.raises(ValueError, match="no parameter with requires_grad=True"):
        group(small, Frozen)
