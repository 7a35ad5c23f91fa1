"""Decides on which worker a trial is trained, together with which others, and when again.

A trial that lost its worker through no fault of its own is retried at once; one that may have
killed its worker is retried alone, a few times. Messages under an older lease are dropped.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from sweep.errors import SweepFailedError
from sweep.execution.capacity import Capacity
from sweep.execution.launcher import Ended, Launcher, Leaving, Link
from sweep.execution.wire import pack, unpack
from sweep.execution.workload import DriverClock, Submission, Wave, Workload
from sweep.records import (
    Checkpoint,
    CheckpointRefused,
    Decide,
    Decision,
    Epoch,
    EpochMetrics,
    Failure,
    FailureKind,
    Lost,
    Message,
    Notice,
    OutOfMemory,
    Paused,
    Save,
    Saved,
    Slot,
    Train,
    TrainingSettings,
    TrialConfig,
    TrialOutcome,
    WorkerReady,
    WorkersChanged,
    without,
)

__all__ = ["MAX_RETRIES", "Pool"]

MAX_RETRIES = 2
"""How many times a trial is retried after its worker died."""

_SAVE_SECONDS = 3.0  # of the five that an interrupted command has to end
_MAX_STARTS = 3  # of a worker that is killed by a signal before it is ready


@dataclass(slots=True, eq=False)
class _Worker:
    """A worker and its trials."""

    index: int  # in the pool; its successor in the slot has the same
    slot: Slot
    link: Link
    load: Workload
    num_starts: int
    ready: bool = False
    is_flushed: bool = False  # what was kept for it starts once it is ready
    wave: Wave = field(default_factory=Wave)
    saves_left: int | None = None  # answers to `Save` until it can go, if its node is leaving

    @property
    def has_room(self) -> bool:
        """Whether it can take another trial."""
        return self.load.has_room and self.saves_left is None

    def signed(self, outcome: TrialOutcome) -> TrialOutcome:
        """An outcome of one of its trials, with what says where that was trained."""
        return replace(outcome, worker=self.index, node=self.slot.node)

    def tell(self, message: Message) -> None:
        self.link.send(pack(message))

    def begin(self) -> None:
        """Start the trials that were kept for it, once it is ready.

        Not as soon as it is: what is trained together must not depend on when that is.
        """
        self.is_flushed = not self.ready
        if self.ready:
            for assignments in self.load.start():
                self.tell(Train(assignments))


class Pool:
    """Workers of one study; a context manager that closes the launcher and so ends them.

    Where slots come and go, so do workers: what one trained continues on another.

    Args:
        launcher: Starts them.
        settings: How all of them train; their slots name the devices.
        count: How many of them (see `Launcher.slots`).
        save_every: Seconds between checkpoints of a trial, more if they are slow; None for none.
        time_limit: Seconds after which a trial fails and its worker is killed, or None. Time in
            which the driver was stopped, or waited for its store, does not count.
    """

    def __init__(
        self,
        launcher: Launcher,
        settings: TrainingSettings,
        count: int | None = None,
        *,
        save_every: float | None = None,
        time_limit: float | None = None,
    ) -> None:
        self._launcher = launcher
        self._settings = settings
        self._count = count
        self._is_started = False
        self._told: tuple[Slot, ...] = ()  # to observers
        self._num_workers = 0  # that there have been, not counting successors
        self._save_every = save_every
        self._time_limit = time_limit
        self._workers: list[_Worker] = []
        self._homes: dict[int, _Worker] = {}  # by trial
        self._waiting: deque[Submission] = deque()  # for a place
        self._num_leases = 0
        self._trouble: SweepFailedError | None = None
        self._clock = DriverClock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._launcher.close()

    def start(self) -> None:
        """Start the workers without waiting for them; once started, they stay."""
        if not self._is_started:
            self._is_started = True
            self._fill_slots()

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Where there are workers, or will be once they are started."""
        if self._is_started:
            return tuple(worker.slot for worker in self._workers)
        return tuple(self._launcher.slots(self._count))

    @property
    def has_room(self) -> bool:
        """Whether a new trial can be submitted now, even to a worker that is still starting.

        Resubmitted trials come first. While one of them has a worker to itself, the next waits for
        that worker, and the others take new trials.
        """
        is_isolating = any(worker.load.alone for worker in self._workers)
        may_pass = is_isolating or not self._waiting
        return may_pass and any(worker.has_room for worker in self._workers)

    @property
    def running(self) -> list[int]:
        """Numbers of submitted trials that have neither ended nor been paused."""
        placed = [trial for worker in self._workers for trial in worker.load.trials]
        return sorted([*placed, *(submission.config.number for submission in self._waiting)])

    def submit(self, config: TrialConfig) -> None:
        """Give a new trial to the worker with most room. Call it only while there is room.

        It starts when its worker is full or with `flush`: trials that start together can share
        their batches.
        """
        submission = Submission(self._next_lease(), config, lambda: None)
        self._place(submission, [worker for worker in self._workers if worker.has_room])

    def resubmit(
        self,
        config: TrialConfig,
        checkpoint: Callable[[], Checkpoint | None],
        failures: tuple[Failure, ...] = (),
    ) -> None:
        """Queue a trial that was begun before (see `Submission` for the arguments)."""
        self._waiting.append(Submission(self._next_lease(), config, checkpoint, failures))
        self._place_waiting()

    def flush(self) -> None:
        """Start what was submitted: nothing more is coming for now."""
        for worker in self._workers:
            worker.begin()

    def messages(self, timeout: float) -> list[Message]:
        """Messages of the workers, after waiting for up to `timeout` seconds.

        Raises:
            SweepFailedError: a worker could not start, or what has the workers is out of reach.
        """
        if self._trouble is not None:
            raise self._trouble
        if self._launcher.is_elastic:
            self._fill_slots()
        for worker in self._workers:
            worker.wave.come_back()
        found: list[Message] = []
        if self._launcher.is_elastic and self._told != self.slots:
            self._told = self.slots
            found.append(WorkersChanged(self._told))
        received = self._launcher.receive(timeout)
        while received is not None:
            link, data = received
            speaker = self._worker_of(link)
            if speaker is not None and isinstance(data, Ended):
                found += self._replace_dead(speaker, data)
            elif speaker is not None and isinstance(data, Leaving):
                found += self._let_go(speaker)
            elif speaker is not None and isinstance(data, bytes):
                found += self._take(speaker, data)
            received = self._launcher.receive(0)
        found += self._end_overdue()
        self._place_waiting()
        self._ask_for_checkpoints()
        return [message for message in found if not isinstance(message, Saved)]

    def save(self) -> list[Message]:
        """Save all trials, except on workers that do not answer in time."""
        waited_for = {w: 1 + w.wave.is_under_way for w in self._workers if w.ready}
        for worker in waited_for:
            worker.tell(Save())
        found: list[Message] = []
        end = time.monotonic() + _SAVE_SECONDS
        while waited_for and (received := self._launcher.receive(max(0, end - time.monotonic()))):
            link, data = received
            speaker = self._worker_of(link)
            if speaker is None or isinstance(data, Leaving):
                continue
            if isinstance(data, Ended):
                waited_for.pop(speaker, None)  # it is too late to replace it
                continue
            for message in self._take(speaker, data):
                if not isinstance(message, Saved):
                    found.append(message)
                elif waited_for.get(speaker, 0) > 1:
                    waited_for[speaker] -= 1  # the end of an earlier wave
                else:
                    waited_for.pop(speaker, None)
        return found

    def decide(self, metrics: Sequence[EpochMetrics], decisions: Sequence[Decision]) -> None:
        """Answer the epoch that these metrics came with."""
        trials = tuple(m.trial for m in metrics)
        home = next((self._homes[trial] for trial in trials if trial in self._homes), None)
        if home is not None:
            home.tell(Decide(trials, tuple(decisions)))

    # ------------------------------------------------------------ places

    def _next_lease(self) -> int:
        self._num_leases += 1
        return self._num_leases

    def _place(self, submission: Submission, workers: Iterable[_Worker]) -> None:
        worker = min(workers, key=lambda worker: worker.load.fullness)
        worker.load.take(submission, submission.checkpoint())
        self._homes[submission.config.number] = worker
        if not worker.load.has_room:
            worker.begin()

    def _release(self, worker: _Worker, trial: int) -> Submission | None:
        if self._homes.get(trial) is worker:
            del self._homes[trial]
        return worker.load.release(trial)

    def _place_waiting(self) -> None:
        """Place the resubmitted trials that can be placed now."""
        for submission in list(self._waiting):
            places = [
                worker
                for worker in self._workers
                if worker.has_room and not (submission.alone and worker.load.trials)
            ]
            if places:
                self._waiting.remove(submission)
                self._place(submission, places)

    # ------------------------------------------------------------ messages

    def _take(self, worker: _Worker, data: bytes) -> list[Message]:
        """Act on what a worker's message says under current leases."""
        message, leases = unpack(data)
        stale = {trial for trial, lease in leases.items() if worker.load.lease(trial) != lease}
        current = without(message, stale)
        return [] if current is None else self._act(worker, current)

    def _act(self, worker: _Worker, message: Message) -> list[Message]:
        match message:
            case WorkerReady():
                worker.ready = True
                worker.load.memory_bytes = message.memory_bytes
                if worker.is_flushed:
                    worker.begin()
            case Epoch():
                worker.load.hear(message.metrics)
            case TrialOutcome():
                self._release(worker, message.trial)
                return [worker.signed(message)]
            case Paused(outcome):
                self._release(worker, outcome.trial)
                return [Paused(worker.signed(outcome))]
            case CheckpointRefused(trial, reason):
                self._start_again(worker, trial)
                text = f"trial {trial} starts again, its checkpoint cannot be used: {reason}"
                return [Notice(text)]
            case OutOfMemory():
                return self._train_less(worker, message)
            case Saved():
                worker.wave.is_sent = True
                if worker.saves_left is not None:
                    worker.saves_left -= 1
                    return [message, *(self._replace(worker) if not worker.saves_left else ())]
        return [message]

    def _start_again(self, worker: _Worker, trial: int) -> None:
        """Restart a trial from its beginning, on the same worker."""
        submission = self._release(worker, trial)
        if submission is not None:
            again = replace(submission, lease=self._next_lease(), checkpoint=lambda: None)
            self._place(again, [worker])
            worker.begin()

    def _train_less(self, worker: _Worker, message: OutOfMemory) -> list[Message]:
        """Give back the trials of a stack that ran out of memory, to train fewer at a time."""
        lanes = worker.load.shrink(message.trials, message.num_together)
        numbers = ", ".join(map(str, message.trials))
        many, one = message.num_together > 1, len(message.trials) == 1
        together = f" with {message.num_together} trials at once" if many else ""
        again = f"trial {numbers} is" if one else f"trials {numbers} are"
        text = f"memory ran out{together}: {again} tried again, at most {lanes} at once"
        return [Notice(text), *(self._lose(worker, trial, None) for trial in message.trials)]

    def _lose(self, worker: _Worker, trial: int, failure: Failure | None) -> Lost:
        """Decide about a trial that a worker no longer trains."""
        submission = self._release(worker, trial)
        failures = submission.failures if submission else ()
        if failure is None:
            return Lost(trial, None, failures, False, worker.index, worker.slot.node)
        is_over = failure.kind is not FailureKind.KILLED or len(failures) >= MAX_RETRIES
        if is_over and failure.kind is FailureKind.KILLED:
            again = f"{failure.reason}, as it did {MAX_RETRIES} times before"
            failure = replace(failure, reason=again)
        return Lost(trial, failure, (*failures, failure), is_over, worker.index, worker.slot.node)

    # ------------------------------------------------------------ workers

    def _worker_of(self, link: Link) -> _Worker | None:
        """The worker behind a link; None if it has been replaced."""
        return next((worker for worker in self._workers if worker.link is link), None)

    def _fill_slots(self) -> None:
        """Start a worker in each slot that has none."""
        taken = {worker.slot.name for worker in self._workers}
        for slot in self._launcher.slots(self._count):
            if slot.name not in taken:
                self._workers.append(self._start_worker(self._num_workers, slot))
                self._num_workers += 1

    def _start_worker(self, index: int, slot: Slot, num_starts: int = 1) -> _Worker:
        settings = replace(self._settings, device=slot.device, num_sharing=slot.num_sharing)
        link = self._launcher.start(slot, settings)
        load = Workload(Capacity.of(settings), self._clock)
        return _Worker(index, slot, link, load, num_starts)

    def _ask_for_checkpoints(self) -> None:
        if self._save_every is None:
            return
        for worker in self._workers:
            is_due = worker.ready and worker.wave.is_due(self._save_every)
            if is_due and worker.load.has_started:
                worker.wave.begin()
                worker.tell(Save())

    def _replace_dead(self, worker: _Worker, ended: Ended) -> list[Message]:
        """Replace a worker that died."""
        if not worker.ready and (ended.by_itself or worker.num_starts == _MAX_STARTS):
            lines = ended.last_words.splitlines() or ["it printed nothing"]
            where = f" on node {worker.slot.node}" if worker.slot.node else ""
            # Raised by the next call, so that the messages of this one are not lost.
            self._trouble = SweepFailedError(
                f"a worker{where} ended with {ended.reason} before it could train: {lines[-1]}"
            )
            return []
        failure: Failure | None = None
        if not ended.is_innocent:
            reason = f"its worker process ended with {ended.reason}"
            failure = Failure(FailureKind.KILLED, reason, ended.last_words)
        return self._replace(worker, lambda _trial: failure)

    def _let_go(self, worker: _Worker) -> list[Message]:
        """Have a worker save its trials, then end it."""
        if not worker.ready:
            return self._replace(worker)
        worker.saves_left = 1 + worker.wave.is_under_way
        worker.tell(Save())
        return []

    def _end_overdue(self) -> list[Message]:
        """Kill workers with a trial that takes too long: one that hangs reads no messages."""
        if self._time_limit is None:
            return []
        failure = Failure(
            FailureKind.TIME_LIMIT, f"it exceeded its time limit of {self._time_limit:g} s"
        )
        found: list[Message] = []
        for worker in list(self._workers):
            blame = dict.fromkeys(worker.load.overdue(self._time_limit), failure)
            if blame:
                found += self._replace(worker, blame.get)
        return found

    def _replace(
        self, worker: _Worker, blame: Callable[[int], Failure | None] = lambda _trial: None
    ) -> list[Message]:
        """End a worker; `blame` gives what its trials are charged with.

        Another one takes its slot, if that is still there, and what it had yet to start.
        """
        worker.link.kill()
        at = self._workers.index(worker)
        if worker.slot.name in {slot.name for slot in self._launcher.slots(self._count)}:
            num_starts = 1 if worker.ready else worker.num_starts + 1
            successor = self._start_worker(worker.index, worker.slot, num_starts)
            self._workers[at] = successor
            lost = worker.load.hand_over(successor.load)
            self._homes |= dict.fromkeys(successor.load.trials, successor)
        else:
            del self._workers[at]
            lost = worker.load.hand_over()
            self._waiting.extendleft(reversed(worker.load.kept))
        return [
            self._lose(worker, trial, blame(trial))
            for trial in [submission.config.number for submission in lost]
        ]
