"""Validation after every so many epochs: what is reported is what a full run reports there."""

from __future__ import annotations

from dataclasses import replace

import pytest
from driving import Driver, continued, interrupted, make_engine, prune_at, several, train
from helpers import make_config, timeless, without_seconds

from sweep.data import TrainingData
from sweep.records import Objective, TrialState
from sweep.training.checkpoints import unpack

ENGINES = ("sequential", "stacked")
both = pytest.mark.parametrize("name", ENGINES)
DIVERGES = {"optimizer": "sgd", "learning_rate": 10.0, "weight_decay": 1.0, "num_layers": 3}
EVERY_3 = Objective("validation_accuracy", "maximize", every=3)


@both
@pytest.mark.parametrize(
    ("epochs", "rungs", "expected"),
    [(7, (), [3, 6, 7]), (6, (), [3, 6]), (2, (), [2]), (7, (0.1, 0.5), [1, 3, 4, 6, 7])],
)
def test_it_reports_on_the_grid_at_rungs_and_after_the_last(small, name, epochs, rungs, expected):
    config = make_config(epochs=epochs, dropout=0.3, weight_averaging=0.9)
    (whole,) = train(small, config, name=name)
    (sparse,) = train(small, config, name=name, objective=EVERY_3, rungs=rungs)

    assert [metrics.epoch for metrics in sparse.history] == expected
    there = [metrics for metrics in whole.history if metrics.epoch in expected]
    assert without_seconds(sparse.history) == without_seconds(there)
    assert sparse.epochs_run == epochs
    best = max(there, key=lambda m: m.values["validation_accuracy"])
    assert sparse.best_epoch == best.epoch
    assert without_seconds([sparse.best]) == without_seconds([best])


@both
def test_the_last_weights_are_those_of_a_full_run(small, name):
    config = make_config(epochs=5, dropout=0.3)
    # A goal that the last epoch reaches in both: the loss is still falling.
    objective = Objective("validation_loss", "minimize")
    (whole,) = train(small, config, name=name, objective=objective)
    (sparse,) = train(small, config, name=name, objective=replace(objective, every=100))
    assert whole.best_epoch == sparse.best_epoch == 5
    assert sparse.weights == whole.weights
    assert len(sparse.history) == 1


def test_lanes_of_a_stack_report_at_their_own_ends(small):
    configs = several()  # of 3 and 4 epochs
    every = replace(EVERY_3, every=2)
    driver = Driver(make_engine(small, objective=every))
    outcomes = driver.run(*configs)
    whole = train(small, *configs)
    for config, sparse, full in zip(configs, outcomes, whole, strict=True):
        expected = [2, config.params["epochs"]]
        assert [metrics.epoch for metrics in sparse.history] == expected
        there = [metrics for metrics in full.history if metrics.epoch in expected]
        assert without_seconds(sparse.history) == without_seconds(there)


@both
def test_a_report_holds_the_seconds_of_all_epochs_since_the_last_one(small, name):
    watched = make_engine(small, name, objective=EVERY_3)
    spent: list[float] = []
    driver = Driver(watched)
    driver.add(make_config(epochs=3))
    while driver.num_open:
        driver.turn()
        spent += [lane.unreported_seconds for run in watched._runs for lane in run.group.lanes]
    (metrics,) = driver.outcomes[0].history
    assert metrics.seconds > max(spent) > 0


@both
@pytest.mark.parametrize("steps", [2, 5, 7, 10, 13])
def test_a_trial_goes_on_between_two_reports_to_the_last_bit(small: TrainingData, name, steps):
    config = make_config(epochs=7, dropout=0.3)
    (undisturbed,) = train(small, config, name=name, objective=EVERY_3)

    states = interrupted(make_engine(small, name, objective=EVERY_3), steps, config)
    driver = continued(make_engine(small, name, objective=EVERY_3), states, config)

    assert driver.refused == {}
    assert timeless(driver.outcomes[0]) == timeless(undisturbed)
    progress, _ = unpack(states[0].state)
    assert progress.epoch == states[0].epoch


def test_these_interruptions_come_before_and_after_the_first_report(small: TrainingData):
    places = set()
    for steps in (2, 5, 7, 10, 13):
        engine = make_engine(small, "sequential", objective=EVERY_3)
        progress, _ = unpack(interrupted(engine, steps, make_config(epochs=7))[0].state)
        places.add((len(progress.history), progress.unreported_epochs))
    assert {reports for reports, _ in places} >= {0, 1}
    assert any(unreported for _, unreported in places)


@both
@pytest.mark.parametrize("patience", [0, 1000])
def test_a_trial_is_pruned_at_a_report(small, name, patience):
    (outcome,) = train(
        small,
        make_config(epochs=9),
        name=name,
        answer=prune_at({0: 3}),
        patience=patience,
        objective=EVERY_3,
    )
    assert (outcome.state, outcome.epochs_run) == (TrialState.PRUNED, 3)


@both
def test_a_loss_that_is_not_finite_fails_a_trial_that_is_not_validated(small, name):
    good, bad = make_config(epochs=4), make_config(number=1, epochs=4, **DIVERGES)
    objective = replace(EVERY_3, every=4)
    outcomes = train(small, good, bad, name=name, objective=objective)
    assert [outcome.state for outcome in outcomes] == [TrialState.COMPLETE, TrialState.FAIL]
    assert outcomes[1].failure.reason.startswith("epoch ")
    assert "validation" not in outcomes[1].failure.reason
    assert outcomes[1].history == ()


@both
def test_validation_is_left_out(small, name):
    called: list[str] = []
    watch = lambda what, *_: called.append(what)  # noqa: E731
    engine = make_engine(small, name, watch, objective=EVERY_3)
    Driver(engine).run(make_config(epochs=7))
    assert called.count("finish_epoch") == 3
