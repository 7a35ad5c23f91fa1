"""What the pool needs from whatever starts workers and carries their bytes.

A launcher has no policy and does not look into messages. Every launcher passes the tests in
`tests/unit/execution/launcher_contract.py`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Protocol, TypeVar

from sweep.records import Calibration, CalibrationRequest, Slot, TrainingSettings

__all__ = ["Ended", "Launcher", "Leaving", "Link", "next_message"]

_Link = TypeVar("_Link", bound=Any)
_Message = TypeVar("_Message")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a worker ended.

    Attributes:
        reason: Such as `signal 9` or `exit code 1`.
        by_itself: Whether it exited on its own, not killed from outside.
        last_words: The end of its output.
        is_innocent: Whether something else took it down, so that no trial is to blame.
    """

    reason: str
    by_itself: bool
    last_words: str = ""
    is_innocent: bool = False


@dataclass(frozen=True, slots=True)
class Leaving:
    """A worker's node is about to go away: it should save its trials, and gets no others."""


class Link(Protocol):
    """One worker, seen from the driver."""

    def send(self, data: bytes) -> None:
        """Send a message without waiting until it is read.

        Messages arrive whole and in order, or not at all if the worker has ended.
        """
        ...

    def kill(self) -> None:
        """Kill it at once; nothing more is received from it."""
        ...


class Launcher(Protocol):
    """Starts workers and brings their messages.

    Attributes:
        is_elastic: Whether slots come and go while a study runs.
    """

    is_elastic: bool

    def slots(self, count: int | None = None) -> Sequence[Slot]:
        """Where workers can run now.

        With a `count`, so many; an elastic launcher has at most so many. Otherwise as many as
        there are cores or GPUs.

        Raises:
            InputError: what was asked for is invalid.
            DeviceError: there is no such device.
            SweepFailedError: what has the slots is out of reach.
        """
        ...

    def calibrate(self, request: CalibrationRequest, *, measure: bool) -> Calibration | None:
        """What is known of the machine in the first slot; without `measure`, only from before."""
        ...

    def share(self, key: str, data: bytes) -> None:
        """Hand all workers that start later the same data; `key` names the content."""
        ...

    def start(self, slot: Slot, settings: TrainingSettings) -> Link:
        """Start a worker without waiting until it is ready; one at a time in a slot."""
        ...

    def receive(self, timeout: float) -> tuple[Link, bytes | Ended | Leaving] | None:
        """The next message of any worker, or how it ended; None after `timeout` seconds.

        A worker's end is the last that is received from it. A timeout of 0 does not wait.
        """
        ...

    def close(self) -> None:
        """End all workers and whatever started them."""
        ...


def next_message(
    inbox: SimpleQueue[tuple[_Link, _Message]], timeout: float
) -> tuple[_Link, _Message] | None:
    """The next message of a link that is open (`is_open`); None after `timeout` seconds."""
    end = time.monotonic() + timeout
    with contextlib.suppress(Empty):
        while True:
            link, message = inbox.get(timeout=max(0.0, end - time.monotonic()))
            if link.is_open:
                return link, message
    return None
