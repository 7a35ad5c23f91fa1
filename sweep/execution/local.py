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
from sweep.training import Capacity

__all__ = ["Executor", "LocalExecutor"]

_REFILL = 0.5


class Executor(Protocol):
    """Where trials are trained: submit, take messages, answer with decisions."""

    @property
    def has_room(self) -> bool:
        """Whether a trial can be submitted now."""
        ...

    @property
    def running(self) -> list[int]:
        """Numbers of the trials that were submitted and have no outcome yet."""
        ...

    def submit(self, config: TrialConfig) -> None:
        """Give a trial to a worker. Call it only while there is room.

        It starts when its worker is full, or with `flush`, whichever comes first: trials that
        start together can share their batches.
        """
        ...

    def flush(self) -> None:
        """Start what was submitted; there is nothing more to come for now."""
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
    capacity: Capacity
    ready: bool = False
    has_room: bool = True
    trials: dict[int, TrialConfig] = field(default_factory=dict)
    outbox: list[TrialConfig] = field(default_factory=list)

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
        return cls(settings, process, ours, errors, Capacity.of(settings))

    @property
    def fullness(self) -> float:
        """How full it is: 0 is empty, 1 is full."""
        return self.capacity.fullness(list(self.trials.values()))

    def take(self, config: TrialConfig) -> None:
        """Keep a trial for it until it starts."""
        self.trials[config.number] = config
        self.outbox.append(config)
        self.has_room = self.fullness < 1

    def release(self, trial: int) -> None:
        """Forget a trial that has ended.

        There is room again once the worker is half empty: refilled one by one, its trials would
        never start together.
        """
        self.trials.pop(trial, None)
        self.has_room = self.has_room or self.fullness <= _REFILL

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
    def has_room(self) -> bool:
        """Whether a trial can be submitted now; a worker may still be starting."""
        return any(worker.has_room for worker in self._workers)

    @property
    def running(self) -> list[int]:
        """Numbers of the trials that were submitted and have no outcome yet."""
        return sorted(number for worker in self._workers for number in worker.trials)

    def submit(self, config: TrialConfig) -> None:
        """Give a trial to the worker that has most room."""
        worker = min(
            (worker for worker in self._workers if worker.has_room),
            key=lambda worker: worker.fullness,
        )
        worker.take(config)
        if not worker.has_room:
            self._start(worker)

    def flush(self) -> None:
        """Start what was submitted."""
        for worker in self._workers:
            self._start(worker)

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
                    self._start(worker)
                case Epoch():
                    found.append(message)
                case TrialOutcome():
                    worker.release(message.trial)
                    found.append(message)
                case _:
                    raise TypeError(f"a worker sent {type(message).__name__}")
        return found

    def decide(self, metrics: Sequence[EpochMetrics], decisions: Sequence[Decision]) -> None:
        """Answer the epoch that these metrics came with."""
        trials = tuple(m.trial for m in metrics)
        for worker in self._workers:
            if trials[0] in worker.trials:
                self._send(worker, Decisions(trials, tuple(decisions)))
                return

    def _start(self, worker: _Worker) -> None:
        if worker.ready and worker.outbox:
            self._send(worker, Train(tuple(worker.outbox)))
            worker.outbox.clear()

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
        reason = f"its worker process ended with {ended}"
        unsent = {config.number for config in worker.outbox}
        outcomes = [
            TrialOutcome(
                trial=number,
                state=TrialState.FAIL,
                failure=Failure(FailureKind.KILLED, reason, words),
            )
            for number in sorted(worker.trials.keys() - unsent)
        ]
        worker.stop()
        successor = _Worker.start(worker.settings)
        for config in worker.outbox:
            successor.take(config)
        self._workers[self._workers.index(worker)] = successor
        return outcomes
