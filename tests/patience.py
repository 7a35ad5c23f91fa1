"""Limits on the work for a search space: counted, because time depends on the machine."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType

from sweep.space import load_space

HANGS_AFTER_SECONDS = 60

_SHIPPED = Path(__file__).parents[1] / "search_spaces" / "digits.yaml"


@contextmanager
def at_once(loads: int = 1575) -> Iterator[None]:
    """Call no more functions than this many loads of a shipped search space.

    A single call that takes minutes is a hang.
    """
    limit = loads * calls_of_a_load()
    started = time.process_time()
    with counted_calls() as count:
        yield
    assert count() < limit
    assert time.process_time() - started < HANGS_AFTER_SECONDS


@cache
def calls_of_a_load() -> int:
    """The number of function calls of `load_space` for `digits.yaml`."""
    load_space(_SHIPPED)
    with counted_calls() as count:
        load_space(_SHIPPED)
    return count()


@contextmanager
def counted_calls() -> Iterator[Callable[[], int]]:
    """Count the calls of Python and C functions in this thread."""
    calls = 0

    def watch(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield lambda: calls
    finally:
        sys.setprofile(before)
