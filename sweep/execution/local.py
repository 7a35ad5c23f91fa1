"""Worker processes on this machine.

Workers are started as `python -m sweep.execution.worker` rather than through multiprocessing:
scripts and notebooks need no `if __name__ == "__main__"`, threads can be limited before torch is
imported, and nothing is pickled.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Self

from sweep.errors import SweepFailedError
from sweep.execution.executor import Lost, News
from sweep.execution.process import EXIT_SECONDS, Inbox, WorkerProcess
from sweep.execution.wire import Decisions, Epoch, FromWorker, Save, Saved, WorkerReady
from sweep.records import (
    Checkpoint,
    Decision,
    EpochMetrics,
    Failure,
    FailureKind,
    TrainingSettings,
    TrialConfig,
    TrialOutcome,
)

__all__ = ["LocalExecutor"]

_SAVE_SECONDS = 3.0  # of the five in which a command that is interrupted has to end
_MAX_STARTS = 3  # of a worker that a signal ends before it is ready


class LocalExecutor:
    """Processes on this machine; a context manager that ends them (see `Executor`).

    Args:
        settings: One entry for each worker.
        save_every: Seconds between two checkpoints of a trial, or more if they cost much; None for
            no checkpoints.
        time_limit: Seconds after which a trial fails and its worker is ended, or None.
    """

    def __init__(
        self,
        settings: Sequence[TrainingSettings],
        *,
        save_every: float | None = None,
        time_limit: float | None = None,
    ) -> None:
        self._settings = settings
        self._save_every = save_every
        self._time_limit = time_limit
        self._workers: list[WorkerProcess] = []
        self._inbox: Inbox = SimpleQueue()
        self._trouble: SweepFailedError | None = None

    def __enter__(self) -> Self:
        try:
            for index, settings in enumerate(self._settings):
                self._workers.append(WorkerProcess.start(index, settings, self._inbox))
        except BaseException:
            self.__exit__()
            raise
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
    def is_isolating(self) -> bool:
        """Whether a trial has a worker to itself, which will be empty when that trial ends."""
        return any(worker.alone for worker in self._workers)

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
        worker.alone = alone
        worker.take(config, checkpoint)
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
        if self._trouble is not None:
            raise self._trouble
        for worker in self._workers:
            worker.wave.come_back()
        found: list[News] = []
        with contextlib.suppress(Empty):
            found += self._take(*self._inbox.get(timeout=timeout))
            while True:
                found += self._take(*self._inbox.get_nowait())
        found += self._end_overdue()
        self._ask_for_checkpoints()
        return found

    def _ask_for_checkpoints(self) -> None:
        for worker in self._workers:
            if self._save_every is None or not (worker.ready and worker.started):
                continue
            if worker.wave.is_due(self._save_every):
                worker.wave.begin()
                worker.tell(Save())

    def save(self) -> list[News]:
        """Have all trials saved; workers that do not answer in time are passed over."""
        waited_for = {w: 1 + w.wave.is_under_way for w in self._workers if w.ready}
        for worker in waited_for:
            worker.tell(Save())
        found: list[News] = []
        end = time.monotonic() + _SAVE_SECONDS
        with contextlib.suppress(Empty):
            while waited_for:
                worker, message = self._inbox.get(timeout=max(0.0, end - time.monotonic()))
                if isinstance(message, Saved) and waited_for.get(worker, 0) > 1:
                    waited_for[worker] -= 1  # the end of a wave that was on its way
                elif message is None or isinstance(message, Saved):
                    waited_for.pop(worker, None)
                else:
                    found += self._take(worker, message)
        return found

    def decide(self, metrics: Sequence[EpochMetrics], decisions: Sequence[Decision]) -> None:
        """Answer the epoch that these metrics came with."""
        trials = tuple(m.trial for m in metrics)
        for worker in self._workers:
            if not worker.trials.keys().isdisjoint(trials):
                worker.tell(Decisions(trials, tuple(decisions)))
                return

    def _take(self, worker: WorkerProcess, message: FromWorker | None) -> list[News]:
        """Take in one message, or the end of a worker."""
        if worker not in self._workers:
            return []  # ended by this process, which has said so
        match message:
            case None:
                return self._bury(worker)
            case WorkerReady():
                worker.ready = True
                worker.begin()
            case Epoch():
                worker.hear(message.metrics)
            case TrialOutcome():
                worker.release(message.trial)
                return [replace(message, worker=worker.index)]
            case Saved():
                worker.wave.is_sent = True
                return []
        return [message]

    def _bury(self, worker: WorkerProcess) -> list[News]:
        """Replace a worker that died, and say which trials it had."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.process.wait(EXIT_SECONDS)
        worker.process.kill()
        code = worker.process.wait()
        ended = f"signal {-code}" if code < 0 else f"exit code {code}"
        words = worker.last_words()
        if not worker.ready and (code > 0 or worker.num_starts == _MAX_STARTS):
            last = words.splitlines()[-1] if words else "it printed nothing"
            # Said with the next call: what was found in this one is not to be lost.
            self._trouble = SweepFailedError(
                f"a worker ended with {ended} before it could train: {last}"
            )
            return []
        failure = Failure(FailureKind.KILLED, f"its worker process ended with {ended}", words)
        return [Lost(trial, failure, worker.index) for trial in self._replace(worker)]

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
                    Lost(trial, failure if trial in overdue else None, worker.index)
                    for trial in self._replace(worker)
                ]
        return found

    def _replace(self, worker: WorkerProcess) -> list[int]:
        """End a worker and start a new one in its place; the trials that it was training."""
        worker.stop()
        num_starts = 1 if worker.ready else worker.num_starts + 1
        successor = WorkerProcess.start(worker.index, worker.settings, self._inbox, num_starts)
        successor.alone = worker.alone and bool(worker.outbox)
        for config in worker.outbox:
            successor.take(config, worker.checkpoints.get(config.number))
        self._workers[worker.index] = successor
        return sorted(worker.trials.keys() - successor.trials.keys())
