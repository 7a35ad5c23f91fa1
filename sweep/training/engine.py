"""The engine: trains groups of trials as it is told, gives metrics and outcomes out.

It never waits for an answer: while the driver records an epoch and decides, the next one is
already trained. A trial that is pruned then leaves in the middle of that epoch, of which nothing
is kept; one that is paused is saved there. Training never gets further ahead than this one epoch,
and after a rung not at all: trials that are paused there can be trained together again.

What is trained together, and when, is not decided here: what the engine cannot train as it was
told, it gives back.
"""

from __future__ import annotations

import math
import platform
import time
import traceback
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from sweep.data import TrainingData
from sweep.provenance import package_versions
from sweep.records import (
    Checkpoint,
    CheckpointRefused,
    Decision,
    Epoch,
    EpochMetrics,
    Failure,
    FailureKind,
    Message,
    Notice,
    OutOfMemory,
    Paused,
    Resumed,
    TrainingSettings,
    TrialConfig,
    TrialOutcome,
    TrialState,
)
from sweep.training.batches import Batches
from sweep.training.groups import BuildGroup, Run
from sweep.training.lane import Lane
from sweep.training.memory import available_bytes, is_out_of_memory
from sweep.training.precision import choose_precision

__all__ = ["Engine"]


class Engine:
    """Trains configurations on one device.

    Args:
        settings: What all trials share.
        data: The splits to train and to validate on.
        build: Makes a group of lanes.

    Attributes:
        data_fingerprint: SHA-256 of the training pool and its split.
        memory_bytes: Memory that all groups together may take, or None if that is not known.
    """

    def __init__(self, settings: TrainingSettings, data: TrainingData, build: BuildGroup) -> None:
        self._settings = settings
        self._device = torch.device(settings.device)
        self._precision = choose_precision(settings.precision, self._device)
        self._batches = Batches(data, settings.order_seed, self._device, self._precision)
        self.data_fingerprint = data.fingerprint
        self._environment = package_versions()
        self._build = build
        memory = available_bytes(self._device, settings.num_sharing)
        self.memory_bytes = int(memory) if math.isfinite(memory) else None
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
    def precision(self) -> str:
        """Name of the precision in which trials are computed."""
        return self._precision.name

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to train before the driver says something."""
        return all(run.is_blocked for run in self._runs)

    def add(
        self, configs: Sequence[TrialConfig], checkpoints: Mapping[int, Checkpoint] | None = None
    ) -> list[Message]:
        """Take in trials that are to be trained together.

        Args:
            configs: What to train: of one batch size.
            checkpoints: Where some of them go on, by number: all at the same step of the same
                epoch. One that does not suit is given back with its trial.

        Returns:
            What there is to tell the driver.
        """
        messages: list[Message] = []
        lanes: list[Lane] = []
        for config in configs:
            checkpoint = (checkpoints or {}).get(config.number)
            try:
                lane = self._lane(config, checkpoint)
            except (ValueError, LookupError) as error:
                messages.append(CheckpointRefused(config.number, _one_line(error)))
                continue
            except Exception as error:  # noqa: BLE001 - as in `advance`
                fresh = Lane(config, self._settings.objective)
                messages += self._give_up([fresh], error, len(configs))
                continue
            if lane.has_ended:
                self._ended.append(lane)
                messages.append(Resumed(config.number, lane.history))
            else:
                lanes.append(lane)
        return [*messages, *self._start(lanes)]

    def save(self) -> Iterator[Checkpoint | Notice]:
        """Every trial that is under way, as it is now, one by one."""
        for lane in self._ended:
            yield self._save_lane(lane)
        for run in self._runs:
            for position in range(len(run.group.lanes)):
                yield self._save_lane(run.group.lanes[position], run, position)

    def advance(self, seconds: float) -> list[Message]:
        """Train for about so many seconds, but not beyond the end of an epoch.

        A failure is an outcome, not an exception.

        Returns:
            What there is to tell the driver.
        """
        for _ in range(len(self._runs)):
            if not self._runs[0].is_blocked:
                break
            self._runs.rotate(-1)
        else:
            return []
        run = self._runs[0]
        try:
            run.train(time.perf_counter() + seconds)
            if not run.has_steps and not run.is_blocked:
                return self._finish_epoch(run)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong in a trial is its outcome
            self._runs.remove(run)
            return self._give_up(run.group.lanes, error, len(run.group.lanes))
        return []

    def decide(self, trials: Sequence[int], decisions: Sequence[Decision]) -> list[Message]:
        """Take in the driver's answer to an epoch.

        Args:
            trials: Numbers of the trials that the epoch named.
            decisions: One for each.

        Returns:
            What there is to tell the driver of trials that leave.
        """
        answers = dict(zip(trials, decisions, strict=True))
        messages: list[Message] = []
        for lane in [lane for lane in self._ended if lane.config.number in answers]:
            self._ended.remove(lane)
            is_pruned = answers[lane.config.number] is Decision.PRUNE
            state = TrialState.PRUNED if is_pruned else TrialState.COMPLETE
            messages.append(self._outcome(lane, state))
        for run in list(self._runs):
            leaving: list[Lane] = []
            for position, lane in enumerate(run.group.lanes):
                answer = answers.get(lane.config.number)
                lane.awaits_decision &= answer is None
                if answer is Decision.PRUNE:
                    messages.append(self._outcome(lane, TrialState.PRUNED))
                elif answer is Decision.PAUSE:
                    # One that cannot be saved goes on from its checkpoint before, or starts again.
                    messages.append(self._save_lane(lane, run, position))
                    messages.append(Paused(self._outcome(lane, TrialState.PRUNED)))
                if answer in (Decision.PRUNE, Decision.PAUSE):
                    leaving.append(lane)
            messages += self._dismiss(run, leaving)
        return messages

    def _lane(self, config: TrialConfig, checkpoint: Checkpoint | None) -> Lane:
        """A trial at its start or where its checkpoint was made.

        Raises:
            ValueError: the checkpoint does not suit.
        """
        objective = self._settings.objective
        if checkpoint is None:
            return Lane(config, objective)
        lane = Lane.resume(
            config,
            objective,
            checkpoint.state,
            model=self._settings.model,
            device=self._device,
            precision=self._precision.name,
        )
        place, recorded = (lane.epoch, lane.step), (checkpoint.epoch, checkpoint.step)
        if place != recorded:
            raise ValueError(f"it is at epoch and step {place}, recorded were {recorded}")
        return lane

    def _start(self, lanes: Sequence[Lane]) -> list[Message]:
        if not lanes:
            return []
        for lane in lanes:
            lane.num_lanes = max(lane.num_lanes, len(lanes))
        resumed = [lane for lane in lanes if lane.has_state]
        try:
            run = Run(self._build(lanes, self._batches), self._settings.rungs)
        except Exception as error:  # noqa: BLE001 - as in `advance`
            if not resumed or is_out_of_memory(error):
                return self._give_up(lanes, error, len(lanes))
            reason = _one_line(error)
            refused = [CheckpointRefused(lane.config.number, reason) for lane in resumed]
            return [*refused, *self._start([lane for lane in lanes if lane not in resumed])]
        self._runs.append(run)
        return [Resumed(lane.config.number, lane.history) for lane in resumed]

    def _save_lane(
        self, lane: Lane, run: Run | None = None, position: int = 0
    ) -> Checkpoint | Notice:
        try:
            return lane.save(
                run.group.state(position) if run else {},
                device=self._device,
                precision=self._precision.name,
                step=run.next_step if run else 0,
                step_seconds=run.seconds / len(run.group.lanes) if run else 0.0,
            )
        except Exception as error:  # noqa: BLE001 - training goes on without a checkpoint
            return Notice(f"trial {lane.config.number} could not be saved: {error}")

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
                messages += self._give_up([lane], error, size)
                continue
            if isinstance(recorded, Failure):
                leaving.append(lane)
                messages.append(self._outcome(lane, TrialState.FAIL, recorded))
                continue
            reports.append(recorded)
            if lane.has_ended:
                leaving.append(lane)
                self._ended.append(lane)
        if reports:
            messages.insert(0, Epoch(tuple(reports)))
        return [*messages, *self._dismiss(run, leaving)]

    def _dismiss(self, run: Run, leaving: Sequence[Lane]) -> list[Message]:
        """Close the gaps that these lanes leave."""
        lanes = run.group.lanes
        staying = [position for position, lane in enumerate(lanes) if lane not in leaving]
        if len(staying) == len(lanes):
            return []
        if not staying:
            self._runs.remove(run)
            return []
        remaining = [lanes[position] for position in staying]
        try:
            run.group.keep(staying)
        except Exception as error:  # noqa: BLE001 - as in `advance`
            self._runs.remove(run)
            return self._give_up(remaining, error, len(lanes))
        return []

    def _give_up(self, lanes: Sequence[Lane], error: Exception, size: int) -> list[Message]:
        """Give lanes of a stack of `size` back if memory ran out; fail them otherwise.

        Memory that one lane on its own runs out of fails that lane.
        """
        others = [lane for run in self._runs for lane in run.group.lanes if lane not in lanes]
        if is_out_of_memory(error) and (size > 1 or others):
            return [OutOfMemory(tuple(sorted(lane.config.number for lane in lanes)), size)]
        failure = _failure(error)
        return [self._outcome(lane, TrialState.FAIL, failure) for lane in lanes]

    def _outcome(
        self, lane: Lane, state: TrialState, failure: Failure | None = None
    ) -> TrialOutcome:
        outcome = lane.outcome(state, num_classes=self._batches.spec.num_classes, failure=failure)
        return replace(
            outcome,
            device=self.hardware,
            precision=self._precision.name,
            engine=self._settings.engine,
            num_threads=torch.get_num_threads(),
            environment=self._environment,
            data_fingerprint=self.data_fingerprint,
        )


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _failure(error: Exception) -> Failure:
    """Sort an exception into the kinds of failure."""
    text = "".join(traceback.format_exception(error))
    kind = FailureKind.OUT_OF_MEMORY if is_out_of_memory(error) else FailureKind.EXCEPTION
    return Failure(kind, f"{type(error).__name__}: {_one_line(error)}", text)


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
