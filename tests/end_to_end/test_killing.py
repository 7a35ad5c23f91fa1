"""Kill everything at a few instants, resume, lose nothing; tests/soak tries many more."""

from __future__ import annotations

import pytest
from killing import (
    ENGINES,
    TRIALS,
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
)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_killed_at_random_instants_nothing_acknowledged_is_lost(tmp_path, engine):
    folder = prepare(tmp_path, small_space(TRIALS))
    kills, num_trials = kill_at_random(folder, seed=1, num_kills=3, engine=engine)
    assert kills.count == 3
    assert check_whole(folder, num_trials, to_the_last_bit=engine == "sequential") > num_trials


@pytest.mark.slow
@pytest.mark.parametrize(
    "accidents",
    [
        [
            Accident("create_study", "after"),
            Accident("commit", "before", 7),
            Accident("write_checkpoints", "before", 3),
            Accident("write_outcome", "before"),
            Accident("tell", "after"),
            Accident("write_finished", "before", 2),
        ],
        [
            Accident("write_study", "after"),
            Accident("replace", "after"),
            Accident("unlink", "before"),
            Accident("write_outcome", "after"),
            Accident("write_finished", "after", 2),
        ],
    ],
    ids=["begun", "half-done"],
)
def test_killed_at_one_write_after_the_other_it_ends_as_if_nothing_had_happened(
    tmp_path, undisturbed, accidents
):
    folder = prepare(tmp_path, small_space(TRIALS))
    kill_through(folder, accidents, "sequential")
    finish(folder, "sequential")
    check_whole(folder, TRIALS, to_the_last_bit=True)
    check_same(folder, undisturbed)


@pytest.mark.slow
def test_enqueued_configurations_run_once_each_through_three_kills(tmp_path):
    rates = [0.001 + 0.0001 * index for index in range(20)]
    space = small_space(
        len(rates),
        parameters={"num_layers": 1, "learning_rate": {"low": 1e-4, "high": 0.1}, "epochs": 2},
        sampler={"type": "random", "seed": 0},
        pruner={"type": "none"},
        enqueue=[{"learning_rate": rate} for rate in rates],
    )
    folder = prepare(tmp_path, space)
    accidents = [
        Accident("enqueue", "after"),
        Accident("tell", "before", 6),
        Accident("commit", "after", 30),
    ]
    kill_through(folder, accidents, "stacked")
    finish(folder, "stacked")
    check_whole(folder, len(rates), to_the_last_bit=False)
    assert [trial.params["learning_rate"] for trial in read_study(folder).trials] == rates
    finished = [line["trial"] for line in read_ledger(folder) if line["kind"] == "finished"]
    assert len(finished) == len(set(finished))
