"""Grids: every configuration exactly once, whatever the pruner, the domains and the queue."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from typing import Any

import pytest
from helpers import make_metrics, space_mapping
from optuna.storages import InMemoryStorage

from sweep.records import Failure, FailureKind, TrialConfig, TrialOutcome, TrialState
from sweep.space import SearchSpace, grid, load_space
from sweep.study import StudySession

TENTHS = {"low": 0.0, "high": 0.5, "step": 0.1}
CONDITIONAL = {
    "dropout": TENTHS,
    "layer_size": {"choices": [16, 32, 64], "when": {"dropout": [0.3, 0.5]}},
    "num_layers": {"low": 2, "high": 3},
    "activation": {"choices": ["relu", "tanh"], "when": {"num_layers": 3, "layer_size": 32}},
    "epochs": 9,
}
PRUNERS = ["none", "hyperband", "successive_halving", "median", {"type": "patient"}]
ENQUEUED = [
    [],
    [{"dropout": 3 * 0.1, "layer_size": 16, "num_layers": 2}],
    [{"dropout": 0.1, "num_layers": 2, "epochs": 9}] * 3,
    [{"activation": "tanh"}] * 5,
    [{"layer_size": 64}, {}, {"num_layers": 3}],
]


def make_space(**changes: Any) -> SearchSpace:
    return load_space(space_mapping(**{"sampler": "grid", "budget": {}, **changes}))


def configuration(space: SearchSpace, config: TrialConfig, trial: Any) -> tuple[Any, ...]:
    """The active sampled parameters; the store's trial has the same values."""
    params = {name: config.params[name] for name in space.sampled if name in trial.params}
    assert trial.params == params
    return tuple(sorted(params.items()))


def end(session: StudySession, space: SearchSpace, config: TrialConfig) -> None:
    """Prune, fail or complete a trial; some are left RUNNING."""
    match config.number % 5:
        case 0:
            failure = Failure(FailureKind.NAN, "nan")
            session.tell(TrialOutcome(config.number, TrialState.FAIL, failure=failure))
        case 1 | 2:
            session.report(make_metrics(config.number, 1, 0.1 + config.number / 1000))
            metrics = (make_metrics(config.number, 1),)
            session.tell(TrialOutcome(config.number, TrialState.PRUNED, metrics, best_epoch=1))
        case 3:
            metrics = (make_metrics(config.number, 1),)
            session.tell(TrialOutcome(config.number, TrialState.COMPLETE, metrics, best_epoch=1))


def run_all(space: SearchSpace, *, restart: bool) -> list[tuple[Any, ...]]:
    storage = InMemoryStorage()
    session = StudySession(storage, "x", space)
    session.enqueue()
    found = []
    total = space.num_trials
    assert total is not None
    for number in range(total):
        if restart and number % 3 == 0:
            session = StudySession(storage, "x", space)
            session.recover()
        config = session.ask()
        assert config.number == number
        (study,) = storage.get_all_studies()
        trial = storage.get_all_trials(study._study_id)[number]
        found.append(configuration(space, config, trial))
        end(session, space, config)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("pruner", PRUNERS, ids=str)
@pytest.mark.parametrize("enqueue", ENQUEUED, ids=str)
def test_every_configuration_is_run_once(pruner, enqueue):
    space = make_space(parameters=CONDITIONAL, pruner=pruner, enqueue=enqueue)
    found = run_all(space, restart=False)
    whole = [tuple(sorted(each.items())) for each in space.configurations()]
    counts = Counter(found)
    assert counts.keys() == set(whole)
    again = [0, 0, 2, 3, 0][ENQUEUED.index(enqueue)]
    assert sum(counts.values()) == len(whole) + again
    for wanted, got in zip(space.enqueue, found, strict=False):
        assert {name: v for name, v in wanted.items() if name != "epochs"}.items() <= set(got)
    assert run_all(space, restart=True) == found


def test_a_value_of_a_condition_is_sampled_as_it_is_written():
    """By every sampler: Optuna would sample 0.30000000000000004."""
    parameters = {
        "dropout": {"low": 0.2, "high": 0.4, "step": 0.1},
        "layer_size": {"choices": [16, 32], "when": {"dropout": 0.3}},
        "epochs": 1,
    }
    for sampler in ("random", "qmc", {"type": "tpe", "n_startup_trials": 4}, "grid"):
        space = make_space(parameters=parameters, sampler=sampler, budget={"trials": 4})
        session = StudySession(InMemoryStorage(), "x", space)
        for _ in range(4 if sampler == "grid" else 12):
            config = session.ask()
            assert config.params["dropout"] in (0.2, 0.3, 0.4)
            assert (config.params["layer_size"] == 256) == (config.params["dropout"] != 0.3)
            metrics = (make_metrics(config.number, 1),)
            session.tell(TrialOutcome(config.number, TrialState.COMPLETE, metrics, best_epoch=1))


# ---------------------------------------------------------------- the total

SMALL = {"num_layers": {"low": 2, "high": 4}, "layer_size": {"choices": [16, 32]}, "epochs": 1}
ONE = {"num_layers": 2, "layer_size": 16}


@pytest.mark.parametrize(
    ("enqueue", "budget", "total"),
    [
        ([], {}, 6),
        ([ONE], {}, 6),
        ([ONE] * 3, {}, 8),
        ([ONE] * 3, {"trials": 7}, 7),
        ([ONE] * 3, {"trials": 99}, 8),
        ([{"num_layers": 3}] * 2, {}, 6),
        ([{"num_layers": 3}] * 3, {}, 7),
        ([{}] * 7, {}, 7),
    ],
)
def test_what_is_enqueued_again_comes_on_top_of_the_grid(enqueue, budget, total):
    assert make_space(parameters=SMALL, enqueue=enqueue, budget=budget).num_trials == total


# ---------------------------------------------------------------- size

LARGE = {
    "num_layers": {"low": 2, "high": 11},
    "layer_size": {"low": 1, "high": 100},
    "dropout": {"low": 0.0, "high": 0.9, "step": 0.01},
    "epochs": 1,
}


def test_a_trial_of_a_large_grid_costs_no_more_than_one_of_a_small_one(monkeypatch):
    """A configuration is looked up by its number: the others are not listed."""
    looked_up = []
    original = grid.Configurations.__getitem__
    monkeypatch.setattr(
        grid.Configurations,
        "__getitem__",
        lambda self, number: looked_up.append(number) or original(self, number),
    )
    space = make_space(parameters=LARGE)
    assert space.num_configurations == 91_000
    tracemalloc.start()
    session = StudySession(InMemoryStorage(), "x", space)
    configs = [session.ask() for _ in range(20)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(looked_up) == len(set(looked_up)) == 20
    assert len({tuple(config.params.items()) for config in configs}) == 20
    assert peak < 8e6
