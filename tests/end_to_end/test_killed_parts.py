"""A worker or a driver alone is killed, or stands still for a while."""

from __future__ import annotations

from pathlib import Path

import pytest
from killing import ENGINES, check_same, check_whole, go_on, prepare, small_space
from parts import DISASTERS, TRIALS, befall


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    folder = prepare(tmp_path_factory.mktemp("undisturbed"), small_space(TRIALS))
    done = go_on(folder, *ENGINES["sequential"])
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("disaster", DISASTERS)
def test_a_part_fails_and_the_study_ends_as_if_nothing_had_happened(
    tmp_path, undisturbed, disaster
):
    folder = prepare(tmp_path, small_space(TRIALS))
    befall(folder, disaster, "sequential", after_lines=8)
    check_whole(folder, TRIALS, to_the_last_bit=True)
    check_same(folder, undisturbed)


@pytest.mark.parametrize("disaster", ["worker killed", "driver killed"])
def test_a_part_fails_with_many_trials_under_way(tmp_path, disaster):
    folder = prepare(tmp_path, small_space(TRIALS))
    befall(folder, disaster, "stacked", after_lines=8)
    check_whole(folder, TRIALS, to_the_last_bit=False)
