"""What one worker was given to train: how full it is, what starts together, what takes too long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from sweep.definitions import Recipe, view
from sweep.execution.capacity import Capacity
from sweep.records import Assignment, Checkpoint, EpochMetrics, Failure, TrialConfig

__all__ = ["Submission", "Wave", "Workload"]

_REFILL = 0.5
# A wave of checkpoints that takes this long comes at most so many times as rarely.
_LONG_WAVE_SECONDS = 0.5
_LONG_WAVE_RATIO = 10.0


@dataclass(frozen=True, slots=True)
class Submission:
    """A trial to be trained.

    Attributes:
        lease: Its number among all submissions.
        checkpoint: Loads where it goes on, None for its start; called when it gets its place.
        failures: What ended each worker that had the trial before. It may end another one, so it
            gets a worker to itself.
    """

    lease: int
    config: TrialConfig
    checkpoint: Callable[[], Checkpoint | None]
    failures: tuple[Failure, ...] = ()

    @property
    def alone(self) -> bool:
        """Whether it has to have a worker to itself."""
        return bool(self.failures)


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


@dataclass(slots=True)
class _Place:
    """A trial, and how far the worker is with it.

    Attributes:
        checkpoint: Where it goes on; forgotten once it has started.
        num_bytes: Memory that it takes.
        started_at: Value of `time.monotonic`, or None before its start.
        is_ending: Whether its last epoch has been reported.
    """

    submission: Submission
    checkpoint: Checkpoint | None
    num_bytes: int
    started_at: float | None = None
    is_ending: bool = False


class Workload:
    """The trials of one worker.

    Attributes:
        has_room: Whether it can take another trial.
        alone: Whether its one trial is not to be joined by others.
        memory_bytes: Memory that its trials may take, or None if unknown.
    """

    def __init__(self, capacity: Capacity) -> None:
        self._capacity = capacity
        self._max_lanes = capacity.lanes  # of one stack
        self._places: dict[int, _Place] = {}
        self.has_room = True
        self.alone = False
        self.memory_bytes: float | None = None

    @property
    def trials(self) -> list[int]:
        """Numbers of all its trials, started or not."""
        return list(self._places)

    @property
    def has_started(self) -> bool:
        """Whether anything is being trained."""
        return bool(self._started())

    def lease(self, trial: int) -> int | None:
        """The lease under which a trial was started, or None if it was not."""
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
        """Start what was kept, as far as memory goes; the first trial always starts.

        Returns:
            The stacks: each is to be trained together. All trials of one are at the same step of
            the same epoch.
        """
        kept: dict[tuple[int, int], list[TrialConfig]] = {}
        for trial in self._places.values():
            if trial.started_at is None:
                checkpoint = trial.checkpoint
                place = (checkpoint.epoch, checkpoint.step) if checkpoint else (0, 0)
                kept.setdefault(place, []).append(trial.submission.config)
        capacity = replace(self._capacity, lanes=self._max_lanes)
        stacks = [
            self._begin(stack) for configs in kept.values() for stack in capacity.stacks(configs)
        ]
        return [stack for stack in stacks if stack]

    def release(self, trial: int) -> Submission | None:
        """Forget a trial that is not trained any more.

        There is room again once the worker is half empty: refilled one by one, its trials would
        never start together.
        """
        place = self._places.pop(trial, None)
        self.alone = self.alone and bool(self._places)
        self.has_room = self.has_room or self.fullness <= _REFILL
        return place.submission if place else None

    def shrink(self, trials: Sequence[int], num_together: int) -> int:
        """Take less from now on: memory ran out with so many trials together. Then release them.

        Half as many at once, and only beside what was trained beside them.

        Returns:
            How many trials are trained together from now on.
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
        """Trials that have been trained for longer than so many seconds.

        One that has run its last epoch waits for those that are trained with it, and is not to
        blame while there are any.
        """
        earliest = time.monotonic() - limit
        started = self._started()
        late = {trial for trial, p in started.items() if (p.started_at or 0.0) < earliest}
        others = {trial for trial, p in started.items() if not p.is_ending}
        return late & others if others else late

    def hand_over(self, successor: Workload) -> list[Submission]:
        """Give what has not started to the successor of the worker; return what had started."""
        started = self._started()
        for trial, place in self._places.items():
            if trial not in started:
                successor.take(place.submission, place.checkpoint)
        return [started[trial].submission for trial in sorted(started)]

    def _started(self) -> dict[int, _Place]:
        return {n: place for n, place in self._places.items() if place.started_at is not None}

    def _begin(self, stack: Sequence[TrialConfig]) -> tuple[Assignment, ...]:
        """Start those of a stack for which there is memory."""
        assignments: list[Assignment] = []
        is_first = not self.has_started
        taken = sum(place.num_bytes for place in self._started().values())
        for config in stack:
            place = self._places[config.number]
            needed = taken + place.num_bytes
            if is_first or self.memory_bytes is None or needed <= self.memory_bytes:
                is_first, taken = False, needed
                place.started_at = time.monotonic()
                lease = place.submission.lease
                assignments.append(Assignment(lease, config, place.checkpoint))
                place.checkpoint = None
        return tuple(assignments)
