"""The study in memory says what the store says, and decides what stock Optuna decides."""

from __future__ import annotations

import tracemalloc
from typing import Any

import optuna
import pytest
from helpers import make_metrics, space_mapping
from optuna.pruners import BasePruner, HyperbandPruner
from optuna.samplers import TPESampler
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage

from sweep.records import Decision, TrialOutcome, TrialState
from sweep.space import SearchSpace, load_space
from sweep.study import StudySession, derive_seed
from sweep.study.forecast import Forecast
from sweep.study.mirror import StudyMirror
from sweep.study.samplers import _TrialSampler
from sweep.study.schedules import build_pruner

EPOCHS = 6
LANES = 3
PARAMETERS = ("num_layers", "learning_rate")
PRUNERS: dict[str, dict[str, Any]] = {
    "hyperband": {"type": "hyperband", "reduction_factor": 2},
    "successive_halving": {"type": "successive_halving", "reduction_factor": 2},
    "median": {"type": "median", "n_startup_trials": 3},
}
CONDITIONAL = {
    "optimizer": {"choices": ["adamw", "sgd"]},
    "momentum": {"low": 0.0, "high": 0.9, "when": {"optimizer": "sgd"}},
}


def make_space(**changes: Any) -> SearchSpace:
    parameters = {
        "num_layers": {"low": 1, "high": 4},
        "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
        "epochs": EPOCHS,
        **changes.pop("parameters", {}),
    }
    sampler = {"type": "tpe", "seed": 5, "n_startup_trials": 4, **changes.pop("sampler", {})}
    return load_space(space_mapping(parameters=parameters, sampler=sampler, **changes))


def accuracy(num_layers: int, learning_rate: float, epoch: int) -> float:
    return (1 - abs(num_layers - 2) / 10 - learning_rate) * epoch / EPOCHS


def by_session(storage: BaseStorage, space: SearchSpace, count: int) -> list[Any]:
    """Configurations and decisions of a session with several trials under way."""
    session = StudySession(storage, "x", space)
    said: list[Any] = []
    for _ in range(0, count, LANES):
        lanes = {config.number: config for config in (session.ask() for _ in range(LANES))}
        said += [{name: config.params[name] for name in PARAMETERS} for config in lanes.values()]
        for epoch in range(1, EPOCHS + 1):
            for number, config in list(lanes.items()):
                value = accuracy(*(config.params[name] for name in PARAMETERS), epoch)
                metrics = make_metrics(number, epoch, value)
                decision = session.report(metrics)
                said.append((number, epoch, decision is Decision.PRUNE))
                done = epoch == EPOCHS
                if decision is Decision.PRUNE or done:
                    state = TrialState.COMPLETE if done else TrialState.PRUNED
                    session.tell(TrialOutcome(number, state, (metrics,), best_epoch=metrics.epoch))
                    del lanes[number]
    return said


def stock_pruner(space: SearchSpace) -> BasePruner:
    if space.pruner.type != "hyperband":
        return build_pruner(space)
    return HyperbandPruner(max_resource=EPOCHS, **space.pruner.model_dump(exclude={"type"}))


def by_stock_optuna(storage: BaseStorage, space: SearchSpace, count: int) -> list[Any]:
    """The same study in Optuna's own words, each trial with its own new sampler."""
    study = optuna.create_study(
        study_name="x", storage=storage, direction="maximize", pruner=stock_pruner(space)
    )
    said: list[Any] = []
    for start in range(0, count, LANES):
        lanes = {}
        for number in range(start, start + LANES):
            seed = derive_seed(space.seed, number, "sampler")
            options = space.sampler.model_dump(exclude={"type", "seed", "portfolio"})
            conditional = "momentum" in space.sampled
            study.sampler = TPESampler(seed=seed, group=conditional, **options)
            lanes[number] = study.ask()
            space.suggest(lanes[number])
            said.append({name: lanes[number].params[name] for name in PARAMETERS})
        for epoch in range(1, EPOCHS + 1):
            for number, trial in list(lanes.items()):
                value = accuracy(*(trial.params[name] for name in PARAMETERS), epoch)
                trial.report(value, epoch)
                prune, done = trial.should_prune(), epoch == EPOCHS
                said.append((number, epoch, prune))
                if done:
                    study.tell(trial, value)
                elif prune:
                    study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                if done or prune:
                    del lanes[number]
    return said


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("parameters", [{}, CONDITIONAL], ids=["plain", "conditional"])
@pytest.mark.parametrize("pruner", PRUNERS.values(), ids=PRUNERS)
def test_sampling_and_pruning_are_those_of_stock_optuna(monkeypatch, pruner, parameters):
    """But for what is ours: points of a sequence, and forecasts of pruned trials."""
    monkeypatch.setattr(Forecast, "finished", lambda *_: {})
    monkeypatch.setattr(_TrialSampler, "_is_spread", lambda *_, **__: False)
    space = make_space(pruner=pruner, parameters=parameters)
    said = by_session(InMemoryStorage(), space, 24)
    assert said == by_stock_optuna(InMemoryStorage(), space, 24)
    assert {True, False} <= {entry[2] for entry in said if isinstance(entry, tuple)}


def stored(storage: BaseStorage) -> list[dict[str, Any]]:
    """What a storage says of the trials of the study `x`, times and user attributes aside."""
    trials = storage.get_all_trials(storage.get_study_id_from_name("x"))
    return [
        {
            "number": trial.number,
            "state": trial.state,
            "values": trial.values,
            "params": trial.params,
            "distributions": trial.distributions,
            "reports": trial.intermediate_values,
            "system_attrs": trial.system_attrs,
        }
        for trial in trials
    ]


@pytest.mark.parametrize("sampler", ["tpe", "qmc", "random"])
def test_memory_and_store_say_the_same(storage, sampler):
    space = make_space(pruner=PRUNERS["hyperband"], enqueue=[{"num_layers": 3}])
    space = load_space({**space.to_json(), "sampler": sampler})
    session = StudySession(RDBStorage(storage), "x", space)
    session.enqueue()
    for number in range(4):
        config = session.ask()
        value = accuracy(*(config.params[name] for name in PARAMETERS), 1)
        metrics = make_metrics(config.number, 1, float("nan") if number == 2 else value)
        session.report(metrics)
        state = [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL][number % 3]
        if number < 3:
            session.tell(TrialOutcome(number, state, (metrics,), best_epoch=metrics.epoch))
    there = RDBStorage(storage)
    remembered = session._storage
    assert repr(stored(there)) == repr(stored(remembered))  # in words: NaN is not NaN
    assert repr(stored(StudyMirror(there, "x"))) == repr(stored(remembered))
    study_id = there.get_study_id_from_name("x")
    assert there.get_study_system_attrs(study_id) == remembered.get_study_system_attrs(0)


def test_trials_under_way_are_never_read_again(storage, monkeypatch):
    """Reading them for every decision was most of the driver's work."""
    session = StudySession(RDBStorage(storage), "x", make_space(pruner=PRUNERS["hyperband"]))

    def refuse(*_: Any) -> None:
        raise AssertionError("the store was read")

    monkeypatch.setattr(RDBStorage, "get_trial", refuse)
    monkeypatch.setattr(RDBStorage, "get_all_trials", refuse)
    for _ in range(6):
        config = session.ask()
        for epoch in range(1, EPOCHS + 1):
            metrics = make_metrics(config.number, epoch, 0.5)
            session.report(metrics)
        session.tell(
            TrialOutcome(config.number, TrialState.COMPLETE, (metrics,), best_epoch=metrics.epoch)
        )
    assert session.num_started == 6


def test_trials_that_another_program_adds_meanwhile_only_take_numbers(storage):
    session = StudySession(RDBStorage(storage), "x", make_space())
    session.ask()
    other = optuna.load_study(study_name="x", storage=storage)
    other.ask()
    other.enqueue_trial({"num_layers": 99})
    config = session.ask()
    assert config.number == 3
    assert session.foreign == [1, 2]
    assert session.num_started == 2
    alone = StudySession(InMemoryStorage(), "x", make_space())
    assert [alone.ask().number for _ in range(4)] == [0, 1, 2, 3]
    session.tell(TrialOutcome(3, TrialState.FAIL))
    assert [trial.state.name for trial in other.trials] == ["RUNNING", "RUNNING", "WAITING", "FAIL"]


def fill(storage: str, count: int, size: int = 0) -> BaseStorage:
    """A study of finished trials with user attributes of so many bytes."""
    made = RDBStorage(storage)
    study = optuna.create_study(study_name="x", storage=made)
    for number in range(count):
        study.add_trial(
            optuna.trial.create_trial(value=number, user_attrs={"sweep_outcome": "x" * size})
        )
    return made


def test_what_no_sampler_looks_at_stays_in_the_store(storage):
    store = fill(storage, 100, size=50_000)
    tracemalloc.start()
    try:
        memory = StudyMirror(store, "x")
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    (*_, last) = memory.get_all_trials(0)
    assert (last.number, last.value, last.user_attrs) == (99, 99.0, {})
    assert held < 100 * 10_000


def test_trials_are_taken_from_where_they_are_read_best(storage):
    store = fill(storage, 3)
    expected = store.get_all_trials(store.get_study_id_from_name("x"))
    taken = []

    def trials():
        for trial in expected:
            taken.append(trial.number)
            yield trial

    memory = StudyMirror(store, "x", trials())
    assert taken == [0, 1, 2]
    assert memory.get_all_trials(0) == StudyMirror(store, "x").get_all_trials(0)
    assert [trial.value for trial in memory.get_all_trials(0)] == [t.value for t in expected]
