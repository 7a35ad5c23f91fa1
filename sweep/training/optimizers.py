"""Optimisers by name, most with one fused kernel for all tensors of a network.

The classes of `torch.optim` import the compiler, which costs each worker almost two seconds, and
spend longer on sorting their arguments than a small network's update takes. The kernels beneath
them do the same arithmetic; tests compare them with the classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from sweep.definitions import Recipe

__all__ = ["OPTIMIZERS", "Optimizer", "build_optimizer", "optimizer_tensors", "orthogonalized"]

_BETAS = (0.9, 0.999)
_MUON_MOMENTUM = 0.95


class Optimizer(Protocol):
    """Updates the tensors of one network.

    `moments` hold lists of tensors shaped like the parameters; `counters` the rest of its state.
    """

    moments: dict[str, list[Tensor]]
    counters: dict[str, Tensor]

    def step(
        self,
        parameters: list[Tensor],
        gradients: list[Tensor],
        learning_rate: Tensor,
        skipped: Tensor | None = None,
    ) -> None:
        """Update every parameter in place; `learning_rate` is one number, on their device.

        The parameters may have moved since the optimiser was built. What the gradients hold
        afterwards is of no use. Where `skipped` is 1, not 0, nothing changes, whatever they hold.
        """
        ...


class _Adam:
    """Adam, which adds the decay to the gradient, or AdamW, which decouples it.

    `steps` taken correct the bias of zero moments; with infinitely many there is none to correct.
    """

    def __init__(
        self,
        parameters: list[Tensor],
        weight_decay: float,
        *,
        decoupled: bool = False,
        betas: tuple[float, float] = _BETAS,
        steps: float = 0.0,
    ) -> None:
        self._weight_decay = weight_decay
        self._betas = betas
        self._update = torch._fused_adamw_ if decoupled else torch._fused_adam_
        self.moments = {
            "mean": [torch.zeros_like(p) for p in parameters],
            "square": [torch.zeros_like(p) for p in parameters],
        }
        # One counter for all tensors: the kernel only reads it.
        self.counters = {"steps": torch.full((), steps, device=parameters[0].device)}

    @torch.no_grad()
    def step(
        self,
        parameters: list[Tensor],
        gradients: list[Tensor],
        learning_rate: Tensor,
        skipped: Tensor | None = None,
    ) -> None:
        steps = self.counters["steps"].add_(1)
        if skipped is not None:
            steps.sub_(skipped)
        self._update(
            parameters,
            gradients,
            self.moments["mean"],
            self.moments["square"],
            [],
            [steps] * len(parameters),
            lr=learning_rate,
            beta1=self._betas[0],
            beta2=self._betas[1],
            weight_decay=self._weight_decay,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
            found_inf=skipped,
        )


class _NAdam:
    """Adam with Nesterov's momentum (Dozat 2016), by Adam's kernel.

    It moves along a g + b m, for the gradient g and its mean m, itself included; Adam's kernel
    moves along m. Given another mean of the past, the kernel moves along the former.
    """

    def __init__(self, parameters: list[Tensor], weight_decay: float) -> None:
        self._weight_decay = weight_decay
        self.moments = {
            "mean": [torch.zeros_like(p) for p in parameters],
            "square": [torch.zeros_like(p) for p in parameters],
        }
        # beta, and what moves the momentum of this step and of the next one up to beta.
        beta, decay = _BETAS[0], 0.96**0.004
        like = parameters[0].new_zeros((), dtype=torch.float64, requires_grad=False)
        self._one = like + 1
        self._factors = like.new_tensor([beta, decay, decay])
        self._limits = like.new_tensor([1.0, beta, beta])
        self._slopes = like.new_tensor([-1.0, -beta / 2, -beta / 2])
        self.counters = {
            "steps": like.float(),
            "powers": like.new_tensor([1.0, 1.0, decay]),
            "momentum_product": self._one.clone(),
        }

    @torch.no_grad()
    def step(
        self,
        parameters: list[Tensor],
        gradients: list[Tensor],
        learning_rate: Tensor,
        skipped: Tensor | None = None,
    ) -> None:
        if skipped is not None:
            _step_or_undo(self, parameters, gradients, learning_rate, skipped)
            return
        beta, beta_of_squares = _BETAS
        if self._weight_decay:
            torch._foreach_add_(gradients, parameters, alpha=self._weight_decay)
        one, steps = self._one, self.counters["steps"].add_(1)
        powers = self.counters["powers"].mul_(self._factors)
        correction, momentum, following = torch.addcmul(self._limits, powers, self._slopes).unbind()
        product = self.counters["momentum_product"].mul_(momentum)
        of_mean = following / (one - product * following)
        total = torch.addcdiv(of_mean, one - momentum, one - product, value=1 / (1 - beta))
        past_share = (of_mean / total).to(parameters[0].dtype)
        torch._fused_adam_(
            parameters,
            gradients,
            torch._foreach_mul(self.moments["mean"], past_share),
            self.moments["square"],
            [],
            [steps] * len(parameters),
            lr=(learning_rate * total * correction).to(learning_rate.dtype),
            beta1=beta,
            beta2=beta_of_squares,
            weight_decay=0.0,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )
        torch._foreach_lerp_(self.moments["mean"], gradients, 1 - beta)


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
        self,
        parameters: list[Tensor],
        gradients: list[Tensor],
        learning_rate: Tensor,
        skipped: Tensor | None = None,
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
            found_inf=skipped,
        )


class _Muon:
    """Muon for hidden matrices, AdamW for all else (Jordan et al. 2024).

    Hidden matrices are the weights of two or more dimensions but the first and the last one, in
    the order of the parameters; a convolution's is flattened to (out, rest). Steps are as long as
    AdamW's (Liu et al. 2025), so that one learning rate and one decay serve both.
    """

    def __init__(
        self, parameters: list[Tensor], weight_decay: float, shapes: Sequence[torch.Size]
    ) -> None:
        self._weight_decay = weight_decay
        hidden = [index for index, shape in enumerate(shapes) if len(shape) >= 2][1:-1]
        self._others = [index for index in range(len(parameters)) if index not in hidden]
        self._adamw = _Adam([parameters[n] for n in self._others], weight_decay, decoupled=True)
        self._alike: dict[tuple[torch.Size, torch.Size], list[int]] = {}
        for index in hidden:
            self._alike.setdefault((shapes[index], parameters[index].shape), []).append(index)
        # Lists of all parameters, as in any optimiser; the squares of hidden matrices stay zero.
        self.moments = {
            name: [torch.zeros_like(p) for p in parameters] for name in self._adamw.moments
        }
        for name, moments in self.moments.items():
            self._adamw.moments[name] = [moments[n] for n in self._others]
        self.counters = self._adamw.counters

    @torch.no_grad()
    def step(
        self,
        parameters: list[Tensor],
        gradients: list[Tensor],
        learning_rate: Tensor,
        skipped: Tensor | None = None,
    ) -> None:
        if skipped is not None:
            _step_or_undo(self, parameters, gradients, learning_rate, skipped)
            return
        self._adamw.step(
            [parameters[n] for n in self._others],
            [gradients[n] for n in self._others],
            learning_rate,
        )
        for (shape, _), indices in self._alike.items():
            matrices = [parameters[n] for n in indices]
            slopes = [gradients[n] for n in indices]
            means = [self.moments["mean"][n] for n in indices]
            torch._foreach_lerp_(means, slopes, 1 - _MUON_MOMENTUM)
            ahead = torch.stack(torch._foreach_lerp(slopes, means, _MUON_MOMENTUM))
            length = 0.2 * math.sqrt(max(shape[0], shape.numel() // shape[0]))
            rate = learning_rate.to(ahead.dtype)
            updates = orthogonalized(ahead.flatten(2)).view_as(ahead) * (rate * -length)
            torch._foreach_mul_(matrices, 1 - rate * self._weight_decay)
            torch._foreach_add_(matrices, updates.unbind())


def _step_or_undo(
    optimizer: Optimizer,
    parameters: list[Tensor],
    gradients: list[Tensor],
    learning_rate: Tensor,
    skipped: Tensor,
) -> None:
    """Skip a step where not all is done by kernels that can: take it and restore what was."""
    tensors = [*parameters, *optimizer_tensors(optimizer).values()]
    former = [tensor.clone() for tensor in tensors]
    optimizer.step(parameters, gradients, learning_rate)
    for tensor, old in zip(tensors, former, strict=True):
        tensor.copy_(torch.where(skipped > 0, old, tensor))


def orthogonalized(matrices: Tensor) -> Tensor:
    """Nearly orthogonal matrices near to these, shape (n, rows, columns): singular values about 1.

    Five Newton-Schulz iterations with the coefficients of Jordan et al. (2024), in the precision of
    the matrices. Rows and columns of zeros stay zero and change no others.
    """
    is_tall = matrices.shape[1] > matrices.shape[2]
    result = matrices.mT if is_tall else matrices
    result = result / torch.linalg.vector_norm(result, dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(5):
        gram = result @ result.mT
        change = torch.baddbmm(gram, gram, gram, beta=-4.7750, alpha=2.0315)
        result = torch.baddbmm(result, change, result, beta=3.4445)
    return result.mT if is_tall else result


_Build = Callable[[list[Tensor], Recipe, Sequence[torch.Size]], Optimizer]

OPTIMIZERS: dict[str, _Build] = {
    "adamw": lambda tensors, recipe, _: _Adam(tensors, recipe.weight_decay, decoupled=True),
    "adam": lambda tensors, recipe, _: _Adam(tensors, recipe.weight_decay),
    "sgd": lambda tensors, recipe, _: _Sgd(tensors, recipe.weight_decay, recipe.momentum),
    # The mean is the last gradient.
    "rmsprop": lambda tensors, recipe, _: _Adam(
        tensors, recipe.weight_decay, betas=(0.0, 0.99), steps=math.inf
    ),
    "nadam": lambda tensors, recipe, _: _NAdam(tensors, recipe.weight_decay),
    "muon": lambda tensors, recipe, shapes: _Muon(tensors, recipe.weight_decay, shapes),
}


def build_optimizer(
    parameters: list[Tensor], recipe: Recipe, shapes: Sequence[torch.Size] | None = None
) -> Optimizer:
    """The optimiser that a recipe names, otherwise with PyTorch's defaults.

    `shapes` are those of the network's parameters; None if these are not padded.
    """
    if shapes is None:
        shapes = [parameter.shape for parameter in parameters]
    return OPTIMIZERS[recipe.optimizer](parameters, recipe, shapes)


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
