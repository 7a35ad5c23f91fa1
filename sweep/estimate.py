"""What `sweep check` says: the data, and the cost of a search space estimated without a sweep."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import cycle, islice
from statistics import fmean
from typing import Any

from sweep.data import DataOverview, data_overview, data_settings
from sweep.execution import Capacity
from sweep.execution.calibrating import calibrated
from sweep.execution.inspection import Inspector
from sweep.records import Calibration, NetworkSource, WorkerChoices
from sweep.runner.argument_rules import read_argument
from sweep.runner.automatic import course, full_stacks, mixing
from sweep.runner.options import DEFAULTS, Network
from sweep.runner.own_network import network_inspector, require_working, with_source
from sweep.runner.rehearsal import rehearse
from sweep.runner.representatives import (
    Representative,
    calibration_request,
    mixed,
    representatives,
    trial_flops,
)
from sweep.runner.workers import choose_workers
from sweep.space import Acceptance, SearchSpace, acceptance, load_space_for, require_suited

__all__ = ["ERROR", "Check", "Estimate", "check", "estimate"]

ERROR = 0.3
"""How far the seconds of an `Estimate` usually are off at most, as a share: `bench/estimate.py`."""

_REHEARSED = 256  # trials, of one sweep or of several
# What a command takes besides training, over `Calibration.start_seconds`: interpreters start,
# workers take the data and build their first networks, and the store is closed. Measured.
_COMMAND = 1.4


@dataclass(frozen=True, slots=True)
class Estimate:
    """The size of a sweep."""

    num_configurations: int | None  # None: uncountable
    num_trials: int | None  # None: other parts of the budget limit the sweep
    max_epochs: int | None  # of all trials together
    min_parameters: int  # of the networks that were sampled
    max_parameters: int
    flops_per_trial: float  # mean of the matrix products of a trial that is not pruned
    # Of the sweep on this machine if no trial is pruned, with configurations drawn at random,
    # and if all are like the costliest sixth of these; None if that cannot be known.
    seconds: float | None
    most_seconds: float | None
    training: WorkerChoices  # that `auto` comes to here


@dataclass(frozen=True, slots=True)
class Check:
    """A valid search space, its data and its cost, and how much of it meets its constraints."""

    space: SearchSpace
    data: DataOverview
    cost: Estimate
    accepted: Acceptance | None  # None: there are no constraints


def check(
    space: SearchSpace | str | os.PathLike[str] | Mapping[str, Any],
    *,
    data_dir: str | os.PathLike[str] | None = None,
    model: Network | None = None,
) -> Check:
    """Validate a search space, describe its data and estimate its cost.

    Nothing is downloaded: a data set that is not on this machine is not read. The first time, steps
    of a few networks are timed on made-up examples, which takes some two seconds.

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
        space = space.on_data(data.spec)
        if inspector is not None:
            require_working(inspector, space, data.spec)
        accepted = acceptance(space) if space.constraints else None
        return Check(space, data, estimate(space, data, sources, inspector), accepted)


def estimate(
    space: SearchSpace,
    data: DataOverview,
    sources: Sequence[NetworkSource] | None = None,
    inspector: Inspector | None = None,
) -> Estimate:
    """Estimate a sweep from configurations drawn at random, and from this machine's calibration.

    `inspector` builds a user's network from its `sources`.
    """
    found = representatives(space, data.spec, inspector)
    sizes = [each.num_parameters for each in found]
    model = with_source(space.model, tuple(sources or ()), space.name)

    def measure(device: str, engine: str, num_cores: int, precision: str) -> Calibration | None:
        request = calibration_request(
            found,
            model,
            data.spec,
            device=device,
            engine=engine,
            num_cores=num_cores,
            precision=precision,
            num_validation=data.num_validation,
        )
        return None if request is None else calibrated(request)

    training = choose_workers(DEFAULTS, space, measure=measure)
    costliest = sorted(found, key=lambda each: max(1, each.example_flops) * each.recipe.epochs)
    seconds = partial(_seconds, space, data, training, mixed(found, training.device))
    return Estimate(
        num_configurations=space.num_configurations,
        num_trials=space.num_trials,
        max_epochs=_max_epochs(space, training),
        min_parameters=min(sizes),
        max_parameters=max(sizes),
        flops_per_trial=trial_flops(found, data.num_train),
        seconds=seconds(found),
        most_seconds=seconds(costliest[-math.ceil(len(found) / 6) :]),
        training=training,
    )


def _max_epochs(space: SearchSpace, training: WorkerChoices) -> int | None:
    """The most epochs of all trials together, or None if nobody can tell."""
    bounds = []
    if space.num_trials is not None:
        bounds.append(space.num_trials * space.max_epochs)
    if space.budget.epochs is not None:  # trials under way are finished
        under_way = training.workers * training.lanes
        bounds.append(space.budget.epochs - 1 + under_way * space.max_epochs)
    return min(bounds, default=None)


def _seconds(
    space: SearchSpace,
    data: DataOverview,
    training: WorkerChoices,
    mix: Sequence[Representative],
    found: Sequence[Representative],
) -> float | None:
    """Wall time of a sweep of trials like these; None if it cannot be known."""
    known = training.calibration
    times = None if known is None else course(known)
    trials = space.expected_trials
    if known is None or times is None or trials is None:
        return None
    lane_seconds, epoch_seconds = cache(times.lane_seconds), cache(times.epoch_seconds)
    different = mixing(known, times, [each.step_flops for each in mix])

    def stack_seconds(stack: Sequence[Representative]) -> float:
        num_steps = data.num_train / stack[0].recipe.batch_size
        step = sum(lane_seconds(each.step_flops, len(stack)) for each in stack)
        step *= different if len(stack) > 1 else 1.0
        besides = sum(epoch_seconds(each.step_flops) for each in stack)
        return num_steps * step + besides / space.objective.every

    capacity = Capacity(training.lanes, full_stacks(training), space.model, data.spec)
    at_once = min(trials, _REHEARSED)
    turns = cycle(found)
    rehearsed = [
        rehearse(list(islice(turns, at_once)), training.workers, capacity, stack_seconds)
        for _ in range(_REHEARSED // at_once)
    ]
    return _COMMAND * known.start_seconds + fmean(rehearsed) * trials / at_once
