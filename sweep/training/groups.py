"""Trials that are trained together, and how far they are in their epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from sweep.records import rung_epochs
from sweep.training.batches import Batches
from sweep.training.lane import Lane
from sweep.training.measurements import Measurement

__all__ = ["BuildGroup", "Group", "Run", "drawing_from", "dropout_generator"]


class Group(Protocol):
    """Trials that are trained together, epoch by epoch."""

    lanes: list[Lane]
    num_steps: int

    def begin_epoch(self) -> None:
        """Prepare the next epoch."""
        ...

    def step(self, index: int) -> None:
        """Train all lanes on batch `index` of the epoch."""
        ...

    def finish_epoch(self) -> list[Measurement]:
        """Measure each lane on the validation split."""
        ...

    def train_losses(self) -> list[float]:
        """The mean training loss of each lane in this epoch: what is known without validation."""
        ...

    def copy_weights(self, position: int) -> dict[str, Tensor]:
        """A copy of one lane's weights, named as in the state of its network.

        With weight averaging they are the averages: what `finish_epoch` measures.
        """
        ...

    def keep(self, positions: Sequence[int]) -> None:
        """Drop all lanes but these, at any time between two steps."""
        ...

    def tensors(self, position: int) -> dict[str, Tensor]:
        """All training state of one lane but its generator, without padding.

        These are the tensors in use, or views of them: what is copied into them takes effect.
        """
        ...

    def generator(self, position: int) -> torch.Generator:
        """The source of what one lane draws in training."""
        ...


T = TypeVar("T")
BuildGroup = Callable[[Sequence[Lane], Batches], Group]


class Run:
    """A group under way. It never trains past a rung of a lane before the driver decides.

    `rungs` are shares of a lane's epochs (see `sweep.records.rung_epochs`).

    Lanes that resume from checkpoints were all saved at the same step.

    Raises:
        KeyError: something is missing from a checkpoint.
        ValueError: something in a checkpoint has another shape or type.
    """

    def __init__(self, group: Group, rungs: tuple[float, ...] = ()) -> None:
        self.group = group
        self._rungs = rungs
        self.next_step = 0
        self.seconds = 0.0
        if any(lane.midway for lane in group.lanes):
            group.begin_epoch()
        for position, lane in enumerate(group.lanes):
            if lane.midway is not None:
                self.next_step = lane.midway.step
                self.seconds += lane.midway.seconds
                for name, tensor in group.tensors(position).items():
                    _fill(tensor, lane.midway.state[name])
                group.generator(position).set_state(lane.midway.state["dropout"])
                lane.midway = None

    def state(self, position: int) -> dict[str, Tensor]:
        """All training state of one lane, at any time between two steps."""
        dropout = self.group.generator(position).get_state()
        return {**self.group.tensors(position), "dropout": dropout}

    @property
    def has_steps(self) -> bool:
        """Whether the epoch has steps left."""
        return self.next_step < self.group.num_steps

    @property
    def is_blocked(self) -> bool:
        """Whether it must wait for the decision on the last epoch that it reported."""
        lanes = self.group.lanes
        is_at_rung = self.next_step == 0 and any(
            lane.epoch in rung_epochs(self._rungs, lane.recipe.epochs) for lane in lanes
        )
        return (is_at_rung or not self.has_steps) and any(lane.awaits_decision for lane in lanes)

    def train(self, until: float) -> None:
        """Train until the epoch ends or `time.perf_counter` reaches this value."""
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
        """End the epoch: the measurement of each lane, and the seconds that each lane cost."""
        return self._end(self.group.finish_epoch)

    def pass_over(self) -> tuple[list[float], float]:
        """End the epoch without validation: each lane's training loss, and the seconds it cost."""
        return self._end(self.group.train_losses)

    def _end(self, measure: Callable[[], list[T]]) -> tuple[list[T], float]:
        started = time.perf_counter()
        measured = measure()
        seconds = (self.seconds + time.perf_counter() - started) / len(measured)
        self.next_step, self.seconds = 0, 0.0
        return measured, seconds


def dropout_generator(seed: int, device: torch.device) -> torch.Generator:
    """The source of a trial's input noise and dropout masks, independent of its initial weights.

    `seed` is the trial's. The CPU and GPUs draw different numbers.
    """
    entropy = np.random.SeedSequence((seed, *b"dropout")).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(entropy) >> 1)


@contextmanager
def drawing_from(generator: torch.Generator) -> Iterator[None]:
    """Context in which torch's global generator of this device draws what `generator` would."""
    device = generator.device
    shared = (
        torch.cuda.default_generators[device.index or 0]
        if device.type == "cuda"
        else torch.default_generator
    )
    shared.set_state(generator.get_state())
    try:
        yield
    finally:
        generator.set_state(shared.get_state())


def _fill(target: Tensor, stored: Tensor) -> None:
    if (stored.shape, stored.dtype) != (target.shape, target.dtype):
        raise ValueError(
            f"a tensor of {target.dtype} {tuple(target.shape)} is needed; found {stored.dtype} "
            f"{tuple(stored.shape)}"
        )
    target.copy_(stored)
