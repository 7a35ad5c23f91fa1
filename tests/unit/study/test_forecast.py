"""Samplers learn from stopped trials what those would have ended with."""

from __future__ import annotations

import math

import pytest
from helpers import make_metrics, space_mapping
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweep.records import Decision, Objective
from sweep.space import load_space
from sweep.study import StudySession
from sweep.study.forecast import Forecast

ACCURACY = Objective("validation_accuracy", "maximize")
LOSS = Objective("validation_loss", "minimize")


def trial(number: int, state: TrialState, reports: list[float]) -> FrozenTrial:
    values = {"value": reports[-1]} if state is TrialState.COMPLETE else {}
    steps = dict(enumerate(reports, start=1))
    made = create_trial(state=state, intermediate_values=steps, **values)
    made.number = number
    return made


def power_law(exponent: float, epochs: int) -> list[float]:
    return [0.4 * epoch**-exponent for epoch in range(1, epochs + 1)]


def seen(objective: Objective, trials: list[FrozenTrial], epochs: int = 16) -> dict[int, float]:
    shown = Forecast(objective, lambda _: epochs).finished(trials)
    assert all(each.state is TrialState.COMPLETE for each in shown.values())
    return {number: each.value for number, each in shown.items()}


def test_the_exponent_is_that_of_the_curves():
    curves = [trial(n, TrialState.COMPLETE, power_law(0.8, 16)) for n in range(200)]
    stopped = trial(200, TrialState.PRUNED, [0.4])
    [(number, value)] = seen(LOSS, [*curves, stopped]).items()
    assert number == 200
    assert value == pytest.approx(power_law(0.8, 16)[-1], rel=0.01)


def test_without_curves_the_gap_shrinks_with_the_root_of_the_epochs():
    assert seen(LOSS, [trial(0, TrialState.PRUNED, [0.4])]) == {0: pytest.approx(0.1)}


def test_accuracies_approach_one_as_losses_approach_zero():
    losses = [trial(0, TrialState.PRUNED, [0.4]), trial(1, TrialState.COMPLETE, [0.4, 0.3] * 4)]
    accuracies = [
        trial(0, TrialState.PRUNED, [0.6]),
        trial(1, TrialState.COMPLETE, [0.6, 0.7] * 4),
    ]
    assert seen(ACCURACY, accuracies)[0] == pytest.approx(1 - seen(LOSS, losses)[0])


def test_the_best_epoch_counts_not_the_last():
    rising, falling = [0.4, 0.2], [0.2, 0.4]
    values = seen(LOSS, [trial(0, TrialState.PRUNED, rising), trial(1, TrialState.PRUNED, falling)])
    assert values[0] == values[1]


def test_a_longer_curve_replaces_what_was_known_of_it():
    forecast = Forecast(LOSS, lambda _: 16)
    before = forecast.finished([trial(0, TrialState.PRUNED, [0.4])])[0].value
    after = forecast.finished([trial(0, TrialState.PRUNED, [0.4, 0.1])])[0].value
    assert after < before


@pytest.mark.parametrize("state", [TrialState.COMPLETE, TrialState.RUNNING, TrialState.FAIL])
def test_only_stopped_trials_have_forecasts(state):
    assert seen(LOSS, [trial(0, state, [0.4, 0.3])]) == {}


def test_a_perfect_value_has_a_forecast():
    assert seen(LOSS, [trial(0, TrialState.PRUNED, [0.0])])[0] < 1e-4


def test_a_sampler_sees_forecasts_and_the_study_keeps_what_was_reported():
    space = load_space(
        space_mapping(
            parameters={"layer_size": {"low": 1, "high": 500}, "epochs": {"low": 4, "high": 16}},
            sampler={"type": "tpe", "n_startup_trials": 0},
            pruner={"type": "asha", "rungs": [0.05], "reduction_factors": [4]},
        )
    )
    session = StudySession(InMemoryStorage(), "x", space)
    session.plan(8, {})
    seen_by_sampler = []
    study = session._study
    sample = study.sampler.sample_relative

    def look(study, asked, distributions):
        seen_by_sampler.append([t for t in study.get_trials() if t.number < asked.number])
        return sample(study, asked, distributions)

    study.sampler.sample_relative = look
    config = session.ask()
    assert session.report(make_metrics(config.number, 1, 0.6)) is Decision.PAUSE
    session.pause(config.number)
    session.ask()
    [shown] = seen_by_sampler[-1]
    epochs = config.params["epochs"]
    assert shown.state is TrialState.COMPLETE
    assert shown.value == pytest.approx(1 - 0.4 * epochs**-0.5)
    first = study.get_trials()[0]
    assert (first.state, first.value) == (TrialState.PRUNED, 0.6)


def test_observations_hold_what_each_trial_reported_at_the_rungs_and_at_last():
    forecast = Forecast(LOSS, lambda _: 16, rungs=(0.05, 0.25))
    losses = power_law(0.5, 16)
    trials = [
        trial(0, TrialState.COMPLETE, losses),
        trial(1, TrialState.RUNNING, losses[:6]),
        trial(2, TrialState.PRUNED, losses[:1]),
        trial(3, TrialState.FAIL, losses[:6]),
        trial(4, TrialState.RUNNING, []),
    ]
    found = forecast.observations(trials)
    assert [each.share * 16 for each in found] == [1, 4, 16, 1, 4, 6, 1]
    gaps = [math.exp(each.log_gap) for each in found]
    assert gaps == pytest.approx([losses[-1]] * 7)


def test_observations_see_the_best_value_up_to_a_rung():
    forecast = Forecast(LOSS, lambda _: 4, rungs=(0.5,))
    [rung, end] = forecast.observations([trial(0, TrialState.COMPLETE, [0.2, 0.4, 0.1, 0.3])])
    exponent = (rung.log_gap - math.log(0.2)) / math.log(0.5)
    assert exponent > 0
    assert end.log_gap == pytest.approx(math.log(0.1))
