"""Learning rates in closed form, so that a step needs no earlier one."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from sweep.definitions import Recipe

__all__ = ["SCHEDULES", "learning_rates"]

# The constants of torch.optim.lr_scheduler.OneCycleLR, after Smith and Topin (2019).
_WARM_UP = 0.3
_START = 1 / 25
_END = _START / 1e4


def _cosine(step: int, num_steps: int) -> float:
    """Half a cosine from 1 to 0 (Loshchilov and Hutter, 2017, without restarts)."""
    return 0.5 * (1 + math.cos(math.pi * step / num_steps))


def _one_cycle(step: int, num_steps: int) -> float:
    """Cosine rise over the first 30% of the steps, then cosine fall to almost zero."""
    peak = _WARM_UP * num_steps - 1
    if step <= peak:
        return _between(_START, 1.0, step / peak)
    return _between(1.0, _END, (step - peak) / (num_steps - 1 - peak))


def _between(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))


SCHEDULES: dict[str, Callable[[int, int], float]] = {
    "constant": lambda _step, _num_steps: 1.0,
    "cosine": _cosine,
    "one_cycle": _one_cycle,
}
"""The fraction of the peak rate at a step (0 is the first), given the trial's total of steps."""


def learning_rates(
    recipe: Recipe, epoch: int, num_steps: int, device: torch.device
) -> torch.Tensor:
    """The learning rates of one epoch's steps, shape (num_steps,); the first epoch is 0.

    Warm-up rises in equal steps, from one of them up to the peak, where the schedule takes over and
    makes the rest of the trial's steps its own (Goyal et al., 2017); one_cycle has a rise already.
    float64 on the CPU, whose optimiser kernels read a double; float32 on a GPU, whose read a float.
    """
    shares = _shares(recipe.learning_rate_schedule, recipe.warmup, recipe.epochs, epoch, num_steps)
    dtype = torch.float64 if device.type == "cpu" else torch.float32
    return torch.tensor(recipe.learning_rate * shares, dtype=dtype, device=device)


@lru_cache(maxsize=64)
def _shares(
    name: str, warmup: float, epochs: int, epoch: int, num_steps: int
) -> NDArray[np.float64]:
    """The fraction of the peak rate at each step of an epoch.

    Kept, since a stack has many lanes with one schedule, and a GPU waits while an epoch begins.
    """
    schedule = SCHEDULES[name]
    total = epochs * num_steps
    num_rising = 0 if schedule is _one_cycle else int(warmup * total)
    shares = [
        (step + 1) / (num_rising + 1)
        if step < num_rising
        else schedule(step - num_rising, total - num_rising)
        for step in range(epoch * num_steps, (epoch + 1) * num_steps)
    ]
    return np.array(shares)
