"""What a step does to one network once its gradients are known, the same in both engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from sweep.definitions import Recipe
from sweep.training.loss_scale import LossScale
from sweep.training.optimizers import build_optimizer, optimizer_tensors

__all__ = ["Update"]


class Update:
    """Clips one network's gradients, optimises and bounds its weights, and averages them.

    Parameters may be padded with zeros, which stay zero. Between two steps they, and the buffers,
    may move.

    Args:
        recipe: Says which of this is done; the rest costs nothing.
        parameters: Those that are trained.
        buffers: What the network keeps besides. Those of floating-point numbers, such as running
            means, are averaged like the parameters.
        shapes: Of the parameters without padding; None if there is none.
        scales_loss: Whether gradients are those of a scaled loss.

    Attributes:
        loss_scale: Scales the trial's loss; a step whose gradients overflow changes nothing else.
            None if the loss is not scaled.
    """

    def __init__(
        self,
        recipe: Recipe,
        parameters: list[Tensor],
        buffers: Sequence[Tensor] = (),
        shapes: Sequence[torch.Size] | None = None,
        *,
        scales_loss: bool = False,
    ) -> None:
        if shapes is None:
            shapes = [parameter.shape for parameter in parameters]
        self._recipe = recipe
        self._weights = [index for index, shape in enumerate(shapes) if len(shape) >= 2]
        self._num_parameters = len(parameters)
        self.loss_scale = LossScale(parameters[0].device) if scales_loss else None
        self.optimizer = build_optimizer(parameters, recipe, shapes)
        self._averages: list[Tensor] = []
        if recipe.weight_averaging:
            self._averages = [each.detach().clone() for each in _averaged(parameters, buffers)]
            # Ten more than the steps before this one, as the warm start has it.
            self._count = parameters[0].new_full((), 10.0, requires_grad=False)

    @torch.no_grad()
    def step(
        self,
        parameters: list[Tensor],
        gradients: list[Tensor],
        learning_rate: Tensor,
        buffers: Sequence[Tensor] = (),
    ) -> None:
        """Update every parameter in place; `learning_rate` is one number, on their device.

        What the gradients hold afterwards is of no use.
        """
        recipe = self._recipe
        skipped = None if self.loss_scale is None else self.loss_scale.unscale(gradients)
        if recipe.gradient_clip:
            _clip(gradients, recipe.gradient_clip)
        self.optimizer.step(parameters, gradients, learning_rate, skipped)
        if recipe.max_norm:
            for index in self._weights:
                _bound(parameters[index], recipe.max_norm, skipped)
        if self._averages:
            # The decay is min(weight_averaging, (1 + t) / (10 + t)) after t steps.
            share = (9 / self._count).clamp_(min=1 - recipe.weight_averaging)
            tensors = _averaged(parameters, buffers)
            if skipped is not None:
                share *= 1 - skipped
                self._count.sub_(skipped)
            torch._foreach_lerp_(self._averages, tensors, [share] * len(tensors))
            self._count.add_(1)

    @contextmanager
    def averaging(
        self, parameters: Sequence[Tensor], buffers: Sequence[Tensor] = ()
    ) -> Iterator[None]:
        """Context in which these hold their averages, if the recipe averages weights."""
        self._exchange(parameters, buffers)
        try:
            yield
        finally:
            self._exchange(parameters, buffers)

    def tensors(self, trim: Callable[[Sequence[Tensor]], list[Tensor]] = list) -> dict[str, Tensor]:
        """The state by name: its own tensors, or views of them.

        `trim` removes the padding from tensors that are shaped like the parameters.
        """
        tensors = optimizer_tensors(self.optimizer, trim)
        if self._averages:
            size = self._num_parameters
            averages = [*trim(self._averages[:size]), *self._averages[size:]]
            tensors |= {f"average.{index}": tensor for index, tensor in enumerate(averages)}
            tensors["average_count"] = self._count
        if self.loss_scale is not None:
            tensors |= self.loss_scale.tensors()
        return tensors

    @torch.no_grad()
    def _exchange(self, parameters: Sequence[Tensor], buffers: Sequence[Tensor]) -> None:
        if not self._averages:
            return
        for average, tensor in zip(self._averages, _averaged(parameters, buffers), strict=True):
            kept = tensor.clone()
            tensor.copy_(average)
            average.copy_(kept)


def _clip(gradients: list[Tensor], norm: float) -> None:
    """Scale down gradients whose norm, all together, is larger; as `clip_grad_norm_` of torch."""
    found = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    torch._foreach_mul_(gradients, (norm / (found + 1e-6)).clamp_(max=1.0))


def _bound(weight: Tensor, norm: float, skipped: Tensor | None) -> None:
    """Scale down rows whose norm is larger, unless the step is skipped."""
    if skipped is None:
        weight.renorm_(2, 0, norm)
    else:
        weight.copy_(torch.where(skipped > 0, weight, weight.renorm(2, 0, norm)))


def _averaged(parameters: Sequence[Tensor], buffers: Sequence[Tensor]) -> list[Tensor]:
    """Which tensors are averaged: a number of batches, say, is not."""
    return [*parameters, *(buffer for buffer in buffers if buffer.is_floating_point())]
