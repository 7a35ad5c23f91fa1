"""What the sampler `gp` tries next."""

from __future__ import annotations

import math
from itertools import islice
from typing import Any

import numpy as np
import pytest
from helpers import space_mapping

from sweep.space import load_space
from sweep.study import thompson
from sweep.study.forecast import Observation
from sweep.study.thompson import propose

PARAMETERS: dict[str, Any] = {
    "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
    "activation": {"choices": ["relu", "tanh"]},
    "dropout": {"low": 0.0, "high": 0.5},
}
DOMAINS = load_space(space_mapping(parameters=PARAMETERS)).sampled


def log_gap(params: Any) -> float:
    """Best with a learning rate of 0.01 and relu; dropout means nothing."""
    slower = 0.3 if params["activation"] == "tanh" else 0.0
    return abs(math.log10(params["learning_rate"]) + 2) + slower


def drawn(number: int, seed: int = 0) -> list[dict[str, Any]]:
    generator = np.random.default_rng(seed)
    return [
        {
            "learning_rate": 10 ** generator.uniform(-4, -1),
            "activation": str(generator.choice(["relu", "tanh"])),
            "dropout": generator.uniform(0, 0.5),
        }
        for _ in range(number)
    ]


def ended(configurations: list[dict[str, Any]]) -> list[Observation]:
    return [Observation(params, 1.0, log_gap(params)) for params in configurations]


def first(observations: list[Observation], seed: int) -> dict[str, Any]:
    return next(propose(DOMAINS, observations, seed, is_noisy=True))


def test_proposals_are_better_than_random_ones_and_differ():
    observations = ended(drawn(20))
    found = [first(observations, seed) for seed in range(20)]
    random = np.median([log_gap(params) for params in drawn(1000, seed=1)])
    assert np.median([log_gap(params) for params in found]) < random / 4
    assert len({params["learning_rate"] for params in found}) == 20


def test_the_same_seed_proposes_the_same():
    observations = ended(drawn(20))
    assert first(observations, 3) == first(observations, 3)


def test_there_is_a_next_best_proposal_for_constraints():
    observations = ended(drawn(20))
    found = [*islice(propose(DOMAINS, observations, 0, is_noisy=True), 300)]
    assert len(found) == 300
    best, worst = ([log_gap(params) for params in part] for part in (found[:50], found[-50:]))
    assert np.mean(best) < np.mean(worst)


def test_nothing_is_proposed_that_has_been_observed():
    parameters = {
        "num_layers": {"low": 1, "high": 4},
        "optimizer": {"choices": ["adamw", "sgd"]},
        "momentum": {"choices": [0.0, 0.5], "when": {"optimizer": "sgd"}},
    }
    domains = load_space(space_mapping(parameters=parameters)).sampled
    known: list[Observation] = [
        Observation({"num_layers": 2, "optimizer": "adamw"}, 0.1, -1.0),  # by far the best
        Observation({"num_layers": 2, "optimizer": "sgd", "momentum": 0.5}, 1.0, 1.0),
    ]
    found = {
        tuple(params[name] for name in domains)
        for params in propose(domains, known, 0, is_noisy=True)
    }
    assert {(2, "sgd", 0.0), (1, "adamw", 0.5), (3, "sgd", 0.5)} <= found
    assert not found & {(2, "adamw", 0.0), (2, "adamw", 0.5), (2, "sgd", 0.5)}


def test_it_learns_which_configurations_only_start_fast():
    """With tanh, trials are better than with relu after a tenth, and worse at their end."""
    observations = []
    for number, params in enumerate(drawn(60)):
        fast = -1.0 if params["activation"] == "tanh" else 0.0
        early = Observation(params, 0.1, log_gap(params) + fast)
        observations += [early, *ended([params])] if number % 4 == 0 else [early]
    found = [first(observations, seed)["activation"] for seed in range(20)]
    assert found.count("relu") >= 15
    early = [each for each in observations if each.share < 1]
    found = [first(early, seed)["activation"] for seed in range(20)]
    assert found.count("tanh") >= 15


def test_many_observations_cost_no_more_and_the_best_are_kept():
    generator = np.random.default_rng(0)
    crowd = [
        Observation(params, 1.0, 3 + 0.1 * generator.standard_normal())
        for params in drawn(3000)
        if abs(math.log10(params["learning_rate"]) + 2) > 0.5
    ]
    observations = [*ended([params for params in drawn(400, 1) if log_gap(params) < 0.4]), *crowd]
    found = [first(observations, seed) for seed in range(10)]
    assert np.median([log_gap(params) for params in found]) < 0.5


@pytest.mark.parametrize("gap", [0.5, 1e-4])
def test_trials_that_are_all_alike_are_no_trouble(gap):
    observations = [Observation(params, 0.05, math.log(gap)) for params in drawn(12)]
    assert first(observations, 0).keys() == PARAMETERS.keys()


def test_one_observation_is_enough():
    assert first(ended(drawn(1)), 0).keys() == PARAMETERS.keys()


def test_matrices_take_one_thread_and_others_keep_theirs(monkeypatch):
    def threads() -> list[int]:
        pools = thompson.ThreadpoolController().info()
        return [pool["num_threads"] for pool in pools if pool["user_api"] == "blas"]

    seen = []
    rank = thompson._ranked

    def look(*arguments: Any, **named: Any) -> Any:
        seen.extend(threads())
        return rank(*arguments, **named)

    monkeypatch.setattr(thompson, "_ranked", look)
    with thompson.ThreadpoolController().limit(limits=2, user_api="blas"):
        before = threads()
        first(ended(drawn(5)), 0)
        assert threads() == before
    assert set(seen) == {1}
