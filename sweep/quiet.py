"""What other libraries log and warn of, kept back while a block of code runs."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["without_optuna_messages", "without_warnings"]

_level: ContextVar[int] = ContextVar("level", default=logging.NOTSET)
_turn = threading.RLock()


@contextmanager
def without_optuna_messages(level: int) -> Iterator[None]:
    """Keep back what Optuna logs below `level`, in this thread only.

    Its verbosity belongs to all threads: two that change and restore it would leave it changed.
    """
    for handler in logging.getLogger("optuna").handlers:
        handler.addFilter(_is_wanted)  # nothing happens if it is there
    token = _level.set(level)
    try:
        yield
    finally:
        _level.reset(token)


def _is_wanted(record: logging.LogRecord) -> bool:
    return record.levelno >= _level.get()


@contextmanager
def without_warnings(category: type[Warning] = Warning) -> Iterator[None]:
    """Ignore Python's warnings of a category.

    The filters belong to all threads, which therefore take turns.
    """
    with _turn, warnings.catch_warnings(action="ignore", category=category):
        yield
