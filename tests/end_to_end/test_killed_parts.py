"""A worker, fork server or driver alone is killed, or stopped for a while."""

from __future__ import annotations

import pytest
from killing import TRIALS, check_same, check_whole, finish, prepare, processes_in, small_space
from parts import befall, orphan_a_starting_server, stop_the_job


@pytest.mark.slow
@pytest.mark.parametrize(
    ("disaster", "num_lost"),
    [
        ("worker killed", 1),
        ("server killed", 0),
        ("driver killed", 0),
        ("worker stopped and driver killed", 0),
        ("worker stopped", 0),
        ("driver stopped", 0),
    ],
)
def test_a_part_fails_and_the_study_ends_as_if_nothing_had_happened(
    tmp_path, undisturbed, disaster, num_lost
):
    folder = prepare(tmp_path, small_space(TRIALS))
    assert befall(folder, disaster, "sequential", at_decision=3) == num_lost
    check_whole(folder, TRIALS, to_the_last_bit=True)
    check_same(folder, undisturbed)


@pytest.mark.slow
def test_a_worker_is_killed_with_many_trials_under_way(tmp_path):
    folder = prepare(tmp_path, small_space(TRIALS))
    assert befall(folder, "worker killed", "stacked", at_decision=2) > 1
    check_whole(folder, TRIALS, to_the_last_bit=False)


@pytest.mark.slow
def test_stopping_every_process_of_a_job_blames_no_trial(tmp_path, undisturbed):
    folder = prepare(tmp_path, small_space(TRIALS))
    stop_the_job(folder, "sequential")
    check_whole(folder, TRIALS, to_the_last_bit=True)
    check_same(folder, undisturbed)


@pytest.mark.slow
def test_a_server_that_still_imports_ends_with_its_driver(tmp_path):
    folder = prepare(tmp_path, small_space(TRIALS))
    orphan_a_starting_server(folder, "sequential")
    check_whole(folder, TRIALS, to_the_last_bit=True)


def test_nothing_is_left_when_a_command_has_ended(tmp_path):
    folder = prepare(tmp_path, small_space(1))
    finish(folder, "sequential")
    assert processes_in(folder) == []
