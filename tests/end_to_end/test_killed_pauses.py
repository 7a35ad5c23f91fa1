"""A study killed around pauses and promotions ends as if nothing had happened."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import made_once
from killing import (
    ENGINES,
    Accident,
    check_same,
    check_whole,
    finish,
    kill_at_random,
    kill_through,
    prepare,
    read_ledger,
    read_study,
    small_space,
    undisturbed_study,
)

from sweep.records import TrialState

TRIALS = 7
SPACE = small_space(
    TRIALS, pruner={"type": "asha", "rungs": [0.16, 0.33], "reduction_factors": [2, 2]}
)
AROUND_A_PAUSE = [
    Accident("decide", "before"),  # the decision is recorded, but the worker has not got it
    Accident("decide", "after"),
    Accident("write_paused", "before"),  # the checkpoint is written
    Accident("write_paused", "after"),
    Accident("pause", "after"),
    Accident("pause", "after", 2),
]
AROUND_A_PROMOTION = [
    Accident("promote", "before"),
    Accident("promote", "after"),
    Accident("go_on_with", "before"),  # promoted, but not submitted
    Accident("resubmit", "after"),  # by the next driver, as an orphan
    Accident("report", "before"),  # of the epoch at which it was paused
    Accident("report", "after", 2),
    Accident("promote", "before", 2),
]
LATE = [
    Accident("discard_checkpoints", "before"),  # of a trial that will never be promoted
    Accident("discard_checkpoints", "after"),
    Accident("tell", "after", 2),
    Accident("unlink", "after"),
    Accident("finish_study", "before"),
]


@pytest.fixture(scope="session")
def halved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study without accidents."""
    return made_once(
        tmp_path_factory,
        "halved",
        lambda folder: undisturbed_study(folder, SPACE),
    )


@pytest.mark.slow
def test_undisturbed_it_pauses_promotes_and_prunes(halved):
    study = read_study(halved)
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    assert {trial.epochs_run for trial in study.trials} == {1, 2, 6}
    paused = [line["trial"] for line in read_ledger(halved) if line["kind"] == "paused"]
    assert len(set(paused)) < TRIALS, "one had no chance when it arrived"
    assert len(set(paused)) < len(paused), "one was paused twice"


@pytest.mark.slow
@pytest.mark.parametrize(
    "accidents",
    [AROUND_A_PAUSE, AROUND_A_PROMOTION, LATE],
    ids=["pause", "promotion", "late"],
)
def test_killed_at_one_moment_after_the_other_it_ends_as_if_nothing_had_happened(
    tmp_path, halved, accidents
):
    folder = prepare(tmp_path, SPACE)
    kill_through(folder, accidents, "sequential")
    finish(folder, "sequential")
    check_whole(folder, TRIALS, to_the_last_bit=True)
    check_same(folder, halved)


@pytest.mark.slow
def test_stacked_it_loses_nothing_either(tmp_path):
    folder = prepare(tmp_path, SPACE)
    accidents = [AROUND_A_PAUSE[2], AROUND_A_PAUSE[4], *AROUND_A_PROMOTION[:3], LATE[1]]
    kill_through(folder, accidents, "stacked")
    finish(folder, "stacked")
    check_whole(folder, TRIALS, to_the_last_bit=False)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_killed_at_random_instants_nothing_acknowledged_is_lost(tmp_path, engine):
    folder = prepare(tmp_path, SPACE)
    kills, num_trials = kill_at_random(folder, seed=2, num_kills=3, engine=engine)
    assert kills.count == 3
    assert check_whole(folder, num_trials, to_the_last_bit=engine == "sequential") > num_trials
