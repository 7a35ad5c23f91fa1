"""A worker or a driver alone is killed or stopped, with each engine, early and late in a trial."""

from __future__ import annotations

import pytest
from killing import check_whole, prepare, small_space
from parts import DISASTERS, TRIALS, befall, orphan_a_starting_worker

pytestmark = pytest.mark.soak


@pytest.mark.parametrize("after_lines", [1, 30])
@pytest.mark.parametrize("engine", ["sequential", "stacked"])
@pytest.mark.parametrize("disaster", DISASTERS)
def test_a_part_fails(tmp_path, disaster, engine, after_lines, tally):
    name = f"{disaster}, {engine}"
    tally(name, tried=1)
    folder = prepare(tmp_path, small_space(TRIALS))
    befall(folder, disaster, engine, after_lines=after_lines)
    check_whole(folder, TRIALS, to_the_last_bit=engine == "sequential")
    tally(name, survived=1)


@pytest.mark.parametrize("engine", ["sequential", "stacked"])
def test_a_driver_dies_while_its_worker_starts(tmp_path, engine, tally):
    name = f"driver killed, {engine}"
    tally(name, tried=1)
    folder = prepare(tmp_path, small_space(TRIALS))
    orphan_a_starting_worker(folder, engine)
    check_whole(folder, TRIALS, to_the_last_bit=engine == "sequential")
    tally(name, survived=1)
