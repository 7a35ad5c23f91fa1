"""Workers inside the driver's own process, trained whenever the driver waits for a message.

For debuggers and tests: everything happens in one thread and always in the same order. A trial
that hangs holds up the driver, and a crash takes it along.
"""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sweep.execution.launcher import Ended
from sweep.records import TrainingSettings

if TYPE_CHECKING:
    from sweep.execution.worker import Worker

__all__ = ["InlineLauncher", "InlineLink"]

LoadWorker = Callable[[TrainingSettings, Callable[[bytes], None]], "Worker"]


class InlineLink:
    """A worker in this process (see `sweep.execution.launcher.Link`)."""

    def __init__(self, settings: TrainingSettings, load: LoadWorker) -> None:
        self._said: deque[bytes | Ended] = deque()
        self._worker: Worker | None = None  # before it is loaded, and after its end
        with self._like_a_process():
            self._worker = load(settings, self._said.append)

    def send(self, data: bytes) -> None:
        """Have the worker act on a message; what it answers waits to be received."""
        with self._like_a_process():
            if self._worker is not None:
                self._worker.receive(data)

    def kill(self) -> None:
        """Forget the worker and what it said."""
        self._worker = None
        self._said.clear()

    def advance(self) -> bool:
        """Train for a moment; return whether there was anything to train."""
        if self._worker is None or self._worker.is_idle:
            return False
        with self._like_a_process():
            self._worker.advance()
        return True

    @property
    def is_open(self) -> bool:
        """Whether there is, or may be, something to receive."""
        return bool(self._said) or self._worker is not None

    def next(self) -> bytes | Ended | None:
        """The oldest message that was not received, or None."""
        return self._said.popleft() if self._said else None

    @contextmanager
    def _like_a_process(self) -> Iterator[None]:
        """An exception is the end of the worker, and is said."""
        try:
            yield
        except Exception:  # noqa: BLE001 - the driver learns of it as of a process that ended
            self._worker = None
            words = traceback.format_exc().strip()
            self._said.append(Ended("exit code 1", by_itself=True, last_words=words))


class InlineLauncher:
    """Trains in the driver's own process (see `sweep.execution.launcher.Launcher`).

    `load` makes a worker; by default one that loads the data and trains.
    """

    def __init__(self, load: LoadWorker | None = None) -> None:
        self._load = load
        self._links: deque[InlineLink] = deque()
        self._num_threads: int | None = None  # that PyTorch had before the first worker

    def start(self, settings: TrainingSettings) -> InlineLink:
        """Make a worker; its data are loaded at once."""
        import torch

        from sweep.execution.worker import load_worker

        if self._num_threads is None:
            self._num_threads = torch.get_num_threads()
        self._links = deque(link for link in self._links if link.is_open)
        self._links.append(InlineLink(settings, self._load or load_worker))
        return self._links[-1]

    def receive(self, timeout: float) -> tuple[InlineLink, bytes | Ended] | None:
        """What a worker has said; if that is nothing, they are trained in turn."""
        end = time.monotonic() + timeout
        while True:
            for link in self._links:
                message = link.next()
                if message is not None:
                    return link, message
            if time.monotonic() >= end:
                return None
            self._links.rotate(-1)
            if not any(link.advance() for link in self._links):
                time.sleep(max(0.0, min(0.01, end - time.monotonic())))

    def close(self) -> None:
        """Forget all workers. PyTorch gets its threads back, and denormal numbers."""
        for link in self._links:
            link.kill()
        self._links.clear()
        if self._num_threads is not None:
            import torch

            torch.set_num_threads(self._num_threads)
            torch.set_flush_denormal(False)
            self._num_threads = None
