"""SIGINT and SIGTERM in the phases of a command: in time, without a traceback, and resumable."""

from __future__ import annotations

import pytest
from killing import ENGINES, go_on, prepare, small_space
from signalling import (
    TRIALS,
    interrupt,
    interrupt_imports,
    interrupt_report,
    interrupt_twice,
    interrupt_with_a_deaf_worker,
)


@pytest.mark.parametrize(
    ("phase", "name", "engine"),
    [
        ("start", "SIGINT", "stacked"),
        ("opening", "SIGTERM", "sequential"),
        ("asking", "SIGINT", "stacked"),
        ("training", "SIGTERM", "stacked"),
        ("telling", "SIGINT", "sequential"),
    ],
)
def test_a_signal_in_each_phase_leaves_a_resumable_study(tmp_path, phase, name, engine):
    interrupt(prepare(tmp_path, small_space(TRIALS)), phase, name, engine)


def test_a_signal_while_importing_says_that_no_trial_was_started(tmp_path):
    interrupt_imports(prepare(tmp_path, small_space(TRIALS)), "SIGTERM")


def test_a_signal_while_reporting_asks_to_run_the_report_again(tmp_path):
    folder = prepare(tmp_path, small_space(TRIALS))
    assert go_on(folder, *ENGINES["stacked"]).returncode == 0
    interrupt_report(folder, "SIGTERM")


def test_a_second_signal_ends_a_stop_that_is_stuck(tmp_path):
    interrupt_twice(prepare(tmp_path, small_space(TRIALS)), "SIGINT", "sequential")


def test_a_worker_that_answers_nothing_delays_no_stop(tmp_path):
    interrupt_with_a_deaf_worker(prepare(tmp_path, small_space(TRIALS)), "SIGTERM", "stacked")
