"""The front of value against a cost, held to its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers import make_metrics

from sweep.records import (
    DataFacts,
    DataSpec,
    Objective,
    StudyRecord,
    StudyState,
    TrialOutcome,
    TrialRecord,
    TrialState,
    contenders,
    pareto_front,
    size_front,
)

ACCURACY = Objective("validation_accuracy", "maximize")
LOSS = Objective("validation_loss", "minimize")
COMPLETE = TrialState.COMPLETE


def study(
    *trials: tuple[float, int],
    objective: Objective = ACCURACY,
    losses: list[float] | None = None,
    states: dict[int, TrialState] | None = None,
) -> StudyRecord:
    """Trials with these values and numbers of parameters."""
    records = []
    for number, (value, size) in enumerate(trials):
        state = (states or {}).get(number, COMPLETE)
        loss = value if objective is LOSS else (losses or [1.0] * len(trials))[number]
        history = (make_metrics(number, 1, value, loss),)
        outcome = TrialOutcome(number, state, history, num_parameters=size, best_epoch=1)
        records.append(TrialRecord(number, state, {"epochs": 1}, {1: value}, outcome))
    data = DataFacts(DataSpec("table", (1,), ("a", "b"), 10, 5), "", b"")
    state = StudyState.FINISHED
    return StudyRecord("x", state, {}, objective, None, None, data, tuple(records), ())


def numbers(trials: list[TrialRecord]) -> list[int]:
    return [trial.number for trial in trials]


def by_definition(record: StudyRecord, costs: dict[int, float]) -> set[int]:
    """Every trial before which no other stands, by looking at all pairs."""
    ranks = {trial.number: rank for rank, trial in enumerate(record.ranked())}

    def stands_before(other: TrialRecord, trial: TrialRecord) -> bool:
        value, mine = record.value(other), record.value(trial)
        as_good = value == mine or record.objective.is_better(value, mine)
        cost, own_cost = costs[other.number], costs[trial.number]
        alike = value == mine and cost == own_cost
        return (
            as_good
            and cost <= own_cost
            and (not alike or ranks[other.number] < ranks[trial.number])
        )

    known = [trial for trial in record.ranked() if trial.number in costs]
    return {
        trial.number
        for trial in known
        if not any(stands_before(other, trial) for other in known if other is not trial)
    }


@pytest.mark.parametrize("objective", [ACCURACY, LOSS])
def test_it_is_what_looking_at_all_pairs_finds(objective):
    """Few different values and costs, so that many are equal."""
    found_sizes: set[int] = set()
    for seed in range(200):
        draw = np.random.default_rng(seed)
        num = int(draw.integers(1, 20))
        values, sizes = draw.integers(0, 8, num) / 8, draw.integers(1, 8, num).tolist()
        losses = draw.choice([0.1, 0.2], num).tolist()
        trials = zip(values.tolist(), sizes, strict=True)
        record = study(*trials, objective=objective, losses=losses)
        costs = {n: size for n, size in enumerate(sizes) if draw.random() < 0.9}
        front = pareto_front(record, costs)
        assert {*numbers(front)} == by_definition(record, costs)
        found = [record.value(trial) for trial in front]
        assert found == sorted(found, reverse=objective is ACCURACY), "best first"
        found_sizes.add(len(front))
    assert found_sizes >= {1, 2, 3}


def test_of_equal_trials_at_one_cost_the_first_by_rank_is_taken():
    record = study((0.9, 10), (0.9, 10), (0.9, 10), losses=[0.3, 0.2, 0.2])
    assert numbers(size_front(record)) == [1]


def test_of_equal_values_the_smallest_is_taken_whatever_its_loss():
    record = study((0.9, 30), (0.9, 10), losses=[0.1, 0.4])
    assert record.best.number == 0
    assert numbers(size_front(record)) == [1]


def test_only_complete_trials_with_a_finite_value_take_part():
    states = {0: TrialState.PRUNED, 1: TrialState.FAIL}
    record = study((0.99, 1), (0.99, 1), (math.inf, 1), (0.8, 7), (0.7, 5), states=states)
    assert numbers(contenders(record)) == [3, 4]
    assert numbers(size_front(record)) == [3, 4]


def test_without_a_complete_trial_there_is_none():
    assert size_front(study((0.9, 1), states={0: TrialState.PRUNED})) == []
    assert size_front(study()) == []
