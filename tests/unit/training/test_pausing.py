"""A trial that is paused leaves, and when it is promoted it continues as if it had never left."""

from __future__ import annotations

import math

import pytest
from driving import (
    GROUPS,
    Driver,
    assert_same,
    make_engine,
    pause_at,
    prune_at,
    several,
    train,
)
from helpers import make_config, timeless

from sweep.records import Checkpoint, Decision, Notice, Paused, TrialState

NUM_STEPS = 4  # of an epoch: 120 images, 32 a batch

both = pytest.mark.parametrize("name", GROUPS)


@both
@pytest.mark.parametrize("rungs", [(), (0.4,)], ids=["ahead", "rung"])
@pytest.mark.parametrize("patience", [0, 2, 1000])
def test_a_promoted_trial_ends_as_if_it_had_not_been_paused(small, name, rungs, patience):
    config = make_config(dropout=0.3, epochs=5, learning_rate_schedule="one_cycle")
    (undisturbed,) = train(small, config, name=name)

    first = Driver(make_engine(small, name, rungs=rungs), pause_at({0: 2}), patience)
    first.add(config)
    while first.num_open:
        first.turn()
    (checkpoint,) = first.checkpoints[0]
    assert checkpoint.epoch == 2
    if rungs:
        assert checkpoint.step == 0, "at a rung it waits for the decision"
    elif patience:
        assert checkpoint.step > 0, "it was ahead"
    assert first.engine.is_idle
    assert list(first.engine.save()) == [], "it is not trained any more"

    later = Driver(make_engine(small, name, rungs=rungs))
    later.add(config, checkpoints={0: checkpoint})
    while later.num_open:
        later.turn()
    assert timeless(later.outcomes[0]) == timeless(undisturbed)
    assert [m.epoch for (m,) in later.epochs] == [3, 4, 5]


@both
def test_the_checkpoint_comes_first_and_the_outcome_is_that_of_a_pruned_trial(small, name):
    config = make_config(epochs=3)
    (pruned,) = train(small, config, name=name, answer=prune_at({0: 1}))
    engine = make_engine(small, name)
    engine.add([config])
    engine.advance(math.inf)
    checkpoint, paused = engine.decide([0], [Decision.PAUSE])
    assert isinstance(checkpoint, Checkpoint)
    assert isinstance(paused, Paused)
    assert paused.outcome.state is TrialState.PRUNED
    assert timeless(paused.outcome) == timeless(pruned)


@both
def test_after_a_rung_nothing_is_trained_before_the_decision(small, name):
    steps = []
    watch = lambda what, *_: steps.append(what) if what == "step" else None  # noqa: E731
    engine = make_engine(small, name, watch, rungs=(0.3,))
    engine.add([make_config(epochs=3)])
    engine.advance(math.inf)
    assert engine.is_idle
    assert engine.advance(math.inf) == []
    assert len(steps) == NUM_STEPS
    engine.decide([0], [Decision.CONTINUE])
    engine.advance(math.inf)
    assert engine.advance(math.inf) == []
    assert len(steps) == 3 * NUM_STEPS, "after any other epoch the next one is"


def test_trials_that_were_paused_at_a_rung_are_trained_together_again(small):
    configs = several(epochs=4)
    undisturbed = train(small, *configs, precision="float64")
    first = Driver(
        make_engine(small, precision="float64", rungs=(0.5,)),
        pause_at(dict.fromkeys(range(5), 2)),
    )
    first.add(*configs[:2])
    for _ in range(3):
        first.turn()
    first.add(*configs[2:])
    while first.num_open:
        first.turn()

    builds = []
    watch = lambda what, trials, *_: builds.append(trials) if what == "build" else None  # noqa: E731
    later = Driver(make_engine(small, watch=watch, precision="float64", rungs=(0.5,)))
    later.add(
        *configs, checkpoints={number: saved[-1] for number, saved in first.checkpoints.items()}
    )
    while later.num_open:
        later.turn()
    assert builds == [[0, 1, 2, 3, 4]]
    for outcome in undisturbed:
        assert_same(later.outcomes[outcome.trial], outcome)


@pytest.mark.parametrize("patience", [0, 3, 1000])
def test_its_neighbours_go_on_as_if_nothing_had_happened(small, patience):
    configs = several(epochs=4)
    undisturbed = train(small, *configs, precision="float64")
    driver = Driver(make_engine(small, precision="float64"), pause_at({1: 1, 3: 2}), patience)
    driver.add(*configs)
    while driver.num_open:
        driver.turn()
    assert driver.paused.keys() == {1, 3}
    for outcome in undisturbed:
        if outcome.trial not in driver.paused:
            assert_same(driver.outcomes[outcome.trial], outcome)
    for trial, paused in driver.paused.items():
        assert len(paused.history) == {1: 1, 3: 2}[trial]


@both
def test_a_trial_that_has_run_all_its_epochs_is_complete_whatever_the_schedule_says(small, name):
    (outcome,) = train(
        small, make_config(epochs=2), name=name, answer=pause_at({0: 2}), rungs=(0.9,)
    )
    assert outcome.state is TrialState.COMPLETE
    assert outcome.weights is not None


@both
def test_a_trial_that_cannot_be_saved_is_paused_all_the_same(small, name):
    """Promoted, it continues from its checkpoint before, or starts again."""

    def watch(what, trials, *_):
        if what == "tensors" and broken:
            raise RuntimeError("the device does not answer")

    broken: list[bool] = []
    config = make_config(epochs=4)
    (undisturbed,) = train(small, config, name=name)
    engine = make_engine(small, name, watch)
    engine.add([config])
    engine.advance(math.inf)
    (earlier,) = engine.save()
    broken.append(True)
    notice, paused = engine.decide([0], [Decision.PAUSE])
    assert notice == Notice("trial 0 could not be saved: the device does not answer")
    assert isinstance(paused, Paused)
    for known in ({0: earlier}, None):
        later = Driver(make_engine(small, name))
        later.add(config, checkpoints=known)
        while later.num_open:
            later.turn()
        assert timeless(later.outcomes[0]) == timeless(undisturbed)


@both
def test_a_trial_may_be_paused_again_and_again(small, name):
    config = make_config(dropout=0.3, epochs=4)
    (undisturbed,) = train(small, config, name=name)
    known: dict[int, Checkpoint] = {}
    for epoch in (1, 2, 3):
        driver = Driver(make_engine(small, name), pause_at({0: epoch}))
        driver.add(config, checkpoints=known)
        while driver.num_open:
            driver.turn()
        known = {0: driver.checkpoints[0][-1]}
        assert known[0].epoch == epoch
    driver = Driver(make_engine(small, name))
    driver.add(config, checkpoints=known)
    while driver.num_open:
        driver.turn()
    assert timeless(driver.outcomes[0]) == timeless(undisturbed)
