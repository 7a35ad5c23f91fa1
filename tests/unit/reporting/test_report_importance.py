from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pytest
from hand_made import make_study, make_trial
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from simulated import WIDE_SPACE, simulate

from sweep.records import StudyRecord, TrialState
from sweep.reporting.statistics import Importances, importances
from sweep.reporting.statistics.importance import _top, _tried_values
from sweep.reporting.statistics.ped_anova import divergences, grid_of
from sweep.space import SearchSpace, load_space, used_parameters
from sweep.study import distributions


def by_learning_rate(params: dict[str, Any]) -> float:
    return 0.9 - 0.05 * abs(math.log10(params["learning_rate"]) + 2.5)


def by_nothing(params: dict[str, Any]) -> float:
    return 0.9


def by_momentum(params: dict[str, Any]) -> float:
    return 0.95 - 0.1 * params["momentum"] if params["optimizer"] == "sgd" else 0.9


def _study(space: SearchSpace, wrong: list[int], **params: object) -> StudyRecord:
    trials = [make_trial(space, n, w, **params) for n, w in enumerate(wrong)]
    return make_study(trials, space)


def pruned_below(record: StudyRecord, accuracy: float) -> StudyRecord:
    """The same study, had every trial below an accuracy been pruned."""
    return replace(
        record,
        trials=tuple(
            trial
            if (record.value(trial) or 0) >= accuracy
            else replace(trial, state=TrialState.PRUNED)
            for trial in record.trials
        ),
    )


# ---------------------------------------------------------------- against Optuna


def optunas_study(record: StudyRecord) -> optuna.Study:
    domains = distributions(WIDE_SPACE)
    study = optuna.create_study(direction="maximize")
    for trial in record.ranked():
        used = used_parameters(WIDE_SPACE, trial.params) & domains.keys()
        study.add_trial(
            optuna.create_trial(
                value=record.value(trial),
                params={name: trial.params[name] for name in used},
                distributions={name: domains[name] for name in used},
            )
        )
    return study


@pytest.fixture
def quiet_optuna() -> Any:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(verbosity)


@pytest.mark.usefixtures("quiet_optuna")
@pytest.mark.parametrize("rule", [by_learning_rate, by_nothing, by_momentum])
@pytest.mark.parametrize("num_trials", [12, 40, 300])
def test_divergences_are_optunas(num_trials: int, rule: Any) -> None:
    record = simulate(num_trials, rule, seed=num_trials)
    share = max(0.1, 5 / num_trials)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("optuna.importance._ped_anova.evaluator.optuna_warn", lambda text: None)
        expected = PedAnovaImportanceEvaluator(target_quantile=share).evaluate(
            optunas_study(record)
        )
    tried = _tried_values(WIDE_SPACE, record.ranked())
    grids = [grid_of(WIDE_SPACE.sampled[name], values) for name, values in tried.items()]
    once = np.ones((1, num_trials))
    top = _top(np.array([record.value(trial) for trial in record.ranked()]), once, share)
    found = divergences(grids, once, top)[0]
    assert dict(zip(tried, found, strict=True)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.usefixtures("quiet_optuna")
def test_shares_are_optunas() -> None:
    record = simulate(200, by_learning_rate)
    expected = get_param_importances(optunas_study(record))
    found = importances(record, WIDE_SPACE)
    assert found.shares == pytest.approx(expected, rel=1e-9)
    assert list(found.shares or ()) == list(expected)


@pytest.mark.usefixtures("quiet_optuna")
def test_pruned_trials_are_optunas_worst() -> None:
    record = pruned_below(simulate(300, by_learning_rate), 0.86)
    num_complete = record.count(TrialState.COMPLETE)
    assert 100 < num_complete < 250
    study = optunas_study(replace(record, trials=simulate(300, by_learning_rate).trials))
    share = np.ceil(0.1 * num_complete) / 300
    evaluator = PedAnovaImportanceEvaluator(target_quantile=share)
    expected = get_param_importances(study, evaluator=evaluator)
    found = importances(record, WIDE_SPACE)
    assert found.shares == pytest.approx(expected, rel=1e-9)
    assert f"of {num_complete} COMPLETE trials" in found.note
    assert f"The {300 - num_complete} pruned trials count as not among them." in found.note


def test_a_drawn_trial_counts_as_often_as_it_was_drawn() -> None:
    record = simulate(30, by_learning_rate)
    random = np.random.default_rng(0)
    drawn = np.sort(random.integers(30, size=30))
    weights = np.bincount(drawn, minlength=30)[None] * 1.0
    values = np.array([record.value(trial) for trial in record.ranked()])
    domain = WIDE_SPACE.sampled["learning_rate"]
    chosen = [trial.params["learning_rate"] for trial in record.ranked()]
    by_weight = divergences([grid_of(domain, chosen)], weights, _top(values, weights, 0.2))
    once = np.ones((1, 30))
    by_copy = divergences(
        [grid_of(domain, [chosen[index] for index in drawn])], once, _top(values[drawn], once, 0.2)
    )
    assert by_weight == pytest.approx(by_copy)


def test_ties_with_the_last_of_the_best_are_among_them() -> None:
    values = np.array([0.9, 0.8, 0.8, 0.8, 0.7])
    weights = np.array([[1.0, 1, 1, 1, 1], [2.0, 0, 2, 0, 1], [0.0, 0, 0, 0, 5]])
    expected = [[1, 1, 1, 1, 0], [2, 0, 0, 0, 0], [0, 0, 0, 0, 5]]
    assert _top(values, weights, 0.4).tolist() == expected


def test_a_value_outside_its_domain_is_refused(space: SearchSpace) -> None:
    for name, value in (("activation", "swish"), ("weight_decay", 0.5), ("weight_decay", math.nan)):
        trials = [make_trial(space, n, n + 1) for n in range(12)]
        params = trials[3].params | {name: value}
        trials[3] = replace(trials[3], params=params)
        with pytest.raises(ValueError, match="which is not in the search space"):
            importances(make_study(trials, space), space)


def test_a_resample_without_complete_trials_has_no_best() -> None:
    weights = np.array([[0.0, 0, 0, 2, 1], [1.0, 1, 0, 0, 1]])
    top = _top(np.array([0.9, 0.8, 0.7]), weights, 0.5)
    assert top.tolist() == [[0, 0, 0, 0, 0], [1, 0, 0, 0, 0]]
    domain = WIDE_SPACE.sampled["optimizer"]
    grids = [grid_of(domain, ["adamw", "sgd", "sgd", "adamw", "adamw"])]
    none, some = divergences(grids, weights, top)[:, 0]
    assert none == 0
    assert some > 0


# ---------------------------------------------------------------- what is said


def test_too_few_trials_give_no_importances(space: SearchSpace) -> None:
    found = importances(_study(space, list(range(1, 10))), space)
    assert found.shares is None
    assert found.note == "Too few trials to say: 9 COMPLETE, at least 10 are needed."


def test_equal_values_give_no_importances(space: SearchSpace) -> None:
    found = importances(_study(space, [3] * 20), space)
    assert found.shares is None
    assert "do not differ" in found.note


def test_fixed_parameters_give_no_importances() -> None:
    fixed = load_space({"name": "fixed", "dataset": "digits"})
    found = importances(_study(fixed, list(range(1, 13))), fixed)
    assert found.shares is None
    assert "every hyperparameter is fixed" in found.note


def test_unvaried_parameters_give_no_importances(space: SearchSpace) -> None:
    study = _study(
        space, list(range(1, 13)),
        num_layers=2, activation="relu", weight_decay=0.01, optimizer="adamw",
    )  # fmt: skip
    found = importances(study, space)
    assert found.shares is None
    assert "Fewer than two" in found.note


def test_values_that_are_no_numbers_are_left_out() -> None:
    record = simulate(60, lambda p: math.nan if p["num_layers"] == 3 else by_learning_rate(p))
    found = importances(record, WIDE_SPACE)
    num_numbers = sum(trial.params["num_layers"] != 3 for trial in record.trials)
    assert f"of {num_numbers} COMPLETE trials" in found.note
    assert next(iter(found.shares or ())) == "learning_rate"


def test_importances_find_what_decides(space: SearchSpace) -> None:
    # The activation alone decides; everything else goes round independently.
    trials = [
        make_trial(space, n, 2 if n % 2 else 20, num_layers=1 + n // 2 % 4) for n in range(40)
    ]
    found = importances(make_study(trials, space), space)
    assert found.shares is not None
    assert next(iter(found.shares)) == "activation"
    assert sum(found.shares.values()) == pytest.approx(1)
    assert "momentum" not in found.shares  # conditional, and always 0.9


def stands_out(found: Importances, name: str) -> bool:
    intervals = dict(found.intervals or {})
    if name not in intervals:
        return False
    low = intervals.pop(name).low
    return all(low > interval.high for interval in intervals.values())


def test_the_interval_of_what_matters_lies_above_the_others() -> None:
    for seed in range(2):
        found = importances(simulate(300, by_learning_rate, seed), WIDE_SPACE)
        assert stands_out(found, "learning_rate")
        assert found.shares is not None
        assert found.intervals is not None
        assert list(found.shares) == list(found.intervals)
        for name, share in found.shares.items():
            interval = found.intervals[name]
            assert 0 <= interval.low <= share <= interval.high <= 1
        assert "the best 30 of 300 COMPLETE trials" in found.note
        assert "200 bootstrap resamples" in found.note
        assert "Too few" not in found.note
        assert found.first_is_ahead


def test_what_all_survivors_share_still_matters() -> None:
    # Only trials near the best learning rate survive; among them it decides little.
    survivors = pruned_below(simulate(300, by_learning_rate), 0.885)
    assert stands_out(importances(survivors, WIDE_SPACE), "learning_rate")
    complete = [trial for trial in survivors.trials if trial.state is TrialState.COMPLETE]
    without = importances(replace(survivors, trials=tuple(complete)), WIDE_SPACE)
    assert not stands_out(without, "learning_rate")


def test_pruning_at_random_is_noise() -> None:
    record = simulate(100, by_nothing)
    trials = [
        replace(trial, state=TrialState.PRUNED) if trial.number % 3 else trial
        for trial in record.trials
    ]
    found = importances(replace(record, trials=tuple(trials)), WIDE_SPACE)
    assert found.shares is None
    assert found.note.startswith("Too few trials to say which matter more: no hyperparameter")
    assert "The 66 pruned trials count as not among them." in found.note


def test_a_conditional_parameter_can_be_what_matters() -> None:
    found = importances(simulate(400, by_momentum), WIDE_SPACE)
    assert set(list(found.shares or ())[:2]) == {"momentum", "optimizer"}


@pytest.mark.parametrize("num_trials", [12, 100])
def test_noise_is_called_noise(num_trials: int) -> None:
    # The level is 5 % over all hyperparameters: 2 or more of 5 would happen once in 44 times.
    said = [importances(simulate(num_trials, by_nothing, seed), WIDE_SPACE) for seed in range(5)]
    silent = [found for found in said if found.shares is None]
    assert len(silent) >= 4
    assert all(found.note.startswith("Too few trials to say which") for found in silent)
    assert all(found.intervals is None for found in silent)


def test_equally_important_parameters_are_not_ordered() -> None:
    space = load_space(
        {
            "name": "two",
            "dataset": "digits",
            "parameters": {
                "activation": {"choices": ["relu", "tanh"]},
                "optimizer": {"choices": ["adamw", "sgd"]},
            },
        }
    )
    trials = [
        make_trial(
            space, n, 2 + n % 7 + 8 * (n % 2) + 8 * (n // 2 % 2),
            activation=("relu", "tanh")[n % 2], optimizer=("adamw", "sgd")[n // 2 % 2],
        )
        for n in range(80)
    ]  # fmt: skip
    found = importances(make_study(trials, space), space)
    assert found.shares is not None
    assert "Too few trials to say which matter more: every interval contains" in found.note
    assert "50%" in found.note
    assert not found.first_is_ahead


def test_importances_are_the_same_twice_and_leave_the_generators_alone() -> None:
    record = simulate(60, by_learning_rate)
    np.random.seed(3)
    first = importances(record, WIDE_SPACE)
    assert np.random.random() == np.random.RandomState(3).random_sample()
    assert importances(record, WIDE_SPACE) == first
