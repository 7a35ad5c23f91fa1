"""Trials that are trained together, and how far they are in their epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from torch import Tensor

from sweep.training.batches import Batches
from sweep.training.lane import Lane
from sweep.training.measurements import Measurement

__all__ = ["BuildGroup", "Group", "Run"]


class Group(Protocol):
    """Trials that are trained together, one epoch after the other."""

    lanes: list[Lane]
    num_steps: int

    def begin_epoch(self) -> None:
        """Prepare the epoch that comes after the one that the lanes have finished."""
        ...

    def step(self, index: int) -> None:
        """Train all lanes on batch `index` of the epoch."""
        ...

    def finish_epoch(self) -> list[Measurement]:
        """Measure each lane."""
        ...

    def copy_weights(self, position: int) -> dict[str, Tensor]:
        """A copy of the weights of one of the lanes."""
        ...

    def keep(self, positions: Sequence[int]) -> None:
        """Let all lanes but these go; at any time between two steps."""
        ...

    def state(self, position: int) -> dict[str, Tensor]:
        """All that the training of one of the lanes depends on, at any time between two steps."""
        ...

    def load_state(self, position: int, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave, after `begin_epoch`.

        Raises:
            KeyError: something is missing.
            ValueError: something has another shape or type.
        """
        ...


BuildGroup = Callable[[Sequence[Lane], Batches], Group]


class Run:
    """A group under way.

    Args:
        group: What is trained.
        rungs: Epochs after which it does not train ahead of the decision.
    """

    def __init__(self, group: Group, rungs: Sequence[int] = ()) -> None:
        self.group = group
        self._rungs = rungs
        self.next_step = 0
        self.seconds = 0.0
        if any(lane.has_state for lane in group.lanes):
            self._go_on()

    def _go_on(self) -> None:
        """Begin where the lanes' checkpoints were made: all at the same step of the same epoch."""
        self.group.begin_epoch()
        self.next_step = self.group.lanes[0].step
        for position, lane in enumerate(self.group.lanes):
            self.seconds += lane.step_seconds
            if lane.has_state:
                self.group.load_state(position, lane.take_state())

    @property
    def has_steps(self) -> bool:
        """Whether the epoch has steps left."""
        return self.next_step < self.group.num_steps

    @property
    def is_blocked(self) -> bool:
        """Whether it cannot train on before the last epoch that was reported is decided."""
        lanes = self.group.lanes
        is_at_rung = self.next_step == 0 and lanes[0].epoch in self._rungs
        return (is_at_rung or not self.has_steps) and any(lane.awaits_decision for lane in lanes)

    def train(self, until: float) -> None:
        """Train to the end of the epoch, or to this value of `time.perf_counter`."""
        started = time.perf_counter()
        if self.next_step == 0:
            self.group.begin_epoch()
        while self.has_steps:
            self.group.step(self.next_step)
            self.next_step += 1
            if time.perf_counter() >= until:
                break
        self.seconds += time.perf_counter() - started

    def measure(self) -> tuple[list[Measurement], float]:
        """End the epoch: what each lane gave, and what each lane cost in seconds."""
        started = time.perf_counter()
        measured = self.group.finish_epoch()
        seconds = (self.seconds + time.perf_counter() - started) / len(measured)
        self.next_step, self.seconds = 0, 0.0
        return measured, seconds
