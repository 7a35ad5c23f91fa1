"""Every trial of a constrained study meets its constraints, whoever draws it and however often."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import make_metrics, space_mapping
from optuna.samplers import RandomSampler
from optuna.storages import InMemoryStorage, RDBStorage

from sweep.errors import SweepFailedError
from sweep.records import TrialConfig, TrialOutcome, TrialState
from sweep.space import SearchSpace, load_space
from sweep.study import StudySession, samplers

PARAMETERS = {
    "num_layers": {"low": 1, "high": 4},
    "layer_size": {"choices": [16, 64, 256]},
    "optimizer": {"choices": ["adamw", "sgd"]},
    "momentum": {"low": 0.0, "high": 0.9, "when": {"optimizer": "sgd"}},
    "dropout": {"low": 0.0, "high": 0.5, "step": 0.1},
    "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
    "epochs": 1,
}
FINITE = {name: PARAMETERS[name] for name in ("num_layers", "layer_size", "dropout", "epochs")}
CONSTRAINTS = ["num_layers * layer_size <= 128", "num_parameters <= 9000", "dropout <= momentum"]
SAMPLERS = {
    "tpe": {"type": "tpe", "seed": 5, "n_startup_trials": 4},
    "random": {"type": "random", "seed": 5},
    "qmc": {"type": "qmc", "seed": 5},
    "gp": {"type": "gp", "seed": 5, "n_startup_trials": 6},
    "grid": {"type": "grid", "seed": 5},
}


def make_space(**changes: Any) -> SearchSpace:
    return load_space(
        space_mapping(**{"parameters": PARAMETERS, "constraints": CONSTRAINTS, **changes})
    )


def end(session: StudySession, config: TrialConfig) -> None:
    """The more parameters, the better: the search wants what the constraints forbid."""
    value = config.params["num_layers"] * config.params["layer_size"] / 2000
    metrics = (make_metrics(config.number, 1, value),)
    session.report(metrics[0])
    session.tell(TrialOutcome(config.number, TrialState.COMPLETE, metrics, best_epoch=1))


def work(storage: Any, space: SearchSpace, count: int, *, restart: bool) -> list[TrialConfig]:
    configs = []
    session = StudySession(storage, "x", space)
    session.enqueue()
    for _ in range(count):
        if restart:
            session = StudySession(storage, "x", space)
        configs.append(session.ask())
        assert space.limits.broken(configs[-1].params) == []
        end(session, configs[-1])
    return configs


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLERS)
def test_every_trial_meets_them_and_restarts_change_none(name, storage):
    parameters = FINITE if name == "grid" else PARAMETERS
    enqueue = [{"num_layers": 2}, {"layer_size": 64, "dropout": 0.3}]
    space = make_space(parameters=parameters, sampler=SAMPLERS[name], enqueue=enqueue)
    steady = work(RDBStorage(storage), space, 12, restart=False)
    assert work(InMemoryStorage(), space, 12, restart=True) == steady
    for wanted, config in zip(enqueue, steady, strict=False):
        assert wanted.items() <= config.params.items()
    assert len({str(config.params) for config in steady}) == 12


def test_what_meets_them_at_once_is_drawn_as_without_them():
    free = make_space(sampler=SAMPLERS["tpe"], constraints=[])
    loose = make_space(sampler=SAMPLERS["tpe"], constraints=["num_parameters < 1e9"])
    assert work(InMemoryStorage(), loose, 8, restart=False) == work(
        InMemoryStorage(), free, 8, restart=False
    )


def test_a_sampler_that_never_meets_them_gives_way_to_random_draws(monkeypatch):
    def stubborn(self, study, trial, name, distribution):
        tried.append(name)
        return 4 if name == "num_layers" else sample(self, study, trial, name, distribution)

    tried: list[str] = []
    sample = RandomSampler.sample_independent
    monkeypatch.setattr(RandomSampler, "sample_independent", stubborn)
    space = make_space(sampler=SAMPLERS["random"], constraints=["num_layers <= 2"])
    found = work(InMemoryStorage(), space, 3, restart=False)
    assert tried.count("num_layers") == 3 * 100
    assert len({str(config.params) for config in found}) == 3
    assert work(InMemoryStorage(), space, 3, restart=True) == found


def test_where_nothing_is_found_the_study_stops_and_says_which_constraint_refuses(monkeypatch):
    monkeypatch.setattr(samplers, "_MOST_RANDOM_DRAWS", 100)
    space = make_space(sampler=SAMPLERS["random"], constraints=["epochs < 2", "num_layers > 4"])
    session = StudySession(InMemoryStorage(), "x", space)
    words = "trial 0: no configuration was found.*'num_layers > 4' refuses most.*another name"
    with pytest.raises(SweepFailedError, match=words):
        session.ask()


def test_what_another_program_enqueues_against_them_is_not_run(monkeypatch):
    monkeypatch.setattr(samplers, "_MOST_RANDOM_DRAWS", 100)
    storage = InMemoryStorage()
    whole = {"num_layers": 4, "layer_size": 256, "dropout": 0.1}
    for sampler, parameters in (("random", PARAMETERS), ("grid", FINITE)):
        space = make_space(sampler=SAMPLERS[sampler], parameters=parameters)
        storage = InMemoryStorage()
        session = StudySession(storage, "x", space)
        session._study.enqueue_trial(whole)
        with pytest.raises(SweepFailedError, match=r"num_layers \* layer_size <= 128"):
            session.ask()


def test_qmc_goes_on_in_its_sequence_after_the_points_that_it_skips():
    parameters = {"dropout": {"low": 0.0, "high": 0.9}, "momentum": {"low": 0.0, "high": 0.9}}
    parameters |= {"epochs": 1, "optimizer": "sgd"}
    free = make_space(parameters=parameters, sampler=SAMPLERS["qmc"], constraints=[])
    space = make_space(parameters=parameters, sampler=SAMPLERS["qmc"], constraints=["dropout<0.4"])
    found = [config.params for config in work(InMemoryStorage(), space, 8, restart=False)]
    points = [config.params for config in work(InMemoryStorage(), free, 40, restart=False)]
    fitting = [point for point in points if point["dropout"] < 0.4]
    assert found == fitting[:8]
