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
    """A trial that is to be trained.

    Attributes:
        lease: Its number among all submissions.
        config: The trial.
        checkpoint: Gives where it goes on, or None for its start; asked when it gets its place.
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


class Workload:
    """The trials of one worker.

    Args:
        capacity: How much the worker trains at a time.

    Attributes:
        has_room: Whether it can take another trial.
        alone: Whether its one trial is not to be joined by others.
        memory_bytes: Memory that its trials may take, or None if that is not known.
    """

    def __init__(self, capacity: Capacity) -> None:
        self._capacity = capacity
        self._max_lanes = capacity.lanes  # of one stack
        self._trials: dict[int, Submission] = {}
        self._bytes: dict[int, int] = {}  # that each of them takes
        self._kept: dict[int, Assignment] = {}  # that have not started, by trial
        self._started: dict[int, float] = {}  # `time.monotonic`, by trial
        self._ending: set[int] = set()  # trials whose last epoch has been reported
        self.has_room = True
        self.alone = False
        self.memory_bytes: float | None = None

    @property
    def trials(self) -> list[int]:
        """Numbers of all that it has, started or not."""
        return list(self._trials)

    @property
    def has_started(self) -> bool:
        """Whether anything is being trained."""
        return bool(self._started)

    def lease(self, trial: int) -> int | None:
        """The lease under which a trial was started, or None if it was not."""
        return self._trials[trial].lease if trial in self._started else None

    @property
    def fullness(self) -> float:
        """How full it is: 0 is empty, 1 is full."""
        configs = [submission.config for submission in self._trials.values()]
        fullness = self._capacity.fullness(configs)
        if configs and self.memory_bytes is not None:
            taken = sum(self._bytes.values())
            fullness = max(fullness, taken / self.memory_bytes if self.memory_bytes else 1.0)
        return fullness

    def take(self, submission: Submission, checkpoint: Checkpoint | None) -> None:
        """Keep a trial for the worker until it starts."""
        number = submission.config.number
        self._trials[number] = submission
        self._bytes[number] = self._capacity.lane_bytes(submission.config)
        self._kept[number] = Assignment(submission.lease, submission.config, checkpoint)
        self.alone = submission.alone
        self._look_for_room()

    def start(self) -> list[tuple[Assignment, ...]]:
        """Start what was kept, as far as memory goes; the first trial always starts.

        Returns:
            The stacks: each is to be trained together. All trials of one are at the same step of
            the same epoch.
        """
        places: dict[tuple[int, int], list[TrialConfig]] = {}
        for assignment in self._kept.values():
            checkpoint = assignment.checkpoint
            place = (checkpoint.epoch, checkpoint.step) if checkpoint else (0, 0)
            places.setdefault(place, []).append(assignment.config)
        stacks = [
            self._that_fit(stack)
            for configs in places.values()
            for stack in replace(self._capacity, lanes=self._max_lanes).stacks(configs)
        ]
        return [
            tuple(self._kept.pop(config.number) for config in stack) for stack in stacks if stack
        ]

    def release(self, trial: int) -> Submission | None:
        """Forget a trial that is not trained any more.

        There is room again once the worker is half empty: refilled one by one, its trials would
        never start together.
        """
        submission = self._trials.pop(trial, None)
        self._kept.pop(trial, None)
        self._bytes.pop(trial, None)
        self._started.pop(trial, None)
        self._ending.discard(trial)
        self.alone = self.alone and bool(self._trials)
        self.has_room = self.has_room or self.fullness <= _REFILL
        return submission

    def shrink(self, trials: Sequence[int], num_together: int) -> int:
        """Take less from now on: memory ran out with so many trials together. Then release them.

        Half as many at once, and only beside what was trained beside them.

        Returns:
            How many trials are trained together from now on.
        """
        lost = sum(self._bytes[trial] for trial in trials)
        others = sum(self._bytes[trial] for trial in self._started if trial not in trials)
        self._max_lanes = max(1, min(num_together // 2, self._max_lanes))
        limit = others + lost / 2
        known = self.memory_bytes
        self.memory_bytes = limit if known is None else min(known, limit)
        return self._max_lanes

    def hear(self, epoch: Iterable[EpochMetrics]) -> None:
        """Take note of trials that have run their last epoch."""
        self._ending |= {
            metrics.trial
            for metrics in epoch
            if metrics.epoch >= view(Recipe, self._trials[metrics.trial].config.params).epochs
        }

    def overdue(self, limit: float) -> set[int]:
        """Trials that have been trained for longer than so many seconds.

        One that has run its last epoch waits for those that are trained with it, and is not to
        blame while there are any.
        """
        now = time.monotonic()
        late = {trial for trial, started in self._started.items() if now - started > limit}
        others = self._started.keys() - self._ending
        return late & others if others else late

    def hand_over(self, successor: Workload) -> list[Submission]:
        """Give what has not started to the worker in place of this one; what had started."""
        for number, assignment in self._kept.items():
            successor.take(self._trials[number], assignment.checkpoint)
        return [self._trials[number] for number in sorted(self._started)]

    def _look_for_room(self) -> None:
        self.has_room = self.fullness < 1 and not self.alone

    def _that_fit(self, stack: Sequence[TrialConfig]) -> list[TrialConfig]:
        """Those of a stack for which there is memory; they have started."""
        members: list[TrialConfig] = []
        taken = sum(self._bytes[number] for number in self._started)
        for config in stack:
            needed = taken + self._bytes[config.number]
            if not self._started or self.memory_bytes is None or needed <= self.memory_bytes:
                members.append(config)
                taken = needed
                self._started[config.number] = time.monotonic()
        return members
