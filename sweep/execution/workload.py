"""The trials of one worker: how full it is, what starts together, what takes too long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from sweep.definitions import Recipe, view
from sweep.execution.capacity import Capacity
from sweep.records import Assignment, Checkpoint, EpochMetrics, Failure, TrialConfig

__all__ = ["DriverClock", "Submission", "Wave", "Workload"]

_REFILL = 0.5
# After a wave of checkpoints that takes this long, wait at least the ratio times as long.
_LONG_WAVE_SECONDS = 0.5
_LONG_WAVE_RATIO = 10.0
_LONGEST_WAIT_SECONDS = 300.0  # the driver may have been stopped during a wave
_LONGEST_TURN_SECONDS = 0.5  # more than the driver waits for messages at a time


@dataclass(frozen=True, slots=True)
class Submission:
    """A trial to be trained.

    Attributes:
        lease: Its number among all submissions.
        checkpoint: Loads the checkpoint, None for the start, once the trial gets a worker.
        failures: What ended each earlier worker of the trial. It may end another one, so it gets a
            worker to itself.
    """

    lease: int
    config: TrialConfig
    checkpoint: Callable[[], Checkpoint | None]
    failures: tuple[Failure, ...] = ()

    @property
    def alone(self) -> bool:
        """Whether it needs a worker to itself."""
        return bool(self.failures)


class DriverClock:
    """Counts the seconds in which the driver was ready to listen; read at least once a turn.

    While it is stopped, or its store is held by another program, workers wait for its decisions: of
    that time only a moment counts.
    """

    def __init__(self) -> None:
        self._seconds = 0.0
        self._read_at = time.monotonic()

    def read(self) -> float:
        """Seconds until now."""
        now = time.monotonic()
        self._seconds += min(now - self._read_at, _LONGEST_TURN_SECONDS)
        self._read_at = now
        return self._seconds


@dataclass(slots=True)
class Wave:
    """Paces the saving of a worker's trials, so that it costs little time.

    A wave begins with the request to the worker. It ends when the driver has written all that
    the worker sent and comes back for more.
    """

    began_at: float = field(default_factory=time.monotonic)
    ended_at: float = field(default_factory=time.monotonic)
    is_open: bool = False
    is_sent: bool = False

    @property
    def is_under_way(self) -> bool:
        """Whether the worker has yet to report that it has sent everything."""
        return self.is_open and not self.is_sent

    def is_due(self, every: float) -> bool:
        """Whether it is time for the next one."""
        cost = self.ended_at - self.began_at
        wait = min(_LONG_WAVE_RATIO * cost, _LONGEST_WAIT_SECONDS)
        wait = every if cost < _LONG_WAVE_SECONDS else max(every, wait)
        return not self.is_open and time.monotonic() - self.ended_at >= wait

    def begin(self) -> None:
        """Note the request to the worker."""
        self.is_open, self.is_sent = True, False
        self.began_at = time.monotonic()

    def come_back(self) -> None:
        """Note that the driver has handled everything it received."""
        if self.is_open and self.is_sent:
            self.is_open = False
            self.ended_at = time.monotonic()


@dataclass(slots=True)
class _Place:
    """A trial of a worker."""

    submission: Submission
    checkpoint: Checkpoint | None  # dropped once it has started
    num_bytes: int  # of memory that it takes
    started_at: float | None = None  # by the workload's clock
    is_ending: bool = False  # its last epoch has been reported


class Workload:
    """The trials of one worker, whose time `clock` counts.

    Attributes:
        has_room: Whether it can take another trial.
        alone: Whether it has one trial that must not be joined by others.
        memory_bytes: What its trials may take, or None if unknown.
    """

    def __init__(self, capacity: Capacity, clock: DriverClock | None = None) -> None:
        self._capacity = capacity
        self._clock = clock or DriverClock()
        self._max_lanes = capacity.lanes  # of one stack
        self._places: dict[int, _Place] = {}
        self.has_room = True
        self.alone = False
        self.memory_bytes: float | None = None

    @property
    def trials(self) -> list[int]:
        """Numbers of its trials, started or not."""
        return list(self._places)

    @property
    def has_started(self) -> bool:
        """Whether anything is being trained."""
        return any(place.started_at is not None for place in self._places.values())

    def lease(self, trial: int) -> int | None:
        """The lease of a trial, or None if it was not started."""
        place = self._places.get(trial)
        return place.submission.lease if place and place.started_at is not None else None

    @property
    def fullness(self) -> float:
        """How full it is: 0 is empty, 1 is full."""
        fullness = self._capacity.fullness([p.submission.config for p in self._places.values()])
        if self._places and self.memory_bytes is not None:
            taken = sum(place.num_bytes for place in self._places.values())
            fullness = max(fullness, taken / self.memory_bytes if self.memory_bytes else 1.0)
        return fullness

    def take(self, submission: Submission, checkpoint: Checkpoint | None) -> None:
        """Keep a trial for the worker until it starts."""
        config = submission.config
        num_bytes = self._capacity.lane_bytes(config)
        self._places[config.number] = _Place(submission, checkpoint, num_bytes)
        self.alone = submission.alone
        self.has_room = self.fullness < 1 and not self.alone

    def start(self) -> list[tuple[Assignment, ...]]:
        """Start what was kept and fits into memory; the first trial always does.

        Returns the stacks to be trained: in each, all trials are at one step of one epoch.
        """
        kept: dict[tuple[int, int], list[TrialConfig]] = {}
        for trial in self._places.values():
            if trial.started_at is None:
                checkpoint = trial.checkpoint
                place = (checkpoint.epoch, checkpoint.step) if checkpoint else (0, 0)
                kept.setdefault(place, []).append(trial.submission.config)
        if not kept:
            return []
        capacity = replace(self._capacity, lanes=self._max_lanes)
        stacks = [
            self._begin(stack) for configs in kept.values() for stack in capacity.stacks(configs)
        ]
        return [stack for stack in stacks if stack]

    def release(self, trial: int) -> Submission | None:
        """Drop a trial that is no longer trained.

        A worker has room again only when half empty: refilled one by one, trials would never start
        together.
        """
        place = self._places.pop(trial, None)
        self.alone = self.alone and bool(self._places)
        self.has_room = self.has_room or self.fullness <= _REFILL
        return place.submission if place else None

    def shrink(self, trials: Sequence[int], num_together: int) -> int:
        """Take less from now on, because memory ran out with so many trials together.

        Half as many at once, and half their memory beside the other trials'. Call it before these
        trials are released. Returns how many are trained together from now on.
        """
        lost = sum(self._places[trial].num_bytes for trial in trials)
        others = sum(p.num_bytes for trial, p in self._started().items() if trial not in trials)
        self._max_lanes = max(1, min(num_together // 2, self._max_lanes))
        limit = others + lost / 2
        known = self.memory_bytes
        self.memory_bytes = limit if known is None else min(known, limit)
        return self._max_lanes

    def hear(self, epoch: Iterable[EpochMetrics]) -> None:
        """Note which trials have run their last epoch."""
        for metrics in epoch:
            place = self._places[metrics.trial]
            last = view(Recipe, place.submission.config.params).epochs
            place.is_ending = place.is_ending or metrics.epoch >= last

    def overdue(self, limit: float) -> set[int]:
        """Trials that have been trained for longer than `limit` seconds.

        A trial past its last epoch only waits for others, and is not to blame while there are any.
        """
        earliest = self._clock.read() - limit
        started = self._started()
        late = {trial for trial, p in started.items() if (p.started_at or 0.0) < earliest}
        others = {trial for trial, p in started.items() if not p.is_ending}
        return late & others if others else late

    @property
    def kept(self) -> list[Submission]:
        """What has not started."""
        return [place.submission for place in self._places.values() if place.started_at is None]

    def hand_over(self, successor: Workload | None = None) -> list[Submission]:
        """Pass what has not started to the worker's successor, if any; return what had started."""
        started = self._started()
        for trial, place in self._places.items():
            if trial not in started and successor is not None:
                successor.take(place.submission, place.checkpoint)
        return [started[trial].submission for trial in sorted(started)]

    def _started(self) -> dict[int, _Place]:
        return {n: place for n, place in self._places.items() if place.started_at is not None}

    def _begin(self, stack: Sequence[TrialConfig]) -> tuple[Assignment, ...]:
        """Start the trials of a stack that fit into memory."""
        assignments: list[Assignment] = []
        is_first = not self.has_started
        taken = sum(place.num_bytes for place in self._started().values())
        for config in stack:
            place = self._places[config.number]
            needed = taken + place.num_bytes
            if is_first or self.memory_bytes is None or needed <= self.memory_bytes:
                is_first, taken = False, needed
                place.started_at = self._clock.read()
                lease = place.submission.lease
                assignments.append(Assignment(lease, config, place.checkpoint))
                place.checkpoint = None
        return tuple(assignments)
