"""Worker processes on this machine (see `sweep.execution.forking`)."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from dataclasses import replace
from multiprocessing import Pipe
from queue import SimpleQueue
from typing import IO

from sweep.execution.calibrating import cached_calibration, calibrated
from sweep.execution.devices import place_workers
from sweep.execution.forking import EXIT_SECONDS, ForkServer, last_words, shared_server
from sweep.execution.launcher import Ended, next_message
from sweep.records import Calibration, CalibrationRequest, Slot, TrainingSettings

__all__ = ["ProcessLauncher", "ProcessLink"]


class ProcessLink:
    """A worker process (see `sweep.execution.launcher.Link`).

    Two threads read and write its pipe, so that a worker that stops halfway through a message never
    blocks the driver.
    """

    def __init__(
        self, settings: TrainingSettings, server: ForkServer, data: int, inbox: Inbox
    ) -> None:
        self.is_open = True
        self._server = server
        self._inbox = inbox
        self._letters: SimpleQueue[bytes | None] = SimpleQueue()
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the worker
        self._connection, theirs = Pipe()
        with theirs:
            self._child = server.fork(
                "train", settings, theirs, self._output, data, threads=settings.num_threads
            )
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._listen, self._write)
        ]
        for thread in self._threads:
            thread.start()

    def send(self, data: bytes) -> None:
        """Send a message without waiting until it is read."""
        self._letters.put(data)

    def kill(self) -> None:
        """Kill it at once."""
        self.is_open = False
        self._server.kill(self._child)
        self._letters.put(None)
        for thread in self._threads:
            thread.join(EXIT_SECONDS)
        if not any(thread.is_alive() for thread in self._threads):
            self._connection.close()
            self._output.close()

    def _listen(self) -> None:
        """Receive messages until the worker is gone, perhaps halfway through one."""
        with contextlib.suppress(EOFError, OSError):
            while True:
                self._inbox.put((self, self._connection.recv_bytes()))
        if not self._child.has_ended.wait(EXIT_SECONDS):
            self._server.kill(self._child)
        ended = self._child.ended
        words = last_words(self._output) or ended.last_words
        self._inbox.put((self, replace(ended, last_words=words)))

    def _write(self) -> None:
        """Send messages until the worker is gone, which the listener reports."""
        with contextlib.suppress(OSError):
            while (data := self._letters.get()) is not None:
                self._connection.send_bytes(data)


Inbox = SimpleQueue[tuple[ProcessLink, bytes | Ended]]
"""Messages, each with its worker."""


class ProcessLauncher:
    """Starts worker processes (see `sweep.execution.launcher.Launcher`).

    Without a `server`, and outside `early_server`, the launcher starts its own at once. `device` is
    that of `place_workers`.
    """

    is_elastic = False

    def __init__(self, device: str = "auto", server: ForkServer | None = None) -> None:
        self._device = device
        self._data: IO[bytes] | None = None
        self._inbox: Inbox = SimpleQueue()
        self._links: list[ProcessLink] = []
        self._owned: list[ForkServer] = []
        self._server = server or shared_server() or self._new_server()

    def slots(self, count: int | None = None) -> list[Slot]:
        """One per core or GPU, or `count`."""
        return place_workers(self._device, count)

    def calibrate(self, request: CalibrationRequest, *, measure: bool) -> Calibration | None:
        """What is known of this machine, or is measured in a process of its own."""
        return calibrated(request, self._server) if measure else cached_calibration(request)

    def share(self, key: str, data: bytes) -> None:
        """Keep the data in memory that all workers map."""
        del key
        if self._data is not None:
            self._data.close()
        self._data = _unnamed_file()
        self._data.write(data)
        self._data.flush()

    def start(self, slot: Slot, settings: TrainingSettings) -> ProcessLink:
        """Fork a worker, from a new server if the old one was killed."""
        del slot  # the settings name its device
        assert self._data is not None  # noqa: S101 - for the type checker: data are shared first
        if not self._server.is_alive:
            self._server = self._new_server()
        self._links = [link for link in self._links if link.is_open]
        data = self._data.fileno()
        self._links.append(ProcessLink(settings, self._server, data, self._inbox))
        return self._links[-1]

    def receive(self, timeout: float) -> tuple[ProcessLink, bytes | Ended] | None:
        """The next message of a worker that has not been killed."""
        return next_message(self._inbox, timeout)

    def close(self) -> None:
        """End the workers, and the server if it is the launcher's own."""
        for server in self._owned:
            server.close()
        for link in self._links:
            link.kill()
        if self._data is not None:
            self._data.close()

    def _new_server(self) -> ForkServer:
        self._owned.append(ForkServer())
        return self._owned[-1]


def _unnamed_file() -> IO[bytes]:
    """A file that is gone with its last user: in memory where the system has such files."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("sweep"), "w+b")
    return tempfile.TemporaryFile()
