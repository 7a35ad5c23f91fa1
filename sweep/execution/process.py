"""One worker process, seen from the driver: its pipe, its trials, and what it has room for."""

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
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import IO

from sweep.execution.wire import FromWorker, Message, Train, receive, send
from sweep.records import Checkpoint, EpochMetrics, TrainingSettings, TrialConfig
from sweep.training import Capacity

__all__ = ["EXIT_SECONDS", "Inbox", "Wave", "WorkerProcess"]

EXIT_SECONDS = 5.0
"""Between the end of a worker's pipe and the end of the worker."""

_REFILL = 0.5
# A wave of checkpoints that takes this long comes at most so many times as rarely.
_LONG_WAVE_SECONDS = 0.5
_LONG_WAVE_RATIO = 10.0


@dataclass(slots=True)
class Wave:
    """How often a worker's trials are saved, so that it costs little of its and the driver's time.

    A wave begins when the worker is asked for it, and is over when the driver comes back for more:
    then everything that the worker sent has been written.
    """

    began_at: float = field(default_factory=time.monotonic)
    ended_at: float = field(default_factory=time.monotonic)
    is_open: bool = False
    is_sent: bool = False

    @property
    def is_under_way(self) -> bool:
        """Whether the worker has yet to say that it has sent everything."""
        return self.is_open and not self.is_sent

    def is_due(self, every: float) -> bool:
        """Whether it is time for the next one."""
        cost = self.ended_at - self.began_at
        wait = every if cost < _LONG_WAVE_SECONDS else max(every, _LONG_WAVE_RATIO * cost)
        return not self.is_open and time.monotonic() - self.ended_at >= wait

    def begin(self) -> None:
        """The worker is asked."""
        self.is_open, self.is_sent = True, False
        self.began_at = time.monotonic()

    def come_back(self) -> None:
        """The driver has dealt with all that it was told."""
        if self.is_open and self.is_sent:
            self.is_open = False
            self.ended_at = time.monotonic()


@dataclass(slots=True, eq=False)
class WorkerProcess:
    """A worker and what it was given.

    Two threads read and write its pipe, so that a worker that stops in the middle of a message
    never holds up the driver.
    """

    index: int  # among the command's workers; its successor has the same
    settings: TrainingSettings
    process: subprocess.Popen[bytes]
    connection: Connection
    errors: IO[bytes]
    capacity: Capacity
    num_starts: int
    ready: bool = False
    has_room: bool = True
    alone: bool = False  # its one trial is not to be joined by others
    trials: dict[int, TrialConfig] = field(default_factory=dict)
    outbox: list[TrialConfig] = field(default_factory=list)
    checkpoints: dict[int, Checkpoint] = field(default_factory=dict)  # of those in the outbox
    started: dict[int, float] = field(default_factory=dict)  # `time.monotonic`, by trial
    ending: set[int] = field(default_factory=set)  # trials whose last epoch has been reported
    wave: Wave = field(default_factory=Wave)
    letters: SimpleQueue[Message | None] = field(default_factory=SimpleQueue)
    threads: list[threading.Thread] = field(default_factory=list)

    @classmethod
    def start(
        cls, index: int, settings: TrainingSettings, inbox: Inbox, num_starts: int = 1
    ) -> WorkerProcess:
        """Start one; what it says goes to the inbox."""
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
        worker = cls(index, settings, process, ours, errors, Capacity.of(settings), num_starts)
        worker.tell(settings)
        for work in (partial(worker._listen, inbox), worker._write):
            worker.threads.append(threading.Thread(target=work, daemon=True))
            worker.threads[-1].start()
        return worker

    def _listen(self, inbox: Inbox) -> None:
        """Take in messages until the worker has gone, in the middle of one perhaps."""
        try:
            while isinstance(message := receive(self.connection), FromWorker):
                inbox.put((self, message))
        except (EOFError, OSError):
            pass
        finally:
            inbox.put((self, None))

    def _write(self) -> None:
        """Send messages until the worker has gone; its end is noticed by who listens."""
        with contextlib.suppress(OSError):
            while (message := self.letters.get()) is not None:
                send(self.connection, message)

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
        self.has_room = self.fullness < 1 and not self.alone

    def begin(self) -> None:
        """Start the trials that were kept for it."""
        if not (self.ready and self.outbox):
            return
        self.tell(Train(tuple(self.outbox), tuple(self.checkpoints.values())))
        self.started |= {config.number: time.monotonic() for config in self.outbox}
        self.outbox.clear()
        self.checkpoints.clear()

    def tell(self, message: Message) -> None:
        """Send a message, without waiting until it is read."""
        self.letters.put(message)

    def release(self, trial: int) -> None:
        """Forget a trial that has ended.

        There is room again once the worker is half empty: refilled one by one, its trials would
        never start together.
        """
        self.trials.pop(trial, None)
        self.started.pop(trial, None)
        self.ending.discard(trial)
        self.alone = self.alone and bool(self.trials)
        self.has_room = self.has_room or self.fullness <= _REFILL

    def hear(self, epoch: Sequence[EpochMetrics]) -> None:
        """Take note of trials that have run their last epoch."""
        self.ending |= {
            metrics.trial
            for metrics in epoch
            if metrics.trial in self.trials and metrics.epoch >= self.trials[metrics.trial].epochs
        }

    def overdue(self, limit: float) -> set[int]:
        """Trials that have been trained for longer than so many seconds.

        One that has run its last epoch waits for those that are trained with it, and is not to
        blame while there are any.
        """
        now = time.monotonic()
        late = {trial for trial, started in self.started.items() if now - started > limit}
        others = self.started.keys() - self.ending
        return late & others if others else late

    def stop(self) -> None:
        """End it at once, whatever it does."""
        self.process.kill()
        self.process.wait()
        self.letters.put(None)
        for thread in self.threads:
            thread.join(EXIT_SECONDS)  # before their connection is closed
        self.connection.close()
        self.errors.close()

    def last_words(self) -> str:
        """The end of what the worker printed."""
        self.errors.seek(0, os.SEEK_END)
        self.errors.seek(max(0, self.errors.tell() - 4000))
        return self.errors.read().decode(errors="replace").strip()


Inbox = SimpleQueue[tuple[WorkerProcess, FromWorker | None]]
"""Messages, each with its worker; None says that the worker has gone."""
