"""Which trials are worth what they cost: the front of a study's value against a cost.

The report draws it, and `confirm --front` trains it again: both ask here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from sweep.records.study import StudyRecord, TrialRecord


def contenders(record: StudyRecord) -> list[TrialRecord]:
    """The trials that may be on a front: COMPLETE ones with a finite value, best first."""
    return [trial for trial in record.ranked() if math.isfinite(_value(record, trial))]


def pareto_front(record: StudyRecord, costs: Mapping[int, float]) -> list[TrialRecord]:
    """The contenders that no other beats or equals in value while it costs no more, best first.

    Of several with the same value at the same cost the first by rank is taken (see
    `Objective.rank`). `costs` are by number; a trial without one takes no part.
    """
    sign = -1 if record.objective.goal == "maximize" else 1
    ordered = sorted(  # the sort is stable
        (trial for trial in contenders(record) if trial.number in costs),
        key=lambda trial: (sign * _value(record, trial), costs[trial.number]),
    )
    front: list[TrialRecord] = []
    for trial in ordered:
        if not front or costs[trial.number] < costs[front[-1].number]:
            front.append(trial)
    return front


def size_front(record: StudyRecord) -> list[TrialRecord]:
    """The front against the number of parameters."""
    outcomes = [trial.outcome for trial in record.trials if trial.outcome]
    return pareto_front(record, {outcome.trial: outcome.num_parameters for outcome in outcomes})


def _value(record: StudyRecord, trial: TrialRecord) -> float:
    value = record.value(trial)
    return math.nan if value is None else value
