"""After SIGINT or SIGTERM in any phase, a command ends in time, resumable, without a traceback."""

from __future__ import annotations

import pytest
from killing import check_whole, finish, prepare, small_space
from signalling import (
    TRIALS,
    interrupt,
    interrupt_imports,
    interrupt_report,
    interrupt_twice,
    interrupt_with_a_deaf_worker,
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "signals"),
    [
        ("sequential", {"start": "SIGINT", "opening": "SIGTERM", "telling": "SIGINT"}),
        ("stacked", {"asking": "SIGINT", "training": "SIGTERM"}),
    ],
)
def test_signals_in_several_phases_of_a_study_leave_it_resumable(tmp_path, engine, signals):
    folder = prepare(tmp_path, small_space(TRIALS))
    for phase, name in signals.items():
        interrupt(folder, phase, name, engine)
    finish(folder, engine)
    check_whole(folder, TRIALS, to_the_last_bit=engine == "sequential")


def test_a_signal_while_importing_says_that_no_trial_was_started(tmp_path):
    interrupt_imports(prepare(tmp_path, small_space(TRIALS)), "SIGTERM")


@pytest.mark.slow
def test_a_signal_while_reporting_asks_to_run_the_report_again(finished, tmp_path):
    interrupt_report(tmp_path, "SIGTERM")


@pytest.mark.slow
def test_a_stop_that_is_stuck_ends_with_a_second_signal_and_a_deaf_worker_delays_none(tmp_path):
    folder = prepare(tmp_path, small_space(TRIALS))
    interrupt_with_a_deaf_worker(folder, "SIGTERM", "stacked")
    interrupt_twice(folder, "SIGINT", "stacked")
    finish(folder, "stacked")
    check_whole(folder, TRIALS, to_the_last_bit=False)
