from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hand_made import make_study, make_trial
from simulated import WIDE_SPACE, simulate

from sweep.records import StudyRecord, TrialState
from sweep.reporting.statistics import Importances, forest, importances
from sweep.reporting.statistics.forest import Feature, dependences
from sweep.space import SearchSpace, load_space


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


# ---------------------------------------------------------------- partial dependence


def test_a_partial_dependence_averages_over_the_other_hyperparameters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a function whose averages are known: 10 width, + 3 if tanh, + the log of the share."""

    def predicted(_rows: Any, _targets: Any, _weights: Any, asked: Any, _seed: int) -> Any:
        return 10 * asked[:, 0] + 3 * asked[:, 2] + asked[:, 3]

    monkeypatch.setattr(forest, "_predicted", predicted)
    features = [Feature("width", [1, 2, 4, None]), Feature("activation", ["relu", "tanh"] * 2)]
    curves = [[(0.5, 0.0), (1.0, -1.0)]] * 4
    found = dependences(features, curves)
    below = 1 - 1 - 3  # where a number that was not used is put
    mean_width = (1 + 2 + 4 + below) / 4
    assert features[0].grid == (1.0, 2.0, 4.0)
    assert features[1].grid == ("relu", "tanh")
    assert found.whole["width"] == pytest.approx([10 * w + 1.5 for w in (1, 2, 4)])
    assert found.whole["activation"] == pytest.approx([10 * mean_width, 10 * mean_width + 3])


def test_a_forest_finds_the_end_of_trials_that_stopped() -> None:
    """Everything is pruned after the first of eight epochs but for what is wide."""
    widths = [8.0, 64.0] * 20
    curves = [
        [
            (epoch / 8, -math.log(epoch) - (width == 64))
            for epoch in ((1, 8) if width == 64 else (1,))
        ]
        for width in widths
    ]
    other = [float(number % 3) for number in range(40)]
    found = dependences([Feature("width", widths), Feature("other", other)], curves)
    narrow, wide = found.whole["width"]
    assert wide < narrow
    assert np.ptp(found.whole["other"]) < 0.2 * (narrow - wide)
    assert len(found.unseen) == 40
    assert np.mean(found.unseen[1::2]) < np.mean(found.unseen[::2])


@pytest.mark.slow
def test_effects_say_where_the_best_is() -> None:
    found = importances(simulate(200, by_learning_rate), WIDE_SPACE)
    effect = found.effects["learning_rate"]  # best at 10 ** -2.5, in the middle of 1e-4 to 1e-1
    assert effect.best == "middle"
    assert 1e-3 < effect.grid[int(np.argmin(effect.heights))] < 1e-2
    assert all(
        map(lambda low, at, high: low <= at <= high, effect.low, effect.heights, effect.high)
    )
    assert found.effects["num_layers"].best == ""
    rising = importances(simulate(200, lambda p: 0.9 - 0.1 * p["dropout"]), WIDE_SPACE)
    assert rising.effects["dropout"].best == "lower"
    chosen = importances(
        simulate(200, lambda p: 0.9 + 0.05 * (p["activation"] == "tanh")), WIDE_SPACE
    )
    assert chosen.effects["activation"].best == "tanh"


# ---------------------------------------------------------------- what is said


def test_too_few_trials_give_no_importances(space: SearchSpace) -> None:
    found = importances(_study(space, list(range(1, 10))), space)
    assert found.shares is None
    assert found.note == "Too few trials to say: 9 have a value, 10 are needed."


def test_equal_values_give_no_importances(space: SearchSpace) -> None:
    found = importances(_study(space, [3] * 20), space)
    assert found.shares is None
    assert "do not predict" in found.note


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
    assert f"of {num_numbers} trials" in found.note
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


@pytest.mark.slow
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
        assert "of 300 trials" in found.note
        assert "80 bootstrap resamples" in found.note
        assert "Too few" not in found.note
        assert found.first_is_ahead


def test_pruned_trials_count_and_so_what_all_survivors_share_still_matters() -> None:
    survivors = pruned_below(simulate(300, by_learning_rate), 0.885)
    assert stands_out(importances(survivors, WIDE_SPACE), "learning_rate")
    few = pruned_below(simulate(60, by_learning_rate), 0.898)
    assert sum(trial.state is TrialState.COMPLETE for trial in few.trials) < 10
    assert next(iter(importances(few, WIDE_SPACE).shares or ())) == "learning_rate"


def test_pruning_at_random_is_noise() -> None:
    record = simulate(100, by_nothing)
    trials = [
        replace(trial, state=TrialState.PRUNED) if trial.number % 3 else trial
        for trial in record.trials
    ]
    found = importances(replace(record, trials=tuple(trials)), WIDE_SPACE)
    assert found.shares is None
    assert found.note.startswith("Too few trials to say")


def test_a_conditional_parameter_can_be_what_matters() -> None:
    found = importances(simulate(400, by_momentum), WIDE_SPACE)
    assert set(list(found.shares or ())[:2]) == {"momentum", "optimizer"}


@pytest.mark.slow
@pytest.mark.parametrize("num_trials", [12, 100])
def test_noise_is_called_noise(num_trials: int) -> None:
    # The level is 5 % over all hyperparameters: 2 or more of 5 would happen once in 44 times.
    said = [importances(simulate(num_trials, by_nothing, seed), WIDE_SPACE) for seed in range(5)]
    silent = [found for found in said if found.shares is None]
    assert len(silent) >= 4
    assert all(found.note.startswith("Too few trials to say") for found in silent)
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
    noise = np.random.default_rng(1).integers(7, size=80)
    trials = [
        make_trial(
            space, n, 2 + int(noise[n]) + 8 * (n % 2) + 8 * (n // 2 % 2),
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
