from __future__ import annotations

import math
import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hand_made import make_study, make_trial
from simulated import WIDE_SPACE, simulate
from sklearn.ensemble import RandomForestRegressor

from sweep.errors import ContradictionError
from sweep.records import TrialState
from sweep.reporting.statistics import Importances, Interactions, importances, interactions
from sweep.reporting.statistics.interactions import _cells, _forest, _strengths
from sweep.space import SearchSpace, load_space

UNKNOWN = Importances(None, "")


def found(
    num_trials: int, rule: Callable[[dict[str, Any]], float], seed: int = 0, noise: float = 0.01
) -> Interactions:
    record = simulate(num_trials, rule, seed, noise=noise)
    return interactions(record, WIDE_SPACE, importances(record, WIDE_SPACE))


def pairs(result: Interactions) -> list[tuple[float, set[str]]]:
    """Strengths of the pairs, strongest first."""
    return sorted(
        (
            (strength, {result.names[row], result.names[column]})
            for row, strengths in enumerate(result.strengths)
            for column, strength in enumerate(strengths[:row])
        ),
        key=lambda entry: -entry[0],
    )


def by_sum(p: dict[str, Any]) -> float:
    return 0.8 + 0.02 * math.log10(p["learning_rate"]) + 0.05 * (p["optimizer"] == "sgd")


def by_product(p: dict[str, Any]) -> float:
    rate, decay = math.log10(p["learning_rate"]) + 2.5, math.log10(p["weight_decay"]) + 3.5
    return 0.8 + 0.04 * rate * decay


def by_either(p: dict[str, Any]) -> float:
    return 0.9 + 0.1 * ((p["dropout"] > 0.25) != (p["optimizer"] == "sgd"))


def by_momentum(p: dict[str, Any]) -> float:
    return 0.9 - 0.1 * p["momentum"] if p["optimizer"] == "sgd" else 0.85


@pytest.mark.parametrize("num_trials", [60, 300])
def test_a_sum_has_no_interaction(num_trials: int) -> None:
    for seed in range(2):
        result = found(num_trials, by_sum, seed)
        assert {"learning_rate", "optimizer"} <= set(result.names)
        assert pairs(result)[0][0] < 0.05


@pytest.mark.parametrize(
    ("rule", "names"),
    [
        (by_product, {"learning_rate", "weight_decay"}),
        (by_either, {"dropout", "optimizer"}),
    ],
)
def test_what_acts_together_only_is_found(
    rule: Callable[[dict[str, Any]], float], names: set[str]
) -> None:
    (strongest, pair), (second, _), *_ = pairs(found(300, rule))
    assert pair == names
    assert strongest > 0.6
    assert second < 0.05


def test_a_conditional_parameter_acts_with_its_condition_only() -> None:
    result = found(400, by_momentum)
    (strongest, pair), (second, _), *_ = pairs(result)
    assert pair == {"momentum", "optimizer"}
    # By hand: momentum's effect under sgd, 0.1 * uniform, is on for half of the trials. Its
    # variance v = 0.01 / 12 * 0.99**2; the pair has v / 4 of it, the two alone have the rest.
    alone = (0.1 * 0.99) ** 2 / 12
    optimizer = (0.9 - 0.0495 - 0.85) ** 2 / 4
    assert strongest == pytest.approx((alone / 4) / (alone / 2 + optimizer), abs=0.07)
    assert second < 0.05


@pytest.mark.parametrize("num_trials", [30, 300])
def test_noise_has_no_interactions(num_trials: int) -> None:
    for seed in range(2):
        result = found(num_trials, lambda p: 0.9, seed)
        assert result.names == result.strengths == ()
        assert "predicts" in result.note
        assert "at least 30 % are needed" in result.note


def test_strengths_are_a_symmetric_matrix_of_the_most_important() -> None:
    record = simulate(200, by_product)
    shares = dict.fromkeys(WIDE_SPACE.sampled, 0.1)
    result = interactions(record, WIDE_SPACE, Importances(shares, ""))
    assert result.names == tuple(WIDE_SPACE.sampled)[:6]
    matrix = np.array(result.strengths)
    assert matrix.shape == (6, 6)
    assert (matrix == matrix.T).all()
    assert (np.diag(matrix) == 0).all()
    assert matrix.min() >= 0
    assert matrix.max() <= 1
    assert "200 COMPLETE trials" in result.note
    assert "drawn at random" not in result.note


def test_a_pair_is_found_that_importances_cannot_see() -> None:
    record = simulate(300, by_either)
    result = interactions(record, WIDE_SPACE, UNKNOWN)
    assert pairs(result)[0][1] == {"dropout", "optimizer"}
    assert set(result.names[:2]) == {"dropout", "optimizer"}


def test_effects_are_those_of_averaged_predictions() -> None:
    """The sum over leaves against the definition: predict every combination, and average."""
    random = np.random.default_rng(0)
    cells = np.column_stack([random.integers(size, size=200) for size in (4, 3, 5)])
    values = cells[:, 0] * 1.0 + (cells[:, 1] == 1) * (cells[:, 2] > 2) + random.normal(size=200)
    forest = _forest(cells, values)
    strengths = _strengths(forest, cells, values, [0, 1, 2])

    shares = [np.bincount(column) / 200 for column in cells.T]
    everything = np.stack(np.meshgrid(*map(np.arange, (4, 3, 5)), indexing="ij"), -1)
    predicted = forest.predict(everything.reshape(-1, 3)).reshape(4, 3, 5)
    weight = np.einsum("i,j,k->ijk", *shares)
    mean = (weight * predicted).sum()
    variance = (weight * (predicted - mean) ** 2).sum()
    second = np.einsum("i,k,ijk->j", shares[0], shares[2], predicted) - mean
    third = np.einsum("i,j,ijk->k", shares[0], shares[1], predicted) - mean
    both = np.einsum("i,ijk->jk", shares[0], predicted) - mean - second[:, None] - third
    expected = shares[1] @ both**2 @ shares[2] / variance
    assert strengths[1, 2] == pytest.approx(expected, rel=0.1)  # the variance is sampled


def test_a_value_that_was_not_used_is_drawn_from_the_others() -> None:
    domain = WIDE_SPACE.sampled["momentum"]
    cells = _cells(domain, [0.1, None, 0.5, None, 0.9, None], np.random.default_rng(0))
    assert cells[::2].tolist() == [0, 1, 2]
    assert set(cells[1::2].tolist()) <= {0, 1, 2}


def test_many_values_share_cells_evenly() -> None:
    domain = WIDE_SPACE.sampled["learning_rate"]
    values = [10 ** (-4 + 3 * index / 119) for index in range(120)]
    cells = _cells(domain, values, np.random.default_rng(0))
    assert np.bincount(cells).tolist() == [10] * 12


def test_large_studies_are_drawn_from(monkeypatch: pytest.MonkeyPatch) -> None:
    # By its full name: in the package the function hides the module.
    module = import_module("sweep.reporting.statistics.interactions")
    monkeypatch.setattr(module, "_MAX_TRIALS", 100)
    result = found(120, by_sum)
    assert "100 drawn at random from 120 COMPLETE trials" in result.note


def test_too_few_complete_trials_have_no_interactions(space: SearchSpace) -> None:
    trials = [make_trial(space, n, 1 + n % 9) for n in range(29)]
    pruned = [make_trial(space, n, 1 + n % 9, state=TrialState.PRUNED) for n in range(29, 60)]
    result = interactions(make_study([*trials, *pruned], space), space, UNKNOWN)
    assert result == Interactions(
        (), (),
        "Too few trials to say which hyperparameters act together: 29 COMPLETE, at least 30 are "
        "needed.",
    )  # fmt: skip


def test_one_varied_parameter_has_no_interactions() -> None:
    space = load_space(
        {"name": "one", "dataset": "digits", "parameters": {"num_layers": {"low": 1, "high": 4}}}
    )
    study = make_study([make_trial(space, n, 1 + n % 9) for n in range(40)], space)
    assert "Fewer than two" in interactions(study, space, UNKNOWN).note


def test_equal_and_endless_values_have_no_interactions(space: SearchSpace) -> None:
    equal = make_study([make_trial(space, n, 3) for n in range(40)], space)
    assert interactions(equal, space, UNKNOWN).names == ()
    endless = simulate(40, lambda p: math.inf)
    assert "0 COMPLETE" in interactions(endless, WIDE_SPACE, UNKNOWN).note


def test_a_choice_that_was_not_offered_is_refused() -> None:
    record = simulate(40, by_sum)
    trials = list(record.trials)
    trials[3] = replace(trials[3], params=trials[3].params | {"activation": "swish"})
    with pytest.raises(ContradictionError, match="swish"):
        interactions(replace(record, trials=tuple(trials)), WIDE_SPACE, UNKNOWN)


def test_interactions_are_the_same_twice_and_leave_nothing_behind() -> None:
    record = simulate(60, by_product)
    np.random.seed(3)
    first = interactions(record, WIDE_SPACE, UNKNOWN)
    assert np.random.random() == np.random.RandomState(3).random_sample()
    assert interactions(record, WIDE_SPACE, UNKNOWN) == first
    assert multiprocessing.active_children() == []
    assert isinstance(_forest(np.zeros((40, 1), int), np.arange(40.0)), RandomForestRegressor)
