"""What a long reading of data says while it goes on, for whoever shows it.

A context variable carries it: sources are called through many hands, and only the console listens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["listening", "tell"]

Listener = Callable[[str, bool], None]

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call `listener(text, passing)` with what readings of this thread say in this block."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def tell(text: str, *, passing: bool = False) -> None:
    """Say something, in a line; if `passing`, only until the next line replaces it."""
    listener = _listener.get()
    if listener is not None:
        listener(text, passing)
