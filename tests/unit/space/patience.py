"""What may take how long, on whatever machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from sweep.space import load_space

_SHIPPED = Path(__file__).parents[3] / "search_spaces" / "digits.yaml"


@contextmanager
def at_once(times: int = 1000) -> Iterator[None]:
    """Take no longer than so many loads of a search space that is shipped: a few seconds.

    What grows with the square of a file's size takes minutes.
    """
    limit = times * _load_seconds()
    started = time.process_time()
    yield
    assert time.process_time() - started < limit


@cache
def _load_seconds() -> float:
    seconds = []
    for _ in range(10):
        started = time.process_time()
        load_space(_SHIPPED)
        seconds.append(time.process_time() - started)
    return min(seconds)
