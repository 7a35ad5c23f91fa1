"""What ends a sweep early: failed trials, Ctrl-C, and errors of the caller's own functions."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from sweep.errors import Interrupted, SweepError
from sweep.records import Failure, FailureKind, TrialOutcome
from sweep.space import SearchSpace, advice
from sweep.store import STORE_FAILURES
from sweep.words import counted

__all__ = ["Failures", "ctrl_c_interrupts", "remember_errors"]

_ALIKE_FAILURES = 5

_Given = ParamSpec("_Given")
_Returned = TypeVar("_Returned")


def remember_errors(
    function: Callable[_Given, _Returned], errors: list[BaseException]
) -> Callable[_Given, _Returned]:
    """A caller's function; what it raises is added to `errors`, and is no failure of the store."""

    def call(*args: _Given.args, **kwargs: _Given.kwargs) -> _Returned:
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            errors.append(error)
            raise

    return call


class Failures:
    """Counts a study's failed trials: `count` so far, of which there may be `most`."""

    def __init__(self, most: int | None, count: int, space: SearchSpace) -> None:
        self._most = most
        self._space = space
        self._count = count
        self._last: Failure | None = None
        self._num_now = 0  # failures of this command
        self._kinds: set[FailureKind] = set()
        self._any_success = False

    def add(self, outcome: TrialOutcome) -> None:
        """Count a trial that ended."""
        if outcome.failure is None:
            self._any_success = True
        else:
            self._count += 1
            self._num_now += 1
            self._last = outcome.failure
            self._kinds.add(outcome.failure.kind)

    @property
    def reason(self) -> str:
        """Why the sweep has to stop; empty if it has not."""
        if self._last is None:
            return ""
        example = f"the last one with {self._last.kind}: {self._last.reason}"
        alike = len(self._kinds) == 1 and not self._any_success
        if alike and self._num_now >= _ALIKE_FAILURES:
            words = advice(self._last.kind, self._space)
            what_to_do = f"; {words}" if words else ""
            return f"the first {self._num_now} trials all failed alike; {example}{what_to_do}"
        if self._most is not None and self._count > self._most:
            failed = counted(self._count, "trial")
            return f"{failed} failed, and max_failures is {self._most}; {example}"
        return ""


@contextmanager
def ctrl_c_interrupts(next_step: str) -> Iterator[None]:
    """Turn Ctrl-C, and an error that it caused on its way, into `Interrupted`.

    `next_step` says what the user can do next.
    """
    outside = sys.exception()  # the caller may be handling an earlier Ctrl-C
    try:
        yield
    except Interrupted:
        raise
    except (KeyboardInterrupt, SweepError, *STORE_FAILURES) as error:
        # SQLAlchemy, cut short by Ctrl-C, reports a closed database.
        cause: BaseException | None = error
        while cause is not None and cause is not outside:
            if isinstance(cause, KeyboardInterrupt):
                raise Interrupted(f"interrupted; {next_step}") from error
            cause = cause.__context__
        raise
