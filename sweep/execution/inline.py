"""Workers in the driver's own process, which train while the driver waits for messages.

For debuggers and tests: one thread, always the same order. A trial that hangs or crashes takes the
driver along.
"""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from sweep.execution.calibrating import cached_calibration, calibrated
from sweep.execution.devices import place_workers
from sweep.execution.launcher import Ended
from sweep.records import Calibration, CalibrationRequest, Slot, TrainingSettings

if TYPE_CHECKING:
    from sweep.execution.worker import Worker

__all__ = ["InlineLauncher", "InlineLink"]

LoadWorker = Callable[[TrainingSettings, Callable[[bytes], None]], "Worker"]


class InlineLink:
    """A worker in this process (see `sweep.execution.launcher.Link`)."""

    def __init__(self, settings: TrainingSettings, load: LoadWorker) -> None:
        self.said: deque[bytes | Ended] = deque()  # and not yet received
        self._worker: Worker | None = None  # before it is loaded, and after its end
        with self._like_a_process():
            self._worker = load(settings, self.said.append)

    def send(self, data: bytes) -> None:
        """Have the worker act on a message; its answers wait to be received."""
        with self._like_a_process():
            if self._worker is not None:
                self._worker.receive(data)

    def kill(self) -> None:
        """Drop the worker and its messages."""
        self._worker = None
        self.said.clear()

    def advance(self) -> bool:
        """Train briefly; return whether there was anything to train."""
        if self._worker is None or self._worker.is_idle:
            return False
        with self._like_a_process():
            self._worker.advance()
        return True

    @property
    def is_open(self) -> bool:
        """Whether there is, or may be, something to receive."""
        return bool(self.said) or self._worker is not None

    @contextmanager
    def _like_a_process(self) -> Iterator[None]:
        """Report an exception as the end of the worker."""
        try:
            yield
        except Exception:  # noqa: BLE001 - the driver sees it like the end of a process
            self._worker = None
            words = traceback.format_exc().strip()
            self.said.append(Ended("exit code 1", by_itself=True, last_words=words))


class InlineLauncher:
    """Trains in the driver's own process (see `sweep.execution.launcher.Launcher`).

    `load` makes a worker, `load_worker` with the shared data by default; `device` is that of
    `place_workers`.
    """

    is_elastic = False

    def __init__(self, device: str = "auto", load: LoadWorker | None = None) -> None:
        self._device = device
        self._load = load
        self._data: Any = b""
        self._links: deque[InlineLink] = deque()
        self._num_threads: int | None = None  # that PyTorch had before the first worker

    def slots(self, count: int | None = None) -> list[Slot]:
        """One per core or GPU, or `count`."""
        return place_workers(self._device, count)

    def calibrate(self, request: CalibrationRequest, *, measure: bool) -> Calibration | None:
        """What is known of this machine, or is measured in a process of its own."""
        return calibrated(request) if measure else cached_calibration(request)

    def share(self, key: str, data: bytes) -> None:
        """Keep the data."""
        del key
        self._data = data

    def start(self, slot: Slot, settings: TrainingSettings) -> InlineLink:
        """Make a worker and load its data."""
        del slot  # the settings name its device
        import torch

        from sweep.execution.worker import load_worker

        if self._num_threads is None:
            self._num_threads = torch.get_num_threads()
        self._links = deque(link for link in self._links if link.is_open)
        self._links.append(InlineLink(settings, self._load or partial(load_worker, self._data)))
        return self._links[-1]

    def receive(self, timeout: float) -> tuple[InlineLink, bytes | Ended] | None:
        """The next message; until there is one, the workers train in turn."""
        end = time.monotonic() + timeout
        while True:
            for link in self._links:
                if link.said:
                    return link, link.said.popleft()
            if time.monotonic() >= end:
                return None
            self._links.rotate(-1)
            if not any(link.advance() for link in self._links):
                time.sleep(max(0.0, min(0.01, end - time.monotonic())))

    def close(self) -> None:
        """Drop all workers and restore PyTorch's threads and denormal numbers."""
        for link in self._links:
            link.kill()
        self._links.clear()
        if self._num_threads is not None:
            import torch

            torch.set_num_threads(self._num_threads)
            torch.set_flush_denormal(False)
            self._num_threads = None
