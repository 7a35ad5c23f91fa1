"""What `sweep check` says: the data, and the cost of a search space estimated without training."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sweep.data import DataOverview, data_overview, data_settings
from sweep.definitions import Cost, Recipe, definition_of, view
from sweep.execution.inspection import Inspector
from sweep.records import DataSpec, Probed
from sweep.runner.argument_rules import read_argument
from sweep.runner.options import Network
from sweep.runner.own_network import network_inspector, require_working
from sweep.space import SearchSpace, load_space_for, random_configurations, require_suited

__all__ = ["Check", "Estimate", "check", "estimate", "measure_throughput"]

_SAMPLES = 512
_BUILT_SAMPLES = 20  # of a user's network


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
    model: Network | None = None,
) -> Check:
    """Validate a search space, describe its data and estimate its cost. Trains nothing.

    Nothing is downloaded: a data set that is not on this machine is not read.

    Args:
        space: A search space, the path of its YAML file, or the file's content as a mapping.
        data_dir: Folder of local data sets, and what the paths of own data start from; if None,
            `$SWEEP_DATA_DIR` or `data/`, and the folder of the search space.
        model: A network of your own: see `help(sweep.PlaceOptions)`.

    Raises:
        InputError: the search space is invalid or does not suit the data, or the data or the
            network cannot be used.
    """
    data_dir = None if data_dir is None else read_argument("data_dir", data_dir)
    sources = None if model is None else read_argument("model", model)
    with network_inspector(sources) as inspector:
        space = load_space_for(space, network=None if inspector is None else inspector.load())
        data = data_overview(data_settings(space.dataset, data_dir))
        require_suited(space, data.spec)
        if inspector is not None:
            require_working(inspector, space, data.spec)
        return Check(space, data, estimate(space, data.spec, data.num_train, inspector))


def estimate(
    space: SearchSpace, spec: DataSpec, num_train: int, inspector: Inspector | None = None
) -> Estimate:
    """Estimate a sweep on so many training examples from configurations drawn at random.

    `inspector` builds a user's network, whose cost is not known otherwise.
    """
    drawn = random_configurations(space, _SAMPLES if inspector is None else _BUILT_SAMPLES)
    costs: Sequence[Cost | Probed]
    if inspector is None:
        costs = [definition_of(space.model).cost(params, spec) for params in drawn]
    else:
        costs = inspector.costs(spec, drawn)
    sizes, flops = [], []
    for params, cost in zip(drawn, costs, strict=True):
        if cost.num_parameters:  # none where a user's network does not work
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
