"""What the pool needs of whatever starts workers and carries bytes to and from them.

A launcher decides nothing and knows no message: all policy is the pool's. Every launcher passes
the tests of `tests/unit/execution/launcher_contract.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sweep.records import TrainingSettings

__all__ = ["Ended", "Launcher", "Link"]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a worker ended.

    Attributes:
        reason: Such as `signal 9` or `exit code 1`.
        by_itself: Whether it exited on its own; otherwise it was ended from outside.
        last_words: The end of what it printed.
        is_innocent: Whether the end of something else ended it, so that no trial is to blame.
    """

    reason: str
    by_itself: bool
    last_words: str = ""
    is_innocent: bool = False


class Link(Protocol):
    """One worker, seen from the driver."""

    def send(self, data: bytes) -> None:
        """Send it a message, without waiting until it is read.

        Messages arrive whole and in order, or not at all because the worker has ended.
        """
        ...

    def kill(self) -> None:
        """End it at once, whatever it does; nothing of it is received any more."""
        ...


class Launcher(Protocol):
    """Starts workers and brings their messages."""

    def start(self, settings: TrainingSettings) -> Link:
        """Start a worker, without waiting until it is ready."""
        ...

    def receive(self, timeout: float) -> tuple[Link, bytes | Ended] | None:
        """The next message of any worker, or how it ended; None after `timeout` seconds without.

        How a worker ended is the last that is received of it. With a timeout of 0, only what has
        come already.
        """
        ...

    def close(self) -> None:
        """End all workers, and whatever helped to start them."""
        ...
