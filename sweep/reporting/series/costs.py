"""What trials cost, and their values against each cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from sweep.definitions import definition_of, require_valid, with_defaults
from sweep.records import StudyRecord, TrialRecord, contenders, pareto_front
from sweep.reporting.series.curves import label
from sweep.reporting.statistics import Interval, heights
from sweep.space import SearchSpace
from sweep.words import percent_or_number

__all__ = ["CostPanel", "Costs", "FrontCurves", "front_curves", "trial_costs"]

Costs = Mapping[str, Mapping[int, float]]
"""By name of the cost, then by number of the trial; a trial whose cost is unknown is missing."""

_LARGEST = 1e100  # a stranger's store may hold any number

# The costs with the labels of their axes and the units there.
_AXES = {
    "num_parameters": ("Parameters (thousands)", 1e3),
    "flops": ("MFLOP per example", 1e6),
}


@dataclass(frozen=True, slots=True, eq=False)
class CostPanel:
    """Trials against one cost.

    Attributes:
        label: Of the cost's axis.
        trials: `cost`, `height` and `text` of each contender, by number.
        front: `cost`, `height`, and `low` and `high` of its interval (NaN if unknown) of each trial
            of the front, by ascending cost.
    """

    label: str
    trials: pd.DataFrame
    front: pd.DataFrame


@dataclass(frozen=True, slots=True, eq=False)
class FrontCurves:
    """The panels of a figure; `label` is of the heights."""

    label: str
    panels: tuple[CostPanel, ...]
    chosen: int | None


def trial_costs(record: StudyRecord, space: SearchSpace) -> Costs:
    """What each contender for a front costs: see `sweep.reporting.front.FrontRow`."""
    found: dict[str, dict[int, float]] = {name: {} for name in _AXES}
    for trial in contenders(record):
        outcome = trial.outcome
        assert outcome is not None  # noqa: S101 - for the type checker: it has a value
        costs = {
            "num_parameters": outcome.num_parameters,
            "flops": _flops(record, space, trial),
        }
        for name, cost in costs.items():
            if 0 < cost < _LARGEST:  # 0 is unknown
                found[name][trial.number] = cost
    return found


def _flops(record: StudyRecord, space: SearchSpace, trial: TrialRecord) -> int:
    """Those of one training example's matrix products.

    0 for an own network, and for a configuration that this version of the model cannot have.
    """
    definition = definition_of(space.model)
    try:
        require_valid(definition.parameters, with_defaults(definition.parameters, trial.params))
    except ValueError:
        return 0
    return definition.cost(trial.params, record.data.spec).example_flops


def front_curves(
    record: StudyRecord, costs: Costs, intervals: Mapping[int, Interval], chosen: int | None
) -> FrontCurves | None:
    """The contenders against each cost in which they differ; None if there is no such cost.

    `intervals` are those of the values, by number.
    """
    metric = record.objective.metric
    trials = contenders(record)
    shown = pd.Series(
        heights([record.value(trial) for trial in trials], metric, record),
        index=[trial.number for trial in trials],
    )
    said = {
        trial.number: f"trial {trial.number}: {percent_or_number(metric, record.value(trial))}"
        for trial in trials
    }
    panels = []
    for name, (axis, unit) in _AXES.items():
        cost = pd.Series(costs[name], dtype=float) / unit
        if cost.nunique() < 2:
            continue
        numbers = [trial.number for trial in pareto_front(record, costs[name])][::-1]
        frame = pd.DataFrame({"cost": cost, "height": shown.loc[cost.index]})
        frame["text"] = [f"{said[number]}, {cost[number]:,.4g}" for number in cost.index]
        ends = [heights(intervals.get(n, (math.nan,) * 2), metric, record) for n in numbers]
        front = frame.loc[numbers].assign(low=[min(e) for e in ends], high=[max(e) for e in ends])
        panels.append(CostPanel(axis, frame, front))
    return FrontCurves(label(record), tuple(panels), chosen) if panels else None
