"""Configurations that stand for a search space: what they cost, and which of them are measured."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from sweep.definitions import Cost, Recipe, Scalar, definition_of, view
from sweep.execution import MAX_LANES
from sweep.execution.inspection import Inspector
from sweep.records import (
    CalibrationRequest,
    DataSpec,
    Model,
    Probed,
    TrialConfig,
)
from sweep.space import SearchSpace, random_configurations

__all__ = ["Representative", "calibration_request", "mixed", "representatives", "trial_flops"]

_SAMPLES = 256
_BUILT_SAMPLES = 20  # of a user's network
# Where in the order of work the networks to be measured stand.
_QUANTILES = (1 / 6, 1 / 2, 5 / 6)
# The most floating-point operations of a step that is measured, so that several steps fit into the
# time of a calibration.
_STEP_FLOPS = {"cpu": 5e9, "cuda": 1e12}


@dataclass(frozen=True, slots=True)
class Representative:
    """A configuration drawn at random, and what its network costs.

    `example_flops` are floating-point operations of the matrix products of one training example.
    """

    params: Mapping[str, Scalar]
    recipe: Recipe
    num_parameters: int
    example_flops: int

    @property
    def step_flops(self) -> int:
        """Of the matrix products of a training step."""
        return self.example_flops * self.recipe.batch_size


def representatives(
    space: SearchSpace, spec: DataSpec, inspector: Inspector | None = None
) -> list[Representative]:
    """Configurations of a space, always the same ones, those left out that cannot be built.

    `inspector` builds a user's network, whose cost is not known otherwise.
    """
    drawn = random_configurations(space, _SAMPLES if inspector is None else _BUILT_SAMPLES)
    costs: Sequence[Cost | Probed]
    if inspector is None:
        costs = [definition_of(space.model).cost(params, spec) for params in drawn]
    else:
        costs = inspector.costs(spec, drawn)
    return [
        Representative(params, view(Recipe, params), cost.num_parameters, cost.example_flops)
        for params, cost in zip(drawn, costs, strict=True)
        if cost.num_parameters  # none where a user's network does not work
    ]


def trial_flops(found: Sequence[Representative], num_train: int) -> float:
    """Floating-point operations of a trial that is not pruned, the mean; 0 without any."""
    flops = [each.example_flops * each.recipe.epochs * num_train for each in found]
    return sum(flops) / max(1, len(flops))


def calibration_request(
    found: Sequence[Representative],
    model: Model,
    spec: DataSpec,
    *,
    device: str,
    engine: str,
    num_cores: int,
    precision: str,
    num_validation: int,
) -> CalibrationRequest | None:
    """What to measure for a study; None if none of its networks can be built.

    `model` is the study's, with code that may be run.
    """
    ordered = sorted(found, key=lambda each: each.step_flops)
    if not ordered:
        return None
    chosen = {
        each.step_flops: each for each in (ordered[int(len(ordered) * at)] for at in _QUANTILES)
    }
    kind = device.split(":")[0]

    def lanes(step_flops: int) -> tuple[int, ...]:
        if engine == "sequential":
            return (1,)
        most = _num_lanes(kind, step_flops, MAX_LANES[kind])
        return tuple(sorted({1, math.isqrt(most), most}))

    mix = [] if engine == "sequential" else mixed(found, kind)
    return CalibrationRequest(
        model=model,
        spec=spec,
        device=device,
        engine=engine,
        precision=precision,
        num_cores=num_cores,
        num_validation=num_validation,
        configs=tuple(_config(number, each) for number, each in enumerate(chosen.values())),
        step_flops=tuple(chosen),
        lanes=tuple(map(lanes, chosen)),
        mix=tuple(_config(number, each) for number, each in enumerate(mix)),
        mix_flops=round(fmean(each.step_flops for each in mix)) if mix else 0,
    )


def mixed(found: Sequence[Representative], kind: str) -> list[Representative]:
    """Configurations that stand for a stack of a study on this kind of device.

    A worker is filled when it is empty, and again whenever it is half empty: half of the most lanes
    are usual. Lanes of a stack have one batch size.
    """
    usual = Counter(each.recipe.batch_size for each in found).most_common(1)[0][0]
    alike = [each for each in found if each.recipe.batch_size == usual]
    flops = fmean(each.step_flops for each in alike)
    return alike[: _num_lanes(kind, flops, MAX_LANES[kind] // 2)]


def _num_lanes(kind: str, step_flops: float, most: int) -> int:
    """How many lanes of so much work can be measured; up to two always."""
    return int(min(most, max(2, _STEP_FLOPS[kind] / max(1, step_flops))))


def _config(number: int, found: Representative) -> TrialConfig:
    return TrialConfig(number, seed=number, params=dict(found.params))
