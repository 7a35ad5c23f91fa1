"""Learning-rate schedules in closed form, so that a step needs no earlier one."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from sweep.definitions import Recipe

__all__ = ["SCHEDULES", "learning_rate", "learning_rates"]

# The constants of torch.optim.lr_scheduler.OneCycleLR, after Smith and Topin (2018).
_WARM_UP = 0.3
_START = 1 / 25
_END = _START / 1e4


def _constant(_step: int, _num_steps: int) -> float:
    return 1.0


def _cosine(step: int, num_steps: int) -> float:
    """Half a cosine from 1 to 0 (Loshchilov and Hutter, 2017, without restarts)."""
    return 0.5 * (1 + math.cos(math.pi * step / num_steps))


def _one_cycle(step: int, num_steps: int) -> float:
    """Cosine rise over the first 30 % of the steps, cosine fall to nearly nothing."""
    peak = _WARM_UP * num_steps - 1
    if step <= peak:
        return _between(_START, 1.0, step / peak)
    return _between(1.0, _END, (step - peak) / (num_steps - 1 - peak))


def _between(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))


SCHEDULES: dict[str, Callable[[int, int], float]] = {
    "constant": _constant,
    "cosine": _cosine,
    "one_cycle": _one_cycle,
}


def learning_rate(schedule: str, peak: float, step: int, num_steps: int) -> float:
    """The learning rate of one step.

    Args:
        schedule: A name of `SCHEDULES`.
        peak: The largest rate.
        step: 0 for the first step.
        num_steps: Steps of the whole trial.
    """
    return peak * SCHEDULES[schedule](step, num_steps)


def learning_rates(
    recipe: Recipe, epoch: int, num_steps: int, device: torch.device
) -> torch.Tensor:
    """The learning rates of one epoch's steps, shape (num_steps,).

    float64 on the CPU, whose optimiser kernels read a double; float32 on a GPU, whose read a float.

    Args:
        recipe: Names the schedule, its peak, and the trial's number of epochs.
        epoch: 0 for the first epoch.
        num_steps: Steps of one epoch.
        device: Where the optimiser reads them.
    """
    total = recipe.epochs * num_steps
    rates = [
        learning_rate(recipe.learning_rate_schedule, recipe.learning_rate, step, total)
        for step in range(epoch * num_steps, (epoch + 1) * num_steps)
    ]
    dtype = torch.float64 if device.type == "cpu" else torch.float32
    return torch.tensor(rates, dtype=dtype, device=device)
