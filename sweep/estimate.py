"""What `sweep check` says: the data, and the cost of a search space estimated without training."""

from __future__ import annotations

import math
import os
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sweep.data import DataOverview, data_overview, data_settings
from sweep.definitions import FAMILIES, Recipe, view
from sweep.records import DataSpec
from sweep.runner.argument_rules import read_argument
from sweep.space import SearchSpace, load_space, require_suited, step_value

__all__ = ["Check", "Estimate", "check", "estimate", "measure_throughput"]

_SAMPLES = 512


@dataclass(frozen=True, slots=True)
class Estimate:
    """The size of a sweep."""

    num_configurations: int | None  # None: uncountable
    num_trials: int | None  # None: only time limits the sweep
    max_epochs: int | None  # of all trials together
    min_parameters: int  # of the networks that were sampled
    max_parameters: int
    flops_per_trial: float  # mean of the matrix products of a trial that is not pruned


@dataclass(frozen=True, slots=True)
class Check:
    """A valid search space, its data, and its cost."""

    space: SearchSpace
    data: DataOverview
    cost: Estimate


def check(
    space: SearchSpace | str | os.PathLike[str] | Mapping[str, Any],
    *,
    data_dir: str | os.PathLike[str] | None = None,
) -> Check:
    """Validate a search space, describe its data and estimate its cost. Trains nothing.

    Nothing is downloaded: a data set that is not on this machine is not read.

    Args:
        space: A search space, the path of its YAML file, or the file's content as a mapping.
        data_dir: Folder of local data sets, and what the paths of own data start from; if None,
            `$SWEEP_DATA_DIR` or `data/`, and the folder of the search space.

    Raises:
        InputError: the search space is invalid, does not suit the data, or these cannot be used.
    """
    data_dir = None if data_dir is None else read_argument("data_dir", data_dir)
    if not isinstance(space, SearchSpace):
        space = load_space(space)
    data = data_overview(data_settings(space.dataset, data_dir))
    require_suited(space, data.spec)
    return Check(space, data, estimate(space, data.spec, data.num_train))


def estimate(space: SearchSpace, spec: DataSpec, num_train: int) -> Estimate:
    """Estimate a sweep on so many training examples from configurations drawn at random."""
    draw = _Random(0)
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
    """Floating-point operations per second of float32 matrix products on this CPU."""
    left, right = np.ones((512, 512), np.float32), np.ones((512, 512), np.float32)
    left @ right  # the first product starts the threads
    count, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
        left @ right
        count += 1
    return count * 2 * 512**3 / elapsed


class _Random(random.Random):
    """Draws each value at random, a `sweep.space.Suggester`."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        if log:
            return round(self.suggest_float(name, low, high, step=None, log=True))
        return low + step * self.randint(0, (high - low) // step)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None, log: bool
    ) -> float:
        if log:
            return math.exp(self.uniform(math.log(low), math.log(high)))
        if step is not None:
            return step_value(low, step, self.randint(0, round((high - low) / step)))
        return self.uniform(low, high)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self.choice(choices)
