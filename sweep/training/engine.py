"""The engine: takes configurations in, trains them in groups, gives metrics and outcomes out.

It never waits for an answer: while the driver records an epoch and decides, the next one is
already trained. A trial that is pruned then leaves in the middle of that epoch, of which nothing
is kept. Training never gets further ahead than this one epoch.
"""

from __future__ import annotations

import logging
import platform
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from sweep.data import TrainingData
from sweep.provenance import package_versions
from sweep.records import (
    Decision,
    EpochMetrics,
    Failure,
    FailureKind,
    TrainingSettings,
    TrialConfig,
    TrialOutcome,
    TrialState,
)
from sweep.training.batches import Batches
from sweep.training.capacity import Capacity
from sweep.training.lane import Lane, Measurement
from sweep.training.memory import available_bytes, is_out_of_memory
from sweep.training.precision import choose_precision

__all__ = ["Engine", "Group", "Message"]

_log = logging.getLogger(__name__)

Message = tuple[EpochMetrics, ...] | TrialOutcome
"""One epoch of the trials of a group, or the end of a trial."""


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


BuildGroup = Callable[[Sequence[Lane], Batches], Group]


class _Run:
    """A group under way."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.next_step = 0
        self.seconds = 0.0

    @property
    def has_steps(self) -> bool:
        return self.next_step < self.group.num_steps

    @property
    def is_blocked(self) -> bool:
        """Whether the epoch has been trained, but the one before it is not decided yet."""
        return not self.has_steps and any(lane.awaits_decision for lane in self.group.lanes)

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


class Engine:
    """Trains configurations on one device.

    Args:
        settings: What all trials share.
        data: The splits to train and to validate on.
        build: Makes a group of lanes.
    """

    def __init__(self, settings: TrainingSettings, data: TrainingData, build: BuildGroup) -> None:
        self._device = torch.device(settings.device)
        self._precision = choose_precision(settings.precision, self._device)
        self._batches = Batches(data, settings.order_seed, self._device, self._precision)
        self._objective = settings.objective
        self._fingerprint = data.fingerprint
        self._environment = package_versions()
        self._build = build
        self._capacity = Capacity.of(settings)
        self._memory = available_bytes(self._device, settings.num_sharing)
        self._waiting: list[Lane] = []
        self._may_start = False  # something has changed since waiting trials last found no memory
        self._runs: deque[_Run] = deque()
        self._ended: list[Lane] = []  # their last decision is still to come

    @property
    def hardware(self) -> str:
        """The device and the name of its hardware."""
        if self._device.type == "cuda":
            return f"{self._device} ({torch.cuda.get_device_name(self._device)})"
        threads = torch.get_num_threads()
        return f"{self._device} ({_cpu_name()}, {threads} thread{'s' if threads > 1 else ''})"

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to train before the driver says something."""
        may_start = self._may_start and self._waiting
        return not may_start and all(run.is_blocked for run in self._runs)

    def add(self, configs: Sequence[TrialConfig]) -> None:
        """Take in trials; they start with the next call of `advance`."""
        self._waiting += [Lane(config, self._objective) for config in configs]
        self._may_start = True

    def advance(self, seconds: float) -> list[Message]:
        """Train for about so many seconds, but not beyond the end of an epoch.

        A failure is an outcome, not an exception.

        Returns:
            What there is to tell the driver.
        """
        messages: list[Message] = []
        if self._may_start:
            messages += self._start_groups()
        for _ in range(len(self._runs)):
            if not self._runs[0].is_blocked:
                break
            self._runs.rotate(-1)
        else:
            return messages
        run = self._runs[0]
        try:
            run.train(time.perf_counter() + seconds)
            if not run.has_steps and not run.is_blocked:
                messages += self._finish_epoch(run)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong in a trial is its outcome
            self._runs.remove(run)
            messages += self._recover(run.group.lanes, error, len(run.group.lanes))
        return messages

    def decide(self, trials: Sequence[int], decisions: Sequence[Decision]) -> list[Message]:
        """Take in the driver's answer to an epoch.

        Args:
            trials: Numbers of the trials that the epoch named.
            decisions: One for each.

        Returns:
            The outcomes of trials that are over.
        """
        answers = dict(zip(trials, decisions, strict=True))
        pruned = {number for number, answer in answers.items() if answer is Decision.PRUNE}
        messages: list[Message] = []
        for lane in [lane for lane in self._ended if lane.config.number in answers]:
            self._ended.remove(lane)
            state = TrialState.PRUNED if lane.config.number in pruned else TrialState.COMPLETE
            messages.append(self._outcome(lane, state))
        for lane in self._waiting:
            lane.awaits_decision &= lane.config.number not in answers
        for lane in [lane for lane in self._waiting if lane.config.number in pruned]:
            self._waiting.remove(lane)
            messages.append(self._outcome(lane, TrialState.PRUNED))
        for run in list(self._runs):
            for lane in run.group.lanes:
                lane.awaits_decision &= lane.config.number not in answers
            leaving = [lane for lane in run.group.lanes if lane.config.number in pruned]
            messages += [self._outcome(lane, TrialState.PRUNED) for lane in leaving]
            messages += self._dismiss(run, leaving)
        return messages

    def _start_groups(self) -> list[Message]:
        """Make groups of the trials that wait, as far as memory goes; the first always starts."""
        messages: list[Message] = []
        self._may_start = False
        lanes = {lane.config.number: lane for lane in self._waiting}
        for stack in self._capacity.stacks([lane.config for lane in self._waiting]):
            members = self._that_fit(stack)
            if not members:
                continue
            group = [lanes[config.number] for config in members]
            self._waiting = [lane for lane in self._waiting if lane not in group]
            try:
                self._runs.append(_Run(self._build(group, self._batches)))
            except Exception as error:  # noqa: BLE001 - as in `advance`
                messages += self._recover(group, error, len(group))
        return messages

    def _that_fit(self, stack: Sequence[TrialConfig]) -> list[TrialConfig]:
        trained = [lane for run in self._runs for lane in run.group.lanes]
        free = self._memory - self._bytes(trained)
        members: list[TrialConfig] = []
        for config in stack:
            free -= self._capacity.lane_bytes(config)
            if free >= 0 or not (self._runs or members):
                members.append(config)
        return members

    def _finish_epoch(self, run: _Run) -> list[Message]:
        measured, seconds = run.measure()
        self._runs.rotate(-1)
        size = len(run.group.lanes)
        reports: list[EpochMetrics] = []
        messages: list[Message] = []
        leaving: list[Lane] = []
        for position, lane in enumerate(run.group.lanes):
            weights = partial(run.group.copy_weights, position)
            try:
                recorded = lane.record(measured[position], seconds, weights)
            except Exception as error:  # noqa: BLE001 - as in `advance`
                leaving.append(lane)
                messages += self._recover([lane], error, size)
                continue
            if isinstance(recorded, Failure):
                leaving.append(lane)
                messages.append(self._outcome(lane, TrialState.FAIL, recorded))
                continue
            if recorded is not None:
                reports.append(recorded)
            if lane.has_ended:
                leaving.append(lane)
                self._ended.append(lane)
        if reports:
            messages.insert(0, tuple(reports))
        return [*messages, *self._dismiss(run, leaving)]

    def _dismiss(self, run: _Run, leaving: Sequence[Lane]) -> list[Message]:
        """Close the gaps that these lanes leave."""
        lanes = run.group.lanes
        staying = [position for position, lane in enumerate(lanes) if lane not in leaving]
        if len(staying) == len(lanes):
            return []
        self._may_start = True
        if not staying:
            self._runs.remove(run)
            return []
        remaining = [lanes[position] for position in staying]
        try:
            run.group.keep(staying)
        except Exception as error:  # noqa: BLE001 - as in `advance`
            self._runs.remove(run)
            return self._recover(remaining, error, len(lanes))
        return []

    def _recover(self, lanes: Sequence[Lane], error: Exception, size: int) -> list[Message]:
        """Train lanes of a stack of `size` again if memory ran out; fail them otherwise.

        Half as many at once, and only beside what was trained beside them; a lane on its own when
        nothing else is trained.
        """
        self._may_start = True
        others = [lane for run in self._runs for lane in run.group.lanes if lane not in lanes]
        if is_out_of_memory(error) and (size > 1 or others):
            lanes_at_once = max(1, min(size // 2, self._capacity.lanes))
            self._capacity = replace(self._capacity, lanes=lanes_at_once)
            self._memory = min(self._memory, self._bytes(others) + self._bytes(lanes) / 2)
            for lane in lanes:
                lane.restart()
            self._waiting += lanes
            _log.warning(
                "out of memory with %d lanes; trained again in stacks of %d", size, lanes_at_once
            )
            return []
        failure = _failure(error)
        return [self._outcome(lane, TrialState.FAIL, failure) for lane in lanes]

    def _bytes(self, lanes: Sequence[Lane]) -> int:
        return sum(self._capacity.lane_bytes(lane.config) for lane in lanes)

    def _outcome(
        self, lane: Lane, state: TrialState, failure: Failure | None = None
    ) -> TrialOutcome:
        labels, num_classes = self._batches.validation.labels, self._batches.num_classes
        outcome = lane.outcome(state, labels=labels, num_classes=num_classes, failure=failure)
        return replace(
            outcome,
            device=self.hardware,
            precision=self._precision.name,
            environment=self._environment,
            data_fingerprint=self._fingerprint,
        )


def _failure(error: Exception) -> Failure:
    """Sort an exception into the kinds of failure."""
    text = "".join(traceback.format_exception(error))
    lines = str(error).strip().splitlines()
    reason = lines[0] if lines else type(error).__name__
    kind = FailureKind.OUT_OF_MEMORY if is_out_of_memory(error) else FailureKind.EXCEPTION
    return Failure(kind, f"{type(error).__name__}: {reason}", text)


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
