"""Optimisers by name, one fused kernel for all tensors of a network.

The classes of `torch.optim` import the compiler, which costs each worker almost two seconds, and
spend longer on sorting their arguments than a small network's update takes. The kernels beneath
them do the same arithmetic; tests compare them with the classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from sweep.definitions import Recipe

__all__ = ["OPTIMIZERS", "Optimizer", "build_optimizer", "optimizer_tensors"]


class Optimizer(Protocol):
    """Updates the tensors of one network.

    `moments` hold lists of tensors shaped like the parameters; `counters` the rest of its state.
    """

    moments: dict[str, list[Tensor]]
    counters: dict[str, Tensor]

    def step(
        self, parameters: list[Tensor], gradients: list[Tensor], learning_rate: Tensor
    ) -> None:
        """Update every parameter in place; `learning_rate` is one number, on their device.

        The parameters may have moved since the optimiser was built.
        """
        ...


class _Adam:
    """Adam, which adds the decay to the gradient, or AdamW, which decouples it."""

    def __init__(self, parameters: list[Tensor], weight_decay: float, *, decoupled: bool) -> None:
        self._weight_decay = weight_decay
        self._update = torch._fused_adamw_ if decoupled else torch._fused_adam_
        self.moments = {
            "mean": [torch.zeros_like(p) for p in parameters],
            "square": [torch.zeros_like(p) for p in parameters],
        }
        # One counter for all tensors: the kernel only reads it.
        self.counters = {"steps": torch.zeros((), device=parameters[0].device)}

    @torch.no_grad()
    def step(
        self, parameters: list[Tensor], gradients: list[Tensor], learning_rate: Tensor
    ) -> None:
        steps = self.counters["steps"].add_(1)
        self._update(
            parameters,
            gradients,
            self.moments["mean"],
            self.moments["square"],
            [],
            [steps] * len(parameters),
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
        self.moments = {"momentum": [torch.zeros_like(p) for p in parameters]} if momentum else {}
        self.counters: dict[str, Tensor] = {}

    @torch.no_grad()
    def step(
        self, parameters: list[Tensor], gradients: list[Tensor], learning_rate: Tensor
    ) -> None:
        torch._fused_sgd_(
            parameters,
            gradients,
            self.moments.get("momentum", []),
            weight_decay=self._weight_decay,
            momentum=self._momentum,
            lr=learning_rate,
            dampening=0.0,
            nesterov=False,
            maximize=False,
            is_first_step=False,
        )


OPTIMIZERS: dict[str, Callable[[list[Tensor], Recipe], Optimizer]] = {
    "adamw": lambda tensors, recipe: _Adam(tensors, recipe.weight_decay, decoupled=True),
    "adam": lambda tensors, recipe: _Adam(tensors, recipe.weight_decay, decoupled=False),
    "sgd": lambda tensors, recipe: _Sgd(tensors, recipe.weight_decay, recipe.momentum),
}


def build_optimizer(parameters: list[Tensor], recipe: Recipe) -> Optimizer:
    """The optimiser that a recipe names, otherwise with PyTorch's defaults."""
    return OPTIMIZERS[recipe.optimizer](parameters, recipe)


def optimizer_tensors(
    optimizer: Optimizer, trim: Callable[[Sequence[Tensor]], list[Tensor]] = list
) -> dict[str, Tensor]:
    """An optimiser's state by name: its own tensors, or views of them.

    `trim` removes the padding from tensors that are shaped like the parameters.
    """
    tensors = dict(optimizer.counters)
    for moment, padded in optimizer.moments.items():
        tensors |= {f"{moment}.{index}": tensor for index, tensor in enumerate(trim(padded))}
    return tensors
