"""Optimisers by name, one fused kernel for all tensors of a network.

The classes of `torch.optim` import the compiler when they are made, which costs each worker
almost two seconds before its first step, and spend more time on sorting their arguments than a
small network's update takes. The kernels beneath them do the same arithmetic; tests hold them
to the classes.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from sweep.records import TrialConfig

__all__ = ["Optimizer", "build_optimizer"]


class Optimizer(Protocol):
    """Updates the tensors of one network; its state has their shapes."""

    def step(
        self, parameters: list[Tensor], gradients: list[Tensor], learning_rate: Tensor
    ) -> None:
        """Update every parameter in place.

        Args:
            parameters: As they were when the optimiser was built, or moved elsewhere.
            gradients: One for each, of the same shape and dtype.
            learning_rate: One number, on the device of the parameters.
        """
        ...


class _Adam:
    """Adam with the decay added to the gradient, or AdamW with the decay beside it."""

    def __init__(self, parameters: list[Tensor], weight_decay: float, *, decoupled: bool) -> None:
        self._weight_decay = weight_decay
        self._update = torch._fused_adamw_ if decoupled else torch._fused_adam_
        self._means = [torch.zeros_like(p) for p in parameters]
        self._squares = [torch.zeros_like(p) for p in parameters]
        # One counter for all tensors: the kernel only reads it.
        self._steps = [torch.zeros((), device=parameters[0].device)] * len(parameters)

    @torch.no_grad()
    def step(
        self, parameters: list[Tensor], gradients: list[Tensor], learning_rate: Tensor
    ) -> None:
        self._steps[0].add_(1)
        self._update(
            parameters,
            gradients,
            self._means,
            self._squares,
            [],
            self._steps,
            lr=learning_rate,
            beta1=0.9,
            beta2=0.999,
            weight_decay=self._weight_decay,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )


class _Sgd:
    """Stochastic gradient descent with momentum and an L2 penalty."""

    def __init__(self, parameters: list[Tensor], weight_decay: float, momentum: float) -> None:
        self._weight_decay = weight_decay
        self._momentum = momentum
        # Zero at first, the buffers hold the bare gradient after the first step, as they should.
        self._buffers = [torch.zeros_like(p) for p in parameters] if momentum else []

    @torch.no_grad()
    def step(
        self, parameters: list[Tensor], gradients: list[Tensor], learning_rate: Tensor
    ) -> None:
        torch._fused_sgd_(
            parameters,
            gradients,
            self._buffers,
            weight_decay=self._weight_decay,
            momentum=self._momentum,
            lr=learning_rate,
            dampening=0.0,
            nesterov=False,
            maximize=False,
            is_first_step=False,
        )


def build_optimizer(parameters: list[Tensor], config: TrialConfig) -> Optimizer:
    """The optimiser that a configuration names, with PyTorch's defaults for the rest."""
    if config.optimizer == "sgd":
        return _Sgd(parameters, config.weight_decay, config.momentum)
    return _Adam(parameters, config.weight_decay, decoupled=config.optimizer == "adamw")
