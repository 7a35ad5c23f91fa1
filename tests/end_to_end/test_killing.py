"""A few instants of what tests/soak tries at many: kill everything, resume, lose nothing."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from killing import (
    ENGINES,
    Accident,
    check_same,
    check_whole,
    go_on,
    kill_at_random,
    prepare,
    read_ledger,
    read_study,
    small_space,
)

TRIALS = 5


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    folder = prepare(tmp_path_factory.mktemp("undisturbed"), small_space(TRIALS))
    done = go_on(folder, *ENGINES["sequential"])
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("engine", ENGINES)
def test_killed_at_random_instants_nothing_acknowledged_is_lost(tmp_path, engine):
    folder = prepare(tmp_path, small_space(TRIALS))
    kills, num_trials = kill_at_random(folder, seed=1, num_kills=3, engine=engine)
    assert kills.count == 3
    assert check_whole(folder, num_trials, to_the_last_bit=engine == "sequential") > num_trials


@pytest.mark.parametrize(
    ("point", "when", "call"),
    [
        ("create_study", "after", 1),
        ("write_study", "after", 1),
        ("commit", "before", 7),
        ("write_outcome", "before", 2),
        ("replace", "after", 1),
        ("write_checkpoints", "before", 3),
        ("tell", "after", 1),
        ("write_finished", "before", 2),
    ],
)
def test_killed_at_a_write_it_ends_as_if_nothing_had_happened(
    tmp_path, undisturbed, point, when, call
):
    folder = prepare(tmp_path, small_space(TRIALS))
    killed = go_on(folder, *ENGINES["sequential"], accidents=(Accident(point, when, call),))
    assert killed.returncode == -signal.SIGKILL, f"it never came to {point}: {killed.stderr}"
    done = go_on(folder, *ENGINES["sequential"])
    assert done.returncode == 0, done.stderr
    check_whole(folder, TRIALS, to_the_last_bit=True)
    check_same(folder, undisturbed)


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
    for accident in (
        Accident("enqueue", "after"),
        Accident("tell", "before", 6),
        Accident("commit", "after", 30),
    ):
        killed = go_on(folder, *ENGINES["stacked"], accidents=(accident,))
        assert killed.returncode == -signal.SIGKILL, f"it never came to {accident}"
    assert go_on(folder, *ENGINES["stacked"]).returncode == 0
    check_whole(folder, len(rates), to_the_last_bit=False)
    assert [trial.params["learning_rate"] for trial in read_study(folder).trials] == rates
    finished = [line["trial"] for line in read_ledger(folder) if line["kind"] == "finished"]
    assert len(finished) == len(set(finished))
