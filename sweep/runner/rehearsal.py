"""A sweep without training: workers are filled as in earnest, and only the time is counted.

Lanes end at different times, and a worker takes trials again only when it is half empty. So stacks
are seldom full, which no formula says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sweep.execution import Capacity, Submission, Workload
from sweep.records import TrialConfig
from sweep.runner.representatives import Representative

__all__ = ["rehearse"]

StackSeconds = Callable[[Sequence[Representative]], float]
"""Seconds of an epoch of a stack."""


@dataclass(slots=True)
class _Worker:
    load: Workload
    clock: float = 0.0
    stacks: list[list[int]] = field(default_factory=list)  # the next to train comes first


def rehearse(
    trials: Sequence[Representative],
    num_workers: int,
    capacity: Capacity,
    stack_seconds: StackSeconds,
) -> float:
    """Seconds from the first epoch to the last, if no trial is pruned and all are known at once."""
    waiting = deque(range(len(trials)))
    left = [trial.recipe.epochs for trial in trials]
    workers = [_Worker(Workload(capacity)) for _ in range(num_workers)]
    while True:
        _fill(workers, waiting, trials)
        active = [worker for worker in workers if worker.stacks]
        if not active:
            return max(worker.clock for worker in workers)
        worker = min(active, key=lambda each: each.clock)
        stack = worker.stacks.pop(0)
        worker.clock += stack_seconds([trials[number] for number in stack])
        for number in stack:
            left[number] -= 1
            if not left[number]:
                worker.load.release(number)
        staying = [number for number in stack if left[number]]
        if staying:
            worker.stacks.append(staying)


def _fill(
    workers: Sequence[_Worker], waiting: deque[int], trials: Sequence[Representative]
) -> None:
    """Hand out trials while any worker has room, as the pool does."""
    while waiting and (free := [worker for worker in workers if worker.load.has_room]):
        number = waiting.popleft()
        config = TrialConfig(number, seed=0, params=trials[number].params)
        submission = Submission(number, config, checkpoint=lambda: None)
        min(free, key=lambda worker: worker.load.fullness).load.take(submission, None)
    for worker in workers:
        for stack in worker.load.start():
            worker.stacks.append([assignment.config.number for assignment in stack])
