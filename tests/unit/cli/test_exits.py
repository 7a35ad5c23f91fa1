"""How a command ends that a signal or an error cuts short, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sweep.cli import exits
from sweep.execution import pool

CODE = """
import atexit, os, signal
from sweep.cli.exits import handle_errors, interruptible
from sweep.errors import InputError, Interrupted, SweepFailedError

atexit.register(print, "taken down")
with handle_errors(lambda: "resume"), interruptible(lambda: "go on") as interruption:
    {body}
"""


def ended(body: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(body=body)], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("name", ["SweepFailedError", "InputError"])
def test_what_a_signal_tore_apart_is_an_interruption(name):
    """As SQLAlchemy does it: what was raised in it comes out as another exception."""
    body = f"""
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except KeyboardInterrupt:
        raise {name}("a closed database")
    """
    assert ended(body) == (143, "", "sweep: interrupted; go on\n")


def test_an_error_after_a_signal_that_was_only_noted_is_an_error():
    body = """
    interruption.requested()
    os.kill(os.getpid(), signal.SIGINT)
    raise SweepFailedError("the disk is full")
    """
    assert ended(body) == (1, "taken down\n", "sweep: the disk is full; resume\n")


@pytest.mark.parametrize(("signal", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_an_interruption_that_was_asked_for_has_the_code_of_its_signal(signal, code):
    body = f"""
    interruption.requested()
    os.kill(os.getpid(), signal.{signal})
    raise Interrupted("interrupted; by `stop`")
    """
    assert ended(body) == (code, "", "sweep: interrupted; go on\n")


def test_a_command_under_nohup_outlives_its_terminal():
    body = "os.kill(os.getpid(), signal.SIGHUP); print('done')"
    code = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n" + CODE.format(body=body)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "taken down\n", "done\n")


def test_without_a_signal_errors_are_errors():
    assert ended("raise InputError('no')") == (2, "taken down\n", "sweep: no\n")
    assert ended("raise SweepFailedError('no')") == (1, "taken down\n", "sweep: no; resume\n")


def test_an_interrupted_command_leaves_without_taking_the_interpreter_down():
    body = "print('so far'); os.kill(os.getpid(), signal.SIGINT)"
    assert ended(body) == (130, "", "so far\nsweep: interrupted; go on\n")


def test_an_interrupted_command_has_time_to_save_and_ends_within_five_seconds():
    assert 0 < pool._SAVE_SECONDS < exits._PATIENCE_SECONDS < 5


def test_what_is_printed_at_work_does_not_stand_with_the_result():
    assert ended("print('from a network')") == (0, "taken down\n", "from a network\n")
