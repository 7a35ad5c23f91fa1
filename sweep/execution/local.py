"""Worker processes on this machine.

Workers are started as `python -m sweep.execution.worker` rather than through multiprocessing:
scripts and notebooks need no `if __name__ == "__main__"`, threads can be limited before torch is
imported, and nothing is pickled.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import IO, Protocol, Self

from sweep.errors import SweepFailedError
from sweep.execution.wire import Decisions, Epoch, Message, Train, WorkerReady, receive, send
from sweep.records import (
    Decision,
    EpochMetrics,
    Failure,
    FailureKind,
    TrainingSettings,
    TrialConfig,
    TrialOutcome,
    TrialState,
)

__all__ = ["Executor", "LocalExecutor"]


class Executor(Protocol):
    """Where trials are trained: submit, take messages, answer with decisions."""

    @property
    def num_free(self) -> int:
        """How many more trials can be submitted now."""
        ...

    @property
    def running(self) -> list[int]:
        """Numbers of the trials that were submitted and have no outcome yet."""
        ...

    def submit(self, config: TrialConfig) -> None:
        """Start a trial. Call it only while `num_free` is positive."""
        ...

    def messages(self, timeout: float) -> list[WorkerReady | Epoch | TrialOutcome]:
        """What happened, after waiting for up to `timeout` seconds."""
        ...

    def decide(self, metrics: Sequence[EpochMetrics], decisions: Sequence[Decision]) -> None:
        """Answer the epoch that these metrics came with."""
        ...


@dataclass(slots=True)
class _Worker:
    settings: TrainingSettings
    process: subprocess.Popen[bytes]
    connection: Connection
    errors: IO[bytes]
    ready: bool = False
    trials: set[int] = field(default_factory=set)

    @classmethod
    def start(cls, settings: TrainingSettings) -> _Worker:
        ours, theirs = Pipe()
        errors = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the worker
        threads = str(settings.num_threads)
        with theirs:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "sweep.execution.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                # A signal to the driver's process group is the driver's to handle; a worker ends
                # when its pipe does.
                start_new_session=True,
                env=os.environ | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads},
            )
        send(ours, settings)
        return cls(settings, process, ours, errors)

    def stop(self) -> None:
        self.connection.close()
        self.process.kill()
        self.process.wait()
        self.errors.close()

    def last_words(self) -> str:
        """The end of what the worker printed."""
        self.errors.seek(0, os.SEEK_END)
        self.errors.seek(max(0, self.errors.tell() - 4000))
        return self.errors.read().decode(errors="replace").strip()


class LocalExecutor:
    """Processes on this machine; a context manager that ends them (see `Executor`).

    Args:
        settings: One entry for each worker.
    """

    def __init__(self, settings: Sequence[TrainingSettings]) -> None:
        self._settings = settings
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        for settings in self._settings:
            self._workers.append(_Worker.start(settings))
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.stop()

    @property
    def num_free(self) -> int:
        """How many more trials can be submitted now; a worker may still be starting."""
        return sum(not worker.trials for worker in self._workers)

    @property
    def running(self) -> list[int]:
        """Numbers of the trials that were submitted and have no outcome yet."""
        return sorted(number for worker in self._workers for number in worker.trials)

    def submit(self, config: TrialConfig) -> None:
        """Start a trial on a free worker."""
        worker = next(worker for worker in self._workers if not worker.trials)
        worker.trials.add(config.number)
        self._send(worker, Train((config,)))

    def messages(self, timeout: float) -> list[WorkerReady | Epoch | TrialOutcome]:
        """What happened, after waiting for up to `timeout` seconds.

        Raises:
            SweepFailedError: a worker could not even start.
        """
        by_connection = {worker.connection: worker for worker in self._workers}
        found: list[WorkerReady | Epoch | TrialOutcome] = []
        for connection in wait(list(by_connection), timeout):
            worker = by_connection[connection]  # type: ignore[index]
            try:
                message = receive(worker.connection)
            except (EOFError, OSError):  # the latter in the middle of a message
                found += self._replace(worker)
                continue
            match message:
                case WorkerReady():
                    worker.ready = True
                    found.append(message)
                case Epoch():
                    found.append(message)
                case TrialOutcome():
                    worker.trials.discard(message.trial)
                    found.append(message)
                case _:
                    raise TypeError(f"a worker sent {type(message).__name__}")
        return found

    def decide(self, metrics: Sequence[EpochMetrics], decisions: Sequence[Decision]) -> None:
        """Answer the epoch that these metrics came with."""
        for worker in self._workers:
            if metrics[0].trial in worker.trials:
                self._send(worker, Decisions(tuple(decisions)))
                return

    def _send(self, worker: _Worker, message: Message) -> None:
        # If the worker has gone, `messages` finds the end of its pipe and says so.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            send(worker.connection, message)

    def _replace(self, worker: _Worker) -> list[TrialOutcome]:
        """Start a new worker for one that died, and fail the trials that it had."""
        code = worker.process.wait()
        ended = f"signal {-code}" if code < 0 else f"exit code {code}"
        words = worker.last_words()
        if not worker.ready:
            last = words.splitlines()[-1] if words else "it printed nothing"
            raise SweepFailedError(f"a worker ended with {ended} before it could train: {last}")
        outcomes = [
            TrialOutcome(
                trial=number,
                state=TrialState.FAIL,
                failure=Failure(
                    FailureKind.KILLED, f"its worker process ended with {ended}", words
                ),
            )
            for number in sorted(worker.trials)
        ]
        worker.stop()
        self._workers[self._workers.index(worker)] = _Worker.start(worker.settings)
        return outcomes
