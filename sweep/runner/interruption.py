"""Ctrl-C becomes `Interrupted` where it leaves this package."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from sweep.errors import Interrupted, SweepError
from sweep.store import STORE_FAILURES

__all__ = ["interruptible"]


@contextmanager
def interruptible(next_step: str) -> Iterator[None]:
    """Turn Ctrl-C, and an error that it caused on its way, into `Interrupted`.

    Args:
        next_step: What the user can do next.

    Raises:
        Interrupted: Ctrl-C was pressed inside.
    """
    outside = sys.exception()  # the caller may be dealing with an earlier Ctrl-C
    try:
        yield
    except Interrupted:
        raise
    except (KeyboardInterrupt, SweepError, *STORE_FAILURES) as error:
        if _comes_from_an_interrupt(error, outside):
            raise Interrupted(f"interrupted; {next_step}") from error
        raise


def _comes_from_an_interrupt(error: BaseException | None, outside: BaseException | None) -> bool:
    """Whether a Ctrl-C came first: SQLAlchemy, torn apart by one, reports a closed database."""
    while error is not None and error is not outside:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__context__
    return False
