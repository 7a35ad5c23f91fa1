"""Exceptions and signals → one line on standard error and an exit code."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import click

from sweep.errors import InputError, SweepError

__all__ = ["FAILED", "INPUT", "fail", "handle_errors", "interruptible"]

FAILED = 1
INPUT = 2


class _Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM.

    Attributes:
        signal_number: The signal.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number


def fail(message: str, code: int) -> NoReturn:
    """Say what is wrong on standard error and leave."""
    click.echo(f"sweep: {message}", err=True)
    sys.exit(code)


@contextmanager
def handle_errors() -> Iterator[None]:
    """Turn this package's exceptions into one message and the exit codes of the design."""
    try:
        yield
    except InputError as error:
        fail(str(error), INPUT)
    except SweepError as error:
        fail(str(error), FAILED)


@contextmanager
def interruptible(next_step: Callable[[], str]) -> Iterator[None]:
    """On the first SIGINT or SIGTERM unwind and say what to do next; on the second leave at once.

    Whatever instant that is, the store can be resumed: it is written to survive SIGKILL.
    """

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, lambda again, _: os._exit(128 + again))
        raise _Interrupted(number)

    before = {each: signal.signal(each, stop) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except _Interrupted as interrupted:
        fail(f"interrupted; {next_step()}", 128 + interrupted.signal_number)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
