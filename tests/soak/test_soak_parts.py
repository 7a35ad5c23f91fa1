"""A worker, fork server or driver alone is killed or stopped, early and late in a trial."""

from __future__ import annotations

import pytest
from killing import TRIALS, check_same, check_whole, prepare, small_space
from parts import DISASTERS, befall, orphan_a_starting_server, stop_the_job

pytestmark = [pytest.mark.soak, pytest.mark.parametrize("engine", ["sequential", "stacked"])]


@pytest.mark.parametrize("decision", [1, 2, 4, 7])
@pytest.mark.parametrize("disaster", DISASTERS)
def test_a_part_fails(tmp_path, undisturbed, disaster, engine, decision, tally):
    name = f"{disaster}, {engine}"
    tally(name, tried=1)
    folder = prepare(tmp_path, small_space(TRIALS))
    befall(folder, disaster, engine, at_decision=decision)
    check_whole(folder, TRIALS, to_the_last_bit=engine == "sequential")
    if engine == "sequential":
        check_same(folder, undisturbed)
    tally(name, survived=1)


def test_a_driver_dies_while_its_server_starts(tmp_path, engine, tally):
    name = f"driver killed, {engine}"
    tally(name, tried=1)
    folder = prepare(tmp_path, small_space(TRIALS))
    orphan_a_starting_server(folder, engine)
    check_whole(folder, TRIALS, to_the_last_bit=engine == "sequential")
    tally(name, survived=1)


def test_every_process_of_a_job_is_told_to_stop(tmp_path, engine, tally):
    name = f"job stopped, {engine}"
    tally(name, tried=1)
    folder = prepare(tmp_path, small_space(TRIALS))
    stop_the_job(folder, engine)
    check_whole(folder, TRIALS, to_the_last_bit=engine == "sequential")
    tally(name, survived=1)
