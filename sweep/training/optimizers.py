"""Optimisers by name, by way of PyTorch's functional forms.

The classes of `torch.optim` import the compiler when they are made, which costs each worker
almost two seconds before its first step; the functions beneath them do the same arithmetic.
Fused: one kernel updates all tensors.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import torch
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from sweep.records import TrialConfig

__all__ = ["Optimizer", "build_optimizer"]


class Optimizer(Protocol):
    """Updates parameters from their gradients."""

    def step(self, learning_rate: float) -> None:
        """Update every parameter with this learning rate and forget the gradients."""
        ...


class _Adam:
    """Adam with the decay added to the gradient, or AdamW with the decay beside it."""

    def __init__(self, parameters: list[Tensor], weight_decay: float, *, decoupled: bool) -> None:
        self._parameters = parameters
        self._weight_decay = weight_decay
        self._update = adamw if decoupled else adam
        self._means = [torch.zeros_like(p) for p in parameters]
        self._squares = [torch.zeros_like(p) for p in parameters]
        self._steps = [torch.zeros((), device=p.device) for p in parameters]

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        self._update(
            self._parameters,
            _take_gradients(self._parameters),
            self._means,
            self._squares,
            [],
            self._steps,
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=learning_rate,
            weight_decay=self._weight_decay,
            eps=1e-8,
            maximize=False,
        )


class _Sgd:
    """Stochastic gradient descent with momentum and an L2 penalty."""

    def __init__(self, parameters: list[Tensor], weight_decay: float, momentum: float) -> None:
        self._parameters = parameters
        self._weight_decay = weight_decay
        self._momentum = momentum
        self._buffers: list[Tensor | None] = [None] * len(parameters)

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        sgd(
            self._parameters,
            _take_gradients(self._parameters),
            self._buffers,
            fused=True,
            weight_decay=self._weight_decay,
            momentum=self._momentum,
            lr=learning_rate,
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )


def build_optimizer(parameters: Iterable[Tensor], config: TrialConfig) -> Optimizer:
    """The optimiser that a configuration names, with PyTorch's defaults for the rest."""
    tensors = list(parameters)
    if config.optimizer == "sgd":
        return _Sgd(tensors, config.weight_decay, config.momentum)
    return _Adam(tensors, config.weight_decay, decoupled=config.optimizer == "adamw")


def _take_gradients(parameters: list[Tensor]) -> list[Tensor]:
    gradients = []
    for parameter in parameters:
        if parameter.grad is None:
            raise RuntimeError("a parameter took no part in the loss")
        gradients.append(parameter.grad)
        parameter.grad = None
    return gradients
