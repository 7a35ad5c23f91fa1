"""Driver and workers killed together, at random instants and at every kind of write."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from killing import (
    ENGINES,
    TRIALS,
    Accident,
    check_same,
    check_whole,
    finish,
    kill_at_random,
    kill_later,
    kill_through,
    prepare,
    read_ledger,
    read_study,
    small_space,
    start_driver,
    undisturbed_study,
)

pytestmark = pytest.mark.soak

FEW = {"num_layers": 1, "learning_rate": {"low": 1e-4, "high": 0.1}, "epochs": 3}
MANY_TRIALS = 13  # more than the ten that keep weights, so that weights are deleted

CALLS = {
    "acquire": (1, 2),  # for creating the tables; for the study
    "create_study": (1,),
    "write_study": (1,),
    "enqueue": (1,),
    "recover": (1,),
    "ask": (4,),
    "write_config": (1, 4),
    "report": (1, 9),
    "write_outcome": (1, 12),
    "write_file": (3,),
    "fsync": (1, 4),
    "replace": (3,),
    "delete_files": (1, 12),
    "unlink": (1, 3),
    "unlink_weights": (1, 3),  # of three; the last is the last write of all
    "write_checkpoints": (1, 4),
    "tell": (1, 12),
    "commit": (1, 2, 6, 12, 31),
    "write_finished": (1,),
}
BOUNDARIES = [
    pytest.param(Accident(point, when, call), id=f"{when}-{point}-{call}")
    for point, calls in CALLS.items()
    for call in calls
    for when in ("before", "after")
]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("engine", ENGINES)
def test_a_hundred_random_instants(tmp_path, engine, seed, tally):
    folder = prepare(tmp_path, small_space(TRIALS))
    kills, num_trials = kill_at_random(folder, seed, num_kills=10, engine=engine)
    name = f"driver and workers killed at random instants, {engine}"
    tally(name, tried=kills.count)
    assert check_whole(folder, num_trials, to_the_last_bit=engine == "sequential")
    tally(name, survived=kills.count)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("engine", ENGINES)
def test_random_instants_of_a_study_that_pauses(tmp_path, engine, seed, tally):
    folder = prepare(
        tmp_path,
        small_space(
            TRIALS, pruner={"type": "asha", "rungs": [0.16, 0.33], "reduction_factors": [2, 2]}
        ),
    )
    kills, num_trials = kill_at_random(folder, seed, num_kills=10, engine=engine)
    name = f"killed at random instants while trials pause and are promoted, {engine}"
    tally(name, tried=kills.count)
    assert check_whole(folder, num_trials, to_the_last_bit=engine == "sequential")
    tally(name, survived=kills.count)


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Path:
    return undisturbed_study(tmp_path_factory.mktemp("many"), many_space())


def many_space() -> dict:
    sampler = {"type": "tpe", "seed": 3, "n_startup_trials": 2}  # it deletes the most weights
    return small_space(MANY_TRIALS, parameters=FEW, sampler=sampler, pruner={"type": "none"})


@pytest.mark.parametrize("accident", BOUNDARIES)
def test_at_each_named_write(tmp_path, many, accident, tally):
    name = "killed before and after named writes"
    tally(name, tried=1)
    folder = prepare(tmp_path, many_space())
    kill_through(folder, [accident], "sequential")
    finish(folder, "sequential")
    check_whole(folder, MANY_TRIALS, to_the_last_bit=True)
    check_same(folder, many)
    tally(name, survived=1)


@pytest.mark.parametrize("seed", range(5))
def test_at_random_statements(tmp_path, many, seed, tally):
    """Five consecutive drivers, each killed before an SQL statement."""
    name = "killed before random SQL statements"
    tally(name, tried=5)
    chance = random.Random(seed)  # noqa: S311 - no secrets
    folder = prepare(tmp_path, many_space())
    accidents = [
        Accident("statement", call=chance.randint(start + 1, start + 40))
        for start in (0, 30, 60, 100, 150)
    ]
    kill_through(folder, accidents, "sequential")
    finish(folder, "sequential")
    check_whole(folder, MANY_TRIALS, to_the_last_bit=True)
    check_same(folder, many)
    tally(name, survived=5)


@pytest.mark.parametrize("seed", range(20))
def test_one_worker_ends_as_if_nothing_had_happened(tmp_path, undisturbed, seed, tally):
    name = "one worker, killed once, same to the last bit"
    tally(name, tried=1)
    chance = random.Random(seed)  # noqa: S311 - no secrets
    folder = prepare(tmp_path, small_space(TRIALS))
    lines = chance.randint(0, len(read_ledger(undisturbed)) - 4)
    seconds = chance.uniform(0, 0.04) if lines else chance.uniform(0, 0.5)
    with start_driver(folder, "run", "space.yaml", *ENGINES["sequential"]) as driver:
        kill_later(folder, driver, lines, seconds)
    finish(folder, "sequential")
    check_whole(folder, TRIALS, to_the_last_bit=True)
    check_same(folder, undisturbed)
    tally(name, survived=1)


def test_two_hundred_enqueued_configurations_run_once_each(tmp_path, tally):
    name = "kills of a study with 200 enqueued configurations"
    tally(name, tried=3)
    rates = [0.001 + 0.0001 * index for index in range(200)]
    space = small_space(
        len(rates),
        parameters={"num_layers": 1, "learning_rate": {"low": 1e-4, "high": 0.1}, "epochs": 1},
        pruner={"type": "none"},
        enqueue=[{"learning_rate": rate} for rate in rates],
    )
    folder = prepare(tmp_path, space)
    kill_through(folder, [Accident("enqueue", "after")], "stacked")
    for num_lines in (100, 300):
        with start_driver(folder, "run", "space.yaml", *ENGINES["stacked"]) as driver:
            assert kill_later(folder, driver, num_lines, 0) is None, "it had ended before"
    finish(folder, "stacked")
    check_whole(folder, len(rates), to_the_last_bit=False)
    assert [trial.params["learning_rate"] for trial in read_study(folder).trials] == rates
    tally(name, survived=3)
