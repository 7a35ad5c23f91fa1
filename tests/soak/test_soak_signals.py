"""Each signal in each phase, with each engine."""

from __future__ import annotations

import pytest
from killing import ENGINES, check_whole, finish, prepare, small_space
from signalling import (
    PHASES,
    SIGNALS,
    TRIALS,
    interrupt,
    interrupt_imports,
    interrupt_report,
    interrupt_twice,
    interrupt_with_a_deaf_worker,
)

pytestmark = [pytest.mark.soak, pytest.mark.parametrize("name", SIGNALS)]
TALLY = "signals in each phase"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("phase", PHASES)
def test_in_each_phase(tmp_path, phase, engine, name, tally):
    tally(TALLY, tried=1)
    folder = prepare(tmp_path, small_space(TRIALS))
    interrupt(folder, phase, name, engine)
    finish(folder, engine)
    check_whole(folder, TRIALS, to_the_last_bit=engine == "sequential")
    tally(TALLY, survived=1)


def test_while_reporting(tmp_path, name, tally):
    tally(TALLY, tried=3)
    folder = prepare(tmp_path, small_space(TRIALS))
    finish(folder, "stacked")
    interrupt_report(folder, name)
    tally(TALLY, survived=3)


def test_while_importing(tmp_path, name, tally):
    tally(TALLY, tried=1)
    interrupt_imports(prepare(tmp_path, small_space(TRIALS)), name)
    tally(TALLY, survived=1)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("disturb", [interrupt_twice, interrupt_with_a_deaf_worker])
def test_stuck(tmp_path, disturb, engine, name, tally):
    tally(TALLY, tried=1)
    folder = prepare(tmp_path, small_space(TRIALS))
    disturb(folder, name, engine)
    finish(folder, engine)
    check_whole(folder, TRIALS, to_the_last_bit=engine == "sequential")
    tally(TALLY, survived=1)
