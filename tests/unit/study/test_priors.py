"""Priors: how often values are drawn around them, which ones, and what they leave alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from helpers import make_metrics, space_mapping
from optuna.storages import InMemoryStorage, RDBStorage

from sweep.definitions import Scalar
from sweep.records import TrialConfig, TrialOutcome, TrialState
from sweep.space import SearchSpace, load_space
from sweep.study import StudySession, derive_seed, priors
from sweep.study.priors import Guide

NUM_DRAWS = 2000
RATE = {"low": 1e-4, "high": 1e-1, "log": True}
ACTIVATION = {"choices": ["relu", "tanh", "silu", "gelu"]}
PARAMETERS = {
    "num_layers": {"low": 1, "high": 4, "prior": 3},
    "layer_size": {"choices": [16, 64, 256], "prior": 64},
    "optimizer": {"choices": ["adamw", "sgd"]},
    "momentum": {"low": 0.0, "high": 0.9, "when": {"optimizer": "sgd"}, "prior": 0.8},
    "learning_rate": {**RATE, "prior": 0.01},
    "dropout": {"low": 0.0, "high": 0.5, "step": 0.1, "prior": 0.3},
    "weight_decay": {"low": 1e-6, "high": 1e-1, "log": True},
    "epochs": 1,
}
UNGUIDED = {
    name: {key: value for key, value in domain.items() if key != "prior"}
    if isinstance(domain, dict)
    else domain
    for name, domain in PARAMETERS.items()
}
TPE = {"type": "tpe", "seed": 5, "n_startup_trials": 4}
GP = {"type": "gp", "seed": 5, "n_startup_trials": 4}


def make_space(**changes: Any) -> SearchSpace:
    return load_space(space_mapping(**{"parameters": PARAMETERS, "sampler": TPE, **changes}))


def begin(space: SearchSpace, storage: Any = None) -> StudySession:
    session = StudySession(storage or InMemoryStorage(), "x", space)
    session.enqueue()
    return session


def end(session: StudySession, number: int, value: float, state: Any = TrialState.COMPLETE) -> None:
    metrics = (make_metrics(number, 1, value),)
    session.report(metrics[0])
    session.tell(TrialOutcome(number, state, metrics, best_epoch=1))


def work(space: SearchSpace, count: int, *, storage: Any = None, restart: bool = False) -> Any:
    """The configurations of a study whose values rise with the number of parameters."""
    storage = storage or InMemoryStorage()
    session, configs = begin(space, storage), list[TrialConfig]()
    for _ in range(count):
        if restart:
            session = begin(space, storage)
        configs.append(session.ask())
        params = configs[-1].params
        end(session, configs[-1].number, params["num_layers"] * params["layer_size"] / 2000)
    return configs


def drawn(domain: dict[str, Any], name: str = "learning_rate") -> list[Any]:
    spec = make_space(parameters={name: domain}).sampled[name]
    return [Guide(seed).draw(spec) for seed in range(NUM_DRAWS)]


def normal(x: float) -> float:
    return (1 + math.erf(x / math.sqrt(2))) / 2


# ---------------------------------------------------------------- single values


@pytest.mark.parametrize(
    ("domain", "name"),
    [
        ({**RATE, "prior": 0.003}, "learning_rate"),
        ({**RATE, "prior": 1e-4}, "learning_rate"),
        ({"low": 0.1, "high": 0.5, "prior": 0.45}, "dropout"),
    ],
)
def test_around_a_prior_values_are_normal_within_the_range(domain, name):
    values = drawn(domain, name)
    scale = math.log if domain.get("log") else float
    low, high, prior = (scale(domain[key]) for key in ("low", "high", "prior"))
    deviation = (high - low) / 4
    below, above = normal((low - prior) / deviation), normal((high - prior) / deviation)
    assert min(values) >= domain["low"]
    assert max(values) <= domain["high"]
    for at in np.linspace(low, high, 9)[1:-1]:
        expected = (normal((at - prior) / deviation) - below) / (above - below)
        # Three standard errors of a share, at its largest, are 0.034.
        assert np.mean([scale(value) <= at for value in values]) == pytest.approx(
            expected, abs=0.034
        )


@pytest.mark.parametrize(
    ("domain", "name", "steps"),
    [
        ({"low": 1, "high": 4, "prior": 3}, "num_layers", [1, 2, 3, 4]),
        ({"low": 8, "high": 40, "step": 16, "prior": 40}, "layer_size", [8, 24, 40]),
        ({"low": 0.1, "high": 0.4, "step": 0.1, "prior": 0.3}, "dropout", [0.1, 0.2, 0.3, 0.4]),
    ],
)
def test_the_steps_of_a_range_are_drawn_and_none_more_often_than_the_prior(domain, name, steps):
    values = drawn(domain, name)
    assert sorted(set(values)) == steps
    counts = {step: values.count(step) for step in steps}
    assert max(counts, key=lambda step: counts[step]) == domain["prior"]
    half, prior = (steps[1] - steps[0]) / 2, domain["prior"]
    deviation = (steps[-1] - steps[0] + 2 * half) / 4
    mass = [
        normal((step + half - prior) / deviation) - normal((step - half - prior) / deviation)
        for step in steps
    ]
    for step, expected in zip(steps, mass, strict=True):
        assert counts[step] / NUM_DRAWS == pytest.approx(expected / sum(mass), abs=0.034)


def test_whole_numbers_of_a_log_range_stay_inside():
    values = drawn({"low": 1, "high": 1024, "log": True, "prior": 1}, "layer_size")
    assert {type(value) for value in values} == {int}
    assert (min(values), max(values) <= 1024) == (1, True)
    assert values.count(1) > values.count(2) > 0


def test_of_choices_the_prior_itself_is_drawn():
    assert set(drawn({**ACTIVATION, "prior": "tanh"}, "activation")) == {"tanh"}


def test_a_quarter_of_trials_and_half_of_their_values_have_a_guide():
    guides = [Guide(seed) for seed in range(NUM_DRAWS)]
    assert np.mean([guide.is_due for guide in guides]) == pytest.approx(1 / 4, abs=0.03)
    rates = ({**RATE, "prior": 0.01}, RATE)
    guided, plain = (make_space(parameters={"learning_rate": each}) for each in rates)
    assert np.mean(
        [guide.takes(guided.sampled["learning_rate"]) for guide in guides]
    ) == pytest.approx(1 / 2, abs=0.034)
    assert not any(guide.takes(plain.sampled["learning_rate"]) for guide in guides)


# ---------------------------------------------------------------- whole trials


def test_a_value_is_what_its_trials_own_seed_gives():
    domain = {**RATE, "prior": 0.003}
    session = begin(make_space(parameters={"learning_rate": domain, "epochs": 1}))
    found = 0
    for _ in range(8):
        config = session.ask()
        by_hand = np.random.default_rng(derive_seed(5, config.number, "prior"))
        by_hand.random()  # whether it would be guided with a model, too
        if by_hand.random() < 0.5:
            low, high = math.log(1e-4), math.log(1e-1)
            value = math.inf
            while not low <= value <= high:
                value = by_hand.normal(math.log(0.003), (high - low) / 4)
            assert config.params["learning_rate"] == math.exp(value)
            found += 1
    assert 0 < found < 8


def test_at_the_start_half_of_the_values_are_as_without_priors():
    def first(name: str, domain: dict[str, Any]) -> list[Scalar]:
        session = begin(make_space(parameters={name: domain, "epochs": 1}))
        return [session.ask().params[name] for _ in range(200)]

    pairs = zip(
        first("learning_rate", RATE),
        first("learning_rate", {**RATE, "prior": 0.01}),
        strict=True,
    )
    assert np.mean([one == other for one, other in pairs]) == pytest.approx(1 / 2, abs=0.1)
    activations = first("activation", {**ACTIVATION, "prior": "silu"})
    assert activations.count("silu") / 200 == pytest.approx(1 / 2 + 1 / 8, abs=0.1)
    assert len(set(activations)) == 4


def test_a_conditional_prior_counts_where_its_parameter_is_active():
    session = begin(make_space())
    momenta: dict[Scalar, list[Any]] = {"adamw": [], "sgd": []}
    for _ in range(200):
        params = session.ask().params
        momenta[params["optimizer"]].append(params["momentum"])
    assert len(set(momenta["adamw"])) == 1  # the default
    # 0.43 of draws around 0.8 and 1 in 9 of the others lie within 0.1 of it.
    assert 0.15 < np.mean([abs(value - 0.8) < 0.1 for value in momenta["sgd"]]) < 0.5


@pytest.mark.parametrize(
    ("sampler", "state", "are_guided"),
    [
        (TPE, TrialState.COMPLETE, False),
        (TPE, TrialState.PRUNED, False),
        pytest.param(GP, TrialState.COMPLETE, False, marks=pytest.mark.slow),
        pytest.param(GP, TrialState.PRUNED, False, marks=pytest.mark.slow),
        (TPE, TrialState.FAIL, True),
    ],
)
def test_the_start_lasts_until_the_sampler_has_a_model(monkeypatch, sampler, state, are_guided):
    monkeypatch.setattr(priors, "_SHARE_OF_TRIALS", 0)
    monkeypatch.setattr(priors, "_SHARE_OF_VALUES", 1)
    space = make_space(sampler=sampler, parameters={"activation": {**ACTIVATION, "prior": "silu"}})
    session = begin(space)
    for number in range(4):
        assert session.ask().params["activation"] == "silu"
        end(session, number, 0.0 if number else 1.0, state)
    found = {session.ask().params["activation"] for _ in range(6)}
    assert (found == {"silu"}) is are_guided


def test_later_every_fourth_trial_is_guided_and_the_others_are_the_models():
    # Without a liar, trials under way change nothing, so that both samplers know the same.
    sampler = {**TPE, "constant_liar": False}
    enqueue = [{"learning_rate": 10 ** -(1.5 + 0.25 * number)} for number in range(4)]
    sessions = []
    for prior in ({}, {"prior": 0.03}):
        parameters = {"learning_rate": {**RATE, **prior}, "epochs": 1}
        space = make_space(parameters=parameters, sampler=sampler, enqueue=enqueue)
        sessions.append(begin(space))
        for number in range(4):
            assert sessions[-1].ask().number == number
            end(sessions[-1], number, number / 4)
    free, guided = sessions
    changed = 0
    for _ in range(120):
        theirs, mine = free.ask(), guided.ask()
        is_due = Guide(derive_seed(5, mine.number, "prior")).is_due
        is_changed = mine.params != theirs.params
        assert is_due or not is_changed
        changed += is_changed
    assert 120 / 8 / 2 < changed < 120 / 8 * 2  # half of a quarter


def test_without_priors_nothing_guides_and_all_draws_stay(monkeypatch):
    free = work(make_space(parameters=UNGUIDED), 8)
    monkeypatch.setattr(priors, "_SHARE_OF_VALUES", 0)
    assert work(make_space(), 8) == free  # nor do priors themselves disturb the sampler
    monkeypatch.delattr("sweep.study.samplers.Guide")
    assert work(make_space(parameters=UNGUIDED), 8) == free


CONSTRAINTS = ["num_layers * layer_size <= 200", "learning_rate < 0.02", "dropout >= 0.2"]


@pytest.mark.slow
@pytest.mark.parametrize("sampler", [TPE, {**GP, "n_startup_trials": 8}], ids=["tpe", "gp"])
def test_restarts_change_no_draw_and_constraints_hold(sampler, storage):
    for constraints in ([], CONSTRAINTS):
        space = make_space(sampler=sampler, constraints=constraints)
        steady = work(space, 12, storage=RDBStorage(storage) if constraints else None)
        assert work(space, 12, restart=True) == steady
        assert all(space.limits.broken(config.params) == [] for config in steady)
        near = [config.params["layer_size"] == 64 for config in steady]
        assert any(near)
        assert not all(near)
