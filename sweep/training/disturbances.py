"""Noise and dropout on the inputs of training steps, the same numbers in both engines.

A step draws a trial's noise first, then its mask, both shaped (B, *input_shape), and then whatever
its network draws, all from the trial's own generator.

Shape legend: B batch, K lanes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sweep.definitions import Recipe

__all__ = ["disturb", "disturb_lanes"]


def disturb(inputs: Tensor, recipe: Recipe, generator: torch.Generator) -> None:
    """Change a trial's normalised inputs, shape (B, *input_shape), in place as its recipe says.

    Gaussian noise is added (Bishop 1995); then each input is set to 0 with the recipe's probability
    and scaled up otherwise, so that its mean stays (Srivastava et al. 2014).
    """
    if recipe.input_noise:
        noise = torch.empty_like(inputs).normal_(generator=generator)
        inputs.add_(noise, alpha=recipe.input_noise)
    if recipe.input_dropout:
        keep = 1 - recipe.input_dropout
        # Half the time of `bernoulli_` on a CPU.
        mask = torch.empty_like(inputs).uniform_(generator=generator).lt_(keep)
        inputs.mul_(mask.mul_(1 / keep))


def disturb_lanes(
    inputs: Tensor,
    input_shape: Sequence[int],
    recipes: Sequence[Recipe],
    generators: Sequence[torch.Generator],
) -> Tensor:
    """The inputs of each lane, shape (K, B, *input_shape); as they are if no lane disturbs them.

    They may be shared until then, shape (B, *input_shape).
    """
    if not any(recipe.input_noise or recipe.input_dropout for recipe in recipes):
        return inputs
    is_shared = inputs.dim() == 1 + len(input_shape)
    lanes = inputs.expand(len(recipes), *inputs.shape).contiguous() if is_shared else inputs
    for lane, recipe, generator in zip(lanes.unbind(), recipes, generators, strict=True):
        disturb(lane, recipe, generator)
    return lanes
