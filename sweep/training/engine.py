"""The engine: takes configurations in, trains them in groups, gives metrics and outcomes out.

It never waits for an answer: while the driver records an epoch and decides, the next one is
already trained. A trial that is pruned then leaves in the middle of that epoch, of which nothing
is kept. Training never gets further ahead than this one epoch.
"""

from __future__ import annotations

import platform
import time
import traceback
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from sweep.data import TrainingData
from sweep.provenance import package_versions
from sweep.records import (
    Checkpoint,
    Decision,
    EpochMetrics,
    Failure,
    FailureKind,
    Notice,
    Resumed,
    TrainingSettings,
    TrialConfig,
    TrialOutcome,
    TrialState,
)
from sweep.training.batches import Batches
from sweep.training.capacity import Capacity
from sweep.training.groups import BuildGroup, Run
from sweep.training.lane import Lane
from sweep.training.memory import available_bytes, is_out_of_memory
from sweep.training.precision import choose_precision

__all__ = ["Engine", "Message"]

Message = tuple[EpochMetrics, ...] | TrialOutcome | Checkpoint | Resumed | Notice
"""One epoch of the trials of a group, the end of a trial, or news of one."""


class Engine:
    """Trains configurations on one device.

    Args:
        settings: What all trials share.
        data: The splits to train and to validate on.
        build: Makes a group of lanes.
    """

    def __init__(self, settings: TrainingSettings, data: TrainingData, build: BuildGroup) -> None:
        self._settings = settings
        self._device = torch.device(settings.device)
        self._precision = choose_precision(settings.precision, self._device)
        self._batches = Batches(data, settings.order_seed, self._device, self._precision)
        self._fingerprint = data.fingerprint
        self._environment = package_versions()
        self._build = build
        self._capacity = Capacity.of(settings)
        self._memory = available_bytes(self._device, settings.num_sharing)
        self._waiting: list[Lane] = []
        self._may_start = False  # something has changed since waiting trials last found no memory
        self._runs: deque[Run] = deque()
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

    def add(
        self, configs: Sequence[TrialConfig], states: Mapping[int, bytes] | None = None
    ) -> list[Message]:
        """Take in trials; they start with the next call of `advance`.

        Args:
            configs: What to train.
            states: Checkpoints of some of them, by number; one that does not suit is passed over.

        Returns:
            What there is to tell the driver.
        """
        messages: list[Message] = []
        for config in configs:
            lane, news = self._lane(config, (states or {}).get(config.number))
            messages += news
            (self._ended if lane.has_ended else self._waiting).append(lane)
        self._may_start = True
        return messages

    def save(self) -> list[Message]:
        """Every trial that is under way, as it is now."""
        messages: list[Message] = []
        for lane in self._ended:
            messages.append(lane.save({}, device=self._device, precision=self._precision.name))
        for run in self._runs:
            messages += self._save_run(run)
        return messages

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
            is_due = time.monotonic() - run.saved_at >= self._settings.checkpoint_seconds
            if is_due and run in self._runs:
                messages += self._save_run(run)
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

    def _lane(self, config: TrialConfig, state: bytes | None) -> tuple[Lane, list[Message]]:
        """A trial at its start or, if there is a checkpoint that suits, where that was made."""
        objective = self._settings.objective
        if state is None:
            return Lane(config, objective), []
        try:
            lane = Lane.resume(
                config, objective, state, device=self._device, precision=self._precision.name
            )
        except ValueError as error:
            return Lane(config, objective), [_from_the_start(config.number, error)]
        return lane, [Resumed(config.number, lane.history)] if lane.has_ended else []

    def _start_groups(self) -> list[Message]:
        """Make groups of the trials that wait, as far as memory goes; the first always starts.

        All trials of a group are at the same step of the same epoch.
        """
        messages: list[Message] = []
        self._may_start = False
        places: dict[tuple[int, int], dict[int, Lane]] = {}
        for lane in self._waiting:
            places.setdefault((lane.epoch, lane.step), {})[lane.config.number] = lane
        for lanes in places.values():
            for stack in self._capacity.stacks([lane.config for lane in lanes.values()]):
                group = [lanes[config.number] for config in self._that_fit(stack)]
                if group:
                    self._waiting = [lane for lane in self._waiting if lane not in group]
                    messages += self._start(group)
        return messages

    def _start(self, lanes: Sequence[Lane]) -> list[Message]:
        for lane in lanes:
            lane.num_lanes = max(lane.num_lanes, len(lanes))
        resumed = [lane for lane in lanes if lane.has_state]
        try:
            run = Run(self._build(lanes, self._batches))
        except Exception as error:  # noqa: BLE001 - as in `advance`
            if not resumed or is_out_of_memory(error):
                return self._recover(lanes, error, len(lanes))
            self._waiting += [Lane(lane.config, self._settings.objective) for lane in lanes]
            self._may_start = True
            return [_from_the_start(lane.config.number, error) for lane in resumed]
        self._runs.append(run)
        return [Resumed(lane.config.number, lane.history) for lane in resumed]

    def _save_run(self, run: Run) -> list[Message]:
        run.saved_at = time.monotonic()
        return [
            lane.save(
                run.group.state(position),
                device=self._device,
                precision=self._precision.name,
                step=run.next_step,
                step_seconds=run.seconds / len(run.group.lanes),
            )
            for position, lane in enumerate(run.group.lanes)
        ]

    def _that_fit(self, stack: Sequence[TrialConfig]) -> list[TrialConfig]:
        trained = [lane for run in self._runs for lane in run.group.lanes]
        free = self._memory - self._bytes(trained)
        members: list[TrialConfig] = []
        for config in stack:
            free -= self._capacity.lane_bytes(config)
            if free >= 0 or not (self._runs or members):
                members.append(config)
        return members

    def _finish_epoch(self, run: Run) -> list[Message]:
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

    def _dismiss(self, run: Run, leaving: Sequence[Lane]) -> list[Message]:
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
            numbers = ", ".join(map(str, sorted(lane.config.number for lane in lanes)))
            text = (
                f"memory ran out with {size} trials at once: trials {numbers} start again, "
                f"{lanes_at_once} at once"
            )
            return [Notice(text)]
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
            engine=self._settings.engine,
            num_threads=torch.get_num_threads(),
            environment=self._environment,
            data_fingerprint=self._fingerprint,
        )


def _from_the_start(trial: int, error: Exception) -> Notice:
    return Notice(f"trial {trial} starts again, its checkpoint cannot be used: {error}")


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
