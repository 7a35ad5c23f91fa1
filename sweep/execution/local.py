"""Worker processes on this machine.

Workers are started as `python -m sweep.execution.worker` rather than through multiprocessing:
scripts and notebooks need no `if __name__ == "__main__"`, threads can be limited before torch is
imported, and nothing is pickled.

A thread for each worker reads its messages, so that a worker that stops in the middle of one never
holds up the driver.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue
from typing import IO, Protocol, Self

from sweep.errors import SweepFailedError
from sweep.execution.wire import (
    Decisions,
    Epoch,
    FromWorker,
    Message,
    Save,
    Saved,
    Train,
    WorkerReady,
    receive,
    send,
)
from sweep.records import (
    Checkpoint,
    Decision,
    EpochMetrics,
    Failure,
    FailureKind,
    Notice,
    Resumed,
    TrainingSettings,
    TrialConfig,
    TrialOutcome,
)
from sweep.training import Capacity

__all__ = ["Executor", "LocalExecutor", "Lost", "News"]

_REFILL = 0.5
_SAVE_SECONDS = 3.0  # of the five in which a command that is interrupted has to end
_MAX_STARTS = 3  # of a worker that a signal ends before it is ready
_EXIT_SECONDS = 5.0  # between the end of a worker's pipe and the end of the worker


@dataclass(frozen=True, slots=True)
class Lost:
    """A trial's worker has gone before the trial ended.

    Attributes:
        trial: The trial's number.
        failure: What ended the worker, or None if another of its trials is to blame.
    """

    trial: int
    failure: Failure | None


News = WorkerReady | Epoch | TrialOutcome | Checkpoint | Resumed | Notice | Lost
"""What an executor has to tell."""


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

    @property
    def has_empty_worker(self) -> bool:
        """Whether a trial can have a worker to itself now."""
        ...

    def submit(
        self, config: TrialConfig, checkpoint: Checkpoint | None = None, *, alone: bool = False
    ) -> None:
        """Give a trial to a worker. Call it only while there is room.

        It starts when its worker is full, or with `flush`, whichever comes first: trials that
        start together can share their batches.

        Args:
            config: What to train.
            checkpoint: Where to go on.
            alone: Whether to train it on its own in an empty worker.
        """
        ...

    def flush(self) -> None:
        """Start what was submitted; there is nothing more to come for now."""
        ...

    def messages(self, timeout: float) -> list[News]:
        """What happened, after waiting for up to `timeout` seconds."""
        ...

    def save(self) -> list[News]:
        """Have all trials saved, as far as that takes seconds; what happened meanwhile."""
        ...

    def decide(self, metrics: Sequence[EpochMetrics], decisions: Sequence[Decision]) -> None:
        """Answer the epoch that these metrics came with."""
        ...


@dataclass(slots=True, eq=False)
class _Worker:
    settings: TrainingSettings
    process: subprocess.Popen[bytes]
    connection: Connection
    errors: IO[bytes]
    capacity: Capacity
    num_starts: int
    ready: bool = False
    has_room: bool = True
    trials: dict[int, TrialConfig] = field(default_factory=dict)
    outbox: list[TrialConfig] = field(default_factory=list)
    checkpoints: dict[int, Checkpoint] = field(default_factory=dict)  # of those in the outbox
    started: dict[int, float] = field(default_factory=dict)  # `time.monotonic`, by trial
    listener: threading.Thread = field(default_factory=threading.Thread)

    @classmethod
    def start(cls, settings: TrainingSettings, inbox: _Inbox, num_starts: int = 1) -> _Worker:
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
        worker = cls(settings, process, ours, errors, Capacity.of(settings), num_starts)
        worker.listener = threading.Thread(target=worker._listen, args=(inbox,), daemon=True)
        worker.listener.start()
        return worker

    def _listen(self, inbox: _Inbox) -> None:
        """Take in messages until the worker has gone, in the middle of one perhaps."""
        with contextlib.suppress(EOFError, OSError):
            while isinstance(message := receive(self.connection), FromWorker):
                inbox.put((self, message))
        inbox.put((self, None))

    @property
    def fullness(self) -> float:
        """How full it is: 0 is empty, 1 is full."""
        return self.capacity.fullness(list(self.trials.values()))

    def take(self, config: TrialConfig, checkpoint: Checkpoint | None) -> None:
        """Keep a trial for it until it starts."""
        self.trials[config.number] = config
        self.outbox.append(config)
        if checkpoint is not None:
            self.checkpoints[config.number] = checkpoint
        self.has_room = self.fullness < 1

    def begin(self) -> None:
        """Start the trials that were kept for it."""
        if not (self.ready and self.outbox):
            return
        self.tell(Train(tuple(self.outbox), tuple(self.checkpoints.values())))
        self.started |= {config.number: time.monotonic() for config in self.outbox}
        self.outbox.clear()
        self.checkpoints.clear()

    def tell(self, message: Message) -> None:
        """Send a message. If the worker has gone, its end has been noticed or will be."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            send(self.connection, message)

    def release(self, trial: int) -> None:
        """Forget a trial that has ended.

        There is room again once the worker is half empty: refilled one by one, its trials would
        never start together.
        """
        self.trials.pop(trial, None)
        self.started.pop(trial, None)
        self.has_room = self.has_room or self.fullness <= _REFILL

    def overdue(self, limit: float) -> set[int]:
        """Trials that have been trained for longer than so many seconds."""
        now = time.monotonic()
        return {trial for trial, started in self.started.items() if now - started > limit}

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.listener.join(_EXIT_SECONDS)  # it reads from the connection
        self.connection.close()
        self.errors.close()

    def last_words(self) -> str:
        """The end of what the worker printed."""
        self.errors.seek(0, os.SEEK_END)
        self.errors.seek(max(0, self.errors.tell() - 4000))
        return self.errors.read().decode(errors="replace").strip()


_Inbox = SimpleQueue[tuple[_Worker, FromWorker | None]]
"""Messages, each with its worker; None says that the worker has gone."""


class LocalExecutor:
    """Processes on this machine; a context manager that ends them (see `Executor`).

    Args:
        settings: One entry for each worker.
        time_limit: Seconds after which a trial fails and its worker is ended, or None.
    """

    def __init__(
        self, settings: Sequence[TrainingSettings], time_limit: float | None = None
    ) -> None:
        self._settings = settings
        self._time_limit = time_limit
        self._workers: list[_Worker] = []
        self._inbox: _Inbox = SimpleQueue()

    def __enter__(self) -> Self:
        for settings in self._settings:
            self._workers.append(_Worker.start(settings, self._inbox))
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.stop()

    @property
    def has_room(self) -> bool:
        """Whether a trial can be submitted now; a worker may still be starting."""
        return any(worker.has_room for worker in self._workers)

    @property
    def has_empty_worker(self) -> bool:
        """Whether a trial can have a worker to itself now."""
        return any(not worker.trials for worker in self._workers)

    @property
    def running(self) -> list[int]:
        """Numbers of the trials that were submitted and have no outcome yet."""
        return sorted(number for worker in self._workers for number in worker.trials)

    def submit(
        self, config: TrialConfig, checkpoint: Checkpoint | None = None, *, alone: bool = False
    ) -> None:
        """Give a trial to the worker that has most room."""
        worker = min(
            (worker for worker in self._workers if worker.has_room),
            key=lambda worker: worker.fullness,
        )
        worker.take(config, checkpoint)
        if alone:
            worker.has_room = False
        if not worker.has_room:
            worker.begin()

    def flush(self) -> None:
        """Start what was submitted."""
        for worker in self._workers:
            worker.begin()

    def messages(self, timeout: float) -> list[News]:
        """What happened, after waiting for up to `timeout` seconds.

        Raises:
            SweepFailedError: a worker could not even start.
        """
        found: list[News] = []
        with contextlib.suppress(Empty):
            found += self._take(*self._inbox.get(timeout=timeout))
            while True:
                found += self._take(*self._inbox.get_nowait())
        return found + self._end_overdue()

    def save(self) -> list[News]:
        """Have all trials saved; workers that do not answer in time are passed over."""
        waited_for = {worker for worker in self._workers if worker.ready}
        for worker in waited_for:
            worker.tell(Save())
        found: list[News] = []
        end = time.monotonic() + _SAVE_SECONDS
        with contextlib.suppress(Empty):
            while waited_for:
                worker, message = self._inbox.get(timeout=max(0.0, end - time.monotonic()))
                if message is None or isinstance(message, Saved):
                    waited_for.discard(worker)
                else:
                    found += self._take(worker, message)
        return found

    def decide(self, metrics: Sequence[EpochMetrics], decisions: Sequence[Decision]) -> None:
        """Answer the epoch that these metrics came with."""
        trials = tuple(m.trial for m in metrics)
        for worker in self._workers:
            if trials[0] in worker.trials:
                worker.tell(Decisions(trials, tuple(decisions)))
                return

    def _take(self, worker: _Worker, message: FromWorker | None) -> list[News]:
        """Take in one message, or the end of a worker."""
        if worker not in self._workers:
            return []  # ended by this process, which has said so
        match message:
            case None:
                return self._bury(worker)
            case WorkerReady():
                worker.ready = True
                worker.begin()
            case TrialOutcome():
                worker.release(message.trial)
            case Saved():
                return []
        return [message]

    def _bury(self, worker: _Worker) -> list[News]:
        """Replace a worker that died, and say which trials it had."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.process.wait(_EXIT_SECONDS)
        worker.process.kill()
        code = worker.process.wait()
        ended = f"signal {-code}" if code < 0 else f"exit code {code}"
        words = worker.last_words()
        if not worker.ready and (code > 0 or worker.num_starts == _MAX_STARTS):
            last = words.splitlines()[-1] if words else "it printed nothing"
            raise SweepFailedError(f"a worker ended with {ended} before it could train: {last}")
        failure = Failure(FailureKind.KILLED, f"its worker process ended with {ended}", words)
        return [Lost(trial, failure) for trial in self._replace(worker)]

    def _end_overdue(self) -> list[News]:
        """End workers with a trial that takes too long: one that hangs hears nothing."""
        if self._time_limit is None:
            return []
        found: list[News] = []
        for worker in list(self._workers):
            overdue = worker.overdue(self._time_limit)
            if overdue:
                reason = f"it was not done after {self._time_limit:g} s, its time limit"
                failure = Failure(FailureKind.TIME_LIMIT, reason)
                found += [
                    Lost(trial, failure if trial in overdue else None)
                    for trial in self._replace(worker)
                ]
        return found

    def _replace(self, worker: _Worker) -> list[int]:
        """End a worker and start a new one in its place; the trials that it was training."""
        worker.stop()
        num_starts = 1 if worker.ready else worker.num_starts + 1
        successor = _Worker.start(worker.settings, self._inbox, num_starts)
        for config in worker.outbox:
            successor.take(config, worker.checkpoints.get(config.number))
        self._workers[self._workers.index(worker)] = successor
        return sorted(worker.trials.keys() - successor.trials.keys())
