"""What a search space would cost, without training anything."""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sweep.data import data_spec, default_data_dir
from sweep.definitions import FAMILIES, Recipe, view
from sweep.errors import DataError
from sweep.space import SearchSpace

__all__ = ["Estimate", "estimate", "measure_throughput"]

_SAMPLES = 512


@dataclass(frozen=True, slots=True)
class Estimate:
    """The size of a sweep.

    Attributes:
        num_configurations: How many configurations differ, or None if uncountable.
        num_trials: Trials of the budget, or None if only time limits it.
        max_epochs: The most epochs of all trials together, or None likewise.
        min_parameters: Trainable parameters of the smallest network that was sampled.
        max_parameters: The same of the largest.
        flops_per_trial: Mean operations of the matrix products of a trial that runs to its end.
    """

    num_configurations: int | None
    num_trials: int | None
    max_epochs: int | None
    min_parameters: int
    max_parameters: int
    flops_per_trial: float


def estimate(space: SearchSpace) -> Estimate:
    """Count a sweep, from configurations drawn at random from the space.

    Raises:
        DataError: the validation split leaves nothing to train on.
    """
    spec = data_spec(space.dataset.settings(default_data_dir()))
    held_out = space.dataset.validation
    num_train = spec.num_pool - (spec.num_pool // 6 if held_out is None else held_out)
    if num_train < 1:
        raise DataError(
            f"dataset.validation must be below {spec.num_pool:,}, the size of the training pool "
            f"of {space.dataset.name}; found {held_out:,}"
        )
    draw = _Random(random.Random(0))  # noqa: S311 - an estimate, not a secret
    sizes, flops = [], []
    for _ in range(_SAMPLES):
        params = space.suggest(draw)
        cost = FAMILIES[space.model].cost(params, spec)
        sizes.append(cost.num_parameters)
        flops.append(cost.example_flops * num_train * view(Recipe, params).epochs)
    trials = space.num_trials
    return Estimate(
        num_configurations=space.num_configurations,
        num_trials=trials,
        max_epochs=None if trials is None else trials * space.max_epochs,
        min_parameters=min(sizes),
        max_parameters=max(sizes),
        flops_per_trial=statistics.fmean(flops),
    )


def measure_throughput(seconds: float = 0.2) -> float:
    """Floating-point operations a second of float32 matrix products on this machine's CPU."""
    left, right = np.ones((512, 512), np.float32), np.ones((512, 512), np.float32)
    left @ right  # the first product starts the threads
    count, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
        left @ right
        count += 1
    return count * 2 * 512**3 / elapsed


class _Random:
    """Draws each value at random (a `sweep.space.Suggester`)."""

    def __init__(self, generator: random.Random) -> None:
        self._generator = generator

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        if log:
            return round(self.suggest_float(name, low, high, step=None, log=True))
        return low + step * self._generator.randint(0, (high - low) // step)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None, log: bool
    ) -> float:
        if log:
            return math.exp(self._generator.uniform(math.log(low), math.log(high)))
        return self._generator.uniform(low, high)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._generator.choice(choices)
