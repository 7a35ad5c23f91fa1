"""Exceptions and signals → one line on standard error and an exit code."""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from types import FrameType
from typing import Any, NoReturn

import click

from sweep.cli.layout import laid_out, room
from sweep.cli.streams import output_failure
from sweep.errors import InputError, Interrupted, SweepError
from sweep.words import printable

__all__ = [
    "FAILED",
    "INPUT",
    "Interruption",
    "fail",
    "handle_errors",
    "interruptible",
    "output",
    "print_result",
    "remark",
    "require_output",
]

FAILED = 1
INPUT = 2

_PATIENCE_SECONDS = 4.5  # of the five in which a command ends after a signal


def fail(message: str, code: int) -> NoReturn:
    """Print an error and exit."""
    remark(message)
    sys.exit(code)


def remark(message: str) -> None:
    """Print a line beside the result, to standard error."""
    click.echo(laid_out([f"sweep: {message}"], room(sys.stderr)), err=True)


def output(as_json: bool, data: Callable[[], Any], text: Callable[[int | None], str]) -> str:
    """A result as JSON for programs, or as text for people in the room that they have."""
    if not as_json:
        return text(room(sys.stdout))
    from sweep.cli.json_output import json_text

    return json_text(data())


def print_result(text: str, *, kept: str = "") -> None:
    """Write a command's result to standard output, or exit as `require_output` does."""
    click.echo(text)
    require_output(kept)


def require_output(kept: str = "") -> None:
    """Exit if standard output took less than it was given.

    Where its reader has gone (`sweep list | head -1`), that is as silent as for other programs and
    has the exit code that a shell shows for them. `kept` says where the result still is.
    """
    failure = output_failure()
    if isinstance(failure, BrokenPipeError):
        sys.exit(128 + signal.SIGPIPE)
    if failure is not None:
        rest = f"; {kept}" if kept else ""
        why = "it is closed" if failure.errno == errno.EBADF else failure.strerror
        fail(f"standard output cannot be written: {why}{rest}", FAILED)


@contextmanager
def handle_errors(next_step: Callable[[], str] | None = None) -> Iterator[None]:
    """Turn this package's exceptions into one message and an exit code."""
    try:
        yield
    except InputError as error:
        fail(str(error), INPUT)
    except SweepError as error:
        fail(f"{error}; {next_step()}" if next_step else str(error), FAILED)


class Interruption:
    """Handles SIGINT, SIGTERM and SIGHUP while a command works.

    The first signal unwinds the command; once the command polls `requested`, the signal is only
    noted, so that no write is cut short. The second one exits at once, as does a watchdog some
    seconds after the first; the store survives both.
    """

    def __init__(self, next_step: Callable[[], str]) -> None:
        self._next_step = next_step
        self._signal: int | None = None
        self._polled = False
        self._requested = threading.Event()
        self._ended = threading.Event()
        # Started here: in a signal handler, starting a thread may deadlock.
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def exit_code(self) -> int:
        """128 and the signal's number."""
        return 128 + (self._signal or signal.SIGINT)

    def requested(self) -> bool:
        """Whether a signal has come; from the first call on, signals are only noted."""
        self._polled = True
        return self._signal is not None

    @property
    def has_unwound(self) -> bool:
        """Whether a signal was raised as an exception in the middle of the work."""
        return self._signal is not None and not self._polled

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """The signal handler."""
        if self._signal is not None:
            os._exit(128 + number)
        self._signal = number
        self._requested.set()
        if not self._polled:
            raise KeyboardInterrupt

    @property
    def words(self) -> str:
        """The message on the way out."""
        return f"interrupted; {self._next_step()}"

    def end(self) -> None:
        """The command is over: stop the watchdog."""
        self._ended.set()
        self._requested.set()

    def _watch(self) -> None:
        """Exit if the command does not end."""
        self._requested.wait()
        if self._ended.wait(_PATIENCE_SECONDS):
            return
        try:
            # Unbuffered and without waiting: standard error may be what blocks the command.
            line = printable(f"sweep: {self.words}\n").encode(errors="replace")
            if select.select([], [2], [], 0)[1]:
                os.write(2, line[: select.PIPE_BUF])
        finally:
            os._exit(self.exit_code)


@contextmanager
def interruptible(next_step: Callable[[], str]) -> Iterator[Interruption]:
    """Handle SIGINT, SIGTERM and, unless `nohup` ignores it, SIGHUP; then say what to do next.

    Use it inside `handle_errors`: SQLAlchemy may turn what a signal raises into one of our errors,
    which is still an interruption. What is printed meanwhile, perhaps by a user's network, goes to
    standard error, where no result stands.
    """
    interruption = Interruption(next_step)
    handled = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        handled.append(signal.SIGHUP)
    before = {each: signal.getsignal(each) for each in handled}
    try:
        for each in handled:
            signal.signal(each, interruption.handle)
        with redirect_stdout(sys.stderr):
            yield interruption
    except (KeyboardInterrupt, SweepError) as error:
        is_error = isinstance(error, SweepError) and not isinstance(error, Interrupted)
        if is_error and not interruption.has_unwound:
            raise
        remark(interruption.words)
        # Everything is unwound. Shutting down PyTorch would take seconds on a busy machine.
        os._exit(interruption.exit_code)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        interruption.end()
