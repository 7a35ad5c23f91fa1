"""Points that cover a search space evenly."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from helpers import make_metrics, space_mapping
from optuna.storages import InMemoryStorage

from sweep.records import TrialOutcome, TrialState
from sweep.space import load_space
from sweep.study import StudySession
from sweep.study.quasi_random import QuasiRandom

PARAMETERS = {
    "num_layers": {"low": 1, "high": 4},
    "activation": {"choices": ["relu", "tanh"]},
    "layer_size": {"low": 16, "high": 256, "log": True},
    "dropout": {"low": 0.0, "high": 0.75, "step": 0.25},
    "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
    "epochs": 1,
}


def make_points(**options: Any) -> QuasiRandom:
    space = load_space(space_mapping(parameters=PARAMETERS))
    return QuasiRandom(space.sampled, lambda _: True, **{"seed": 0, **options})


@pytest.mark.parametrize("qmc_type", ["sobol", "halton"])
@pytest.mark.parametrize("seed", range(3))
def test_a_power_of_two_covers_every_value_equally(qmc_type, seed):
    points = make_points(qmc_type=qmc_type, seed=seed)
    drawn = [points.point(number) for number in range(64)]
    slack = 0 if qmc_type == "sobol" else 6
    for name, num_values in (("num_layers", 4), ("activation", 2), ("dropout", 4)):
        counts = Counter(point[name] for point in drawn)
        assert len(counts) == num_values
        assert max(counts.values()) - min(counts.values()) <= slack
    for low, high in ((1e-4, 1e-3), (1e-3, 1e-2), (1e-2, 1e-1)):
        assert sum(low <= point["learning_rate"] < high for point in drawn) in range(19, 24)


def test_values_are_in_their_domains():
    points = make_points()
    for number in range(500):
        point = points.point(number)
        assert point["layer_size"] in range(16, 257)
        assert isinstance(point["layer_size"], int)
        assert point["dropout"] in (0.0, 0.25, 0.5, 0.75)
        assert 1e-4 <= point["learning_rate"] <= 1e-1


def test_the_ends_of_a_range_of_whole_numbers_are_as_likely_as_the_rest():
    points = make_points()
    sizes = Counter(points.point(number)["layer_size"] for number in range(4096))
    assert sizes[16] > sizes[32] > sizes[64] > sizes[128] > 0  # equal shares of the logarithm


def test_any_process_finds_the_same_point():
    points = make_points()
    [*_, last] = [points.point(number) for number in range(20)]
    assert make_points().point(19) == last
    assert make_points(seed=1).point(19) != last
    assert make_points(scramble=False, seed=1).point(19) == make_points(scramble=False).point(19)


def test_points_that_do_not_fit_are_skipped():
    space = load_space(space_mapping(parameters=PARAMETERS))
    some = QuasiRandom(space.sampled, lambda point: point["num_layers"] > 2, seed=0)
    every = make_points()
    fitting = [p for n in range(40) if (p := every.point(n))["num_layers"] > 2]
    assert [some.point(number) for number in range(10)] == fitting[:10]


def test_where_nothing_fits_the_search_for_a_point_ends(monkeypatch):
    monkeypatch.setattr("sweep.study.quasi_random._MOST_SKIPPED", 10)
    space = load_space(space_mapping(parameters=PARAMETERS))
    assert QuasiRandom(space.sampled, lambda _: False, seed=0).point(1).keys() == {
        name for name in PARAMETERS if name != "epochs"
    }


def drawn(sampler: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Configurations of a study whose trials are all equally good."""
    space = load_space(space_mapping(parameters=PARAMETERS, sampler={"seed": 3, **sampler}))
    session = StudySession(InMemoryStorage(), "x", space)
    found = []
    for _ in range(count):
        config = session.ask()
        metrics = make_metrics(config.number, 1, 0.5)
        session.report(metrics)
        state = TrialState.COMPLETE
        session.tell(TrialOutcome(config.number, state, (metrics,), best_epoch=1))
        found.append(dict(config.params))
    return found


@pytest.mark.parametrize("kind", ["tpe", "gp"])
def test_a_model_starts_from_points_of_the_sequence(kind):
    points = drawn({"type": "qmc"}, 12)
    modelled = drawn({"type": kind, "n_startup_trials": 8}, 12)
    assert modelled[:8] == points[:8]
    assert modelled[8:] != points[8:]


def test_about_half_of_the_trials_of_tpe_are_points():
    points = drawn({"type": "qmc"}, 80)
    modelled = drawn({"type": "tpe", "n_startup_trials": 0}, 80)
    same = [one == other for one, other in zip(points, modelled, strict=True)]
    assert 28 <= sum(same) <= 52
