"""The engine trains groups of trials as told and returns messages with metrics and outcomes.

It trains one epoch ahead of the driver's decisions, but not past a rung: trials that are paused
there can be trained together again. What it cannot train as told, it gives back.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import torch

from sweep.data import TrainingData
from sweep.records import (
    Checkpoint,
    CheckpointRefused,
    Decision,
    Epoch,
    EpochMetrics,
    Failure,
    Message,
    Notice,
    OutOfMemory,
    Paused,
    Resumed,
    TrainingSettings,
    TrialConfig,
    TrialState,
    WorkerReady,
)
from sweep.training.batches import Batches
from sweep.training.checkpoints import Checkpoints
from sweep.training.groups import BuildGroup, Run
from sweep.training.hardware import available_bytes, choose_precision, is_out_of_memory
from sweep.training.lane import Lane
from sweep.training.outcomes import Outcomes, failure_of, one_line

__all__ = ["Engine"]


class Engine:
    """Trains configurations on one device. A failure is an outcome, not an exception.

    All its methods return messages for the driver. `memory_bytes` is what all groups together may
    take, or None if unknown.
    """

    def __init__(self, settings: TrainingSettings, data: TrainingData, build: BuildGroup) -> None:
        device = torch.device(settings.device)
        precision = choose_precision(settings.precision, device)
        self._settings = settings
        self._batches = Batches(data, settings.order_seed, device, precision)
        self._build = build
        self._checkpoints = Checkpoints(settings, self._batches)
        self._outcomes = Outcomes(settings, self._batches)
        self.memory_bytes = available_bytes(device, settings.num_sharing)
        self._runs: list[Run] = []  # the next to train comes first
        self._ended: list[Lane] = []  # their last decision is still to come

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to train before the driver's next message."""
        return all(run.is_blocked for run in self._runs)

    def ready(self) -> WorkerReady:
        """The data, the hardware and the memory."""
        return WorkerReady(
            data_fingerprint=self._batches.fingerprint,
            hardware=self._outcomes.hardware,
            memory_bytes=self.memory_bytes,
        )

    def add(
        self, configs: Sequence[TrialConfig], checkpoints: Mapping[int, Checkpoint] | None = None
    ) -> list[Message]:
        """Start or resume trials that share each batch, to be trained together.

        Checkpoints are given by trial number, all at the same step of the same epoch. One that
        cannot be used is refused, together with its trial.
        """
        messages: list[Message] = []
        lanes: list[Lane] = []
        for config in configs:
            lane = Lane(config, self._settings.objective)
            checkpoint = (checkpoints or {}).get(config.number)
            try:
                if checkpoint is not None:
                    lane = self._checkpoints.resume(config, checkpoint)
            except (ValueError, LookupError) as error:
                messages.append(CheckpointRefused(config.number, one_line(error)))
            except Exception as error:  # noqa: BLE001 - as in `advance`
                messages += self._give_up([lane], error, len(configs))
            else:
                if lane.has_ended:
                    self._ended.append(lane)
                    messages.append(Resumed(config.number, tuple(lane.history)))
                else:
                    lanes.append(lane)
        return [*messages, *self._start(lanes)]

    def save(self) -> Iterator[Checkpoint | Notice]:
        """A checkpoint of each trial under way, one by one."""
        for lane in self._ended:
            yield self._save(lane)
        for run in self._runs:
            for position, lane in enumerate(run.group.lanes):
                yield self._save(lane, run, position)

    def advance(self, seconds: float) -> list[Message]:
        """Train for about so many seconds, but not beyond the end of an epoch."""
        run = next((run for run in self._runs if not run.is_blocked), None)
        if run is None:
            return []
        try:
            run.train(time.perf_counter() + seconds)
            if not run.has_steps and not run.is_blocked:
                return self._finish_epoch(run)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong in a trial is its outcome
            self._runs.remove(run)
            return self._give_up(run.group.lanes, error, len(run.group.lanes))
        return []

    def decide(self, trials: Sequence[int], decisions: Sequence[Decision]) -> list[Message]:
        """Act on the driver's answer to an epoch: a decision for each of its trials."""
        answers = dict(zip(trials, decisions, strict=True))
        messages: list[Message] = []
        for lane in [lane for lane in self._ended if lane.config.number in answers]:
            self._ended.remove(lane)
            is_pruned = answers[lane.config.number] is Decision.PRUNE
            state = TrialState.PRUNED if is_pruned else TrialState.COMPLETE
            messages.append(self._outcomes.outcome(lane, state))
        for run in list(self._runs):
            leaving: list[Lane] = []
            for position, lane in enumerate(run.group.lanes):
                answer = answers.get(lane.config.number)
                lane.awaits_decision &= answer is None
                if answer is Decision.PRUNE:
                    leaving.append(lane)
                    messages.append(self._outcomes.outcome(lane, TrialState.PRUNED))
                elif answer is Decision.PAUSE:
                    leaving.append(lane)
                    # If it cannot be saved, it resumes from an earlier checkpoint or starts again.
                    messages.append(self._save(lane, run, position))
                    messages.append(Paused(self._outcomes.outcome(lane, TrialState.PRUNED)))
            messages += self._dismiss(run, leaving)
        return messages

    def _start(self, lanes: Sequence[Lane]) -> list[Message]:
        if not lanes:
            return []
        for lane in lanes:
            lane.num_lanes = max(lane.num_lanes, len(lanes))
        resumed = [lane for lane in lanes if lane.midway]
        try:
            run = Run(self._build(lanes, self._batches), self._settings.rungs)
        except Exception as error:  # noqa: BLE001 - as in `advance`
            if not resumed or is_out_of_memory(error):
                return self._give_up(lanes, error, len(lanes))
            reason = one_line(error)
            refused = [CheckpointRefused(lane.config.number, reason) for lane in resumed]
            return [*refused, *self._start([lane for lane in lanes if lane not in resumed])]
        self._runs.append(run)
        return [Resumed(lane.config.number, tuple(lane.history)) for lane in resumed]

    def _save(self, lane: Lane, run: Run | None = None, position: int = 0) -> Checkpoint | Notice:
        try:
            if run is None:
                return self._checkpoints.save(lane, {})
            seconds = run.seconds / len(run.group.lanes)
            return self._checkpoints.save(lane, run.state(position), run.next_step, seconds)
        except Exception as error:  # noqa: BLE001 - training continues without a checkpoint
            return Notice(f"trial {lane.config.number} could not be saved: {error}")

    def _finish_epoch(self, run: Run) -> list[Message]:
        self._runs.remove(run)
        self._runs.append(run)
        due = [
            self._settings.validates_after(lane.epoch + 1, lane.recipe.epochs)
            for lane in run.group.lanes
        ]
        if not any(due):
            return self._pass_over(run)
        measured, seconds = run.measure()
        reports: list[EpochMetrics] = []
        messages: list[Message] = []
        leaving: list[Lane] = []
        for position, lane in enumerate(run.group.lanes):
            weights = partial(run.group.copy_weights, position)
            recorded: EpochMetrics | Failure | None
            try:
                if due[position]:
                    recorded = lane.record(measured[position], seconds, weights)
                else:
                    recorded = lane.pass_over(measured[position].values["train_loss"], seconds)
            except Exception as error:  # noqa: BLE001 - as in `advance`
                leaving.append(lane)
                messages += self._give_up([lane], error, len(measured))
                continue
            if isinstance(recorded, Failure):
                leaving.append(lane)
                messages.append(self._outcomes.outcome(lane, TrialState.FAIL, recorded))
                continue
            if recorded is None:
                continue
            reports.append(recorded)
            if lane.has_ended:
                leaving.append(lane)
                self._ended.append(lane)
        if reports:
            messages.insert(0, Epoch(tuple(reports)))
        return [*messages, *self._dismiss(run, leaving)]

    def _pass_over(self, run: Run) -> list[Message]:
        """End an epoch after which no trial of the group is validated."""
        losses, seconds = run.pass_over()
        messages: list[Message] = []
        leaving: list[Lane] = []
        for lane, loss in zip(run.group.lanes, losses, strict=True):
            failure = lane.pass_over(loss, seconds)
            if failure is not None:
                leaving.append(lane)
                messages.append(self._outcomes.outcome(lane, TrialState.FAIL, failure))
        return [*messages, *self._dismiss(run, leaving)]

    def _dismiss(self, run: Run, leaving: Sequence[Lane]) -> list[Message]:
        """Remove these lanes from their group."""
        lanes = run.group.lanes
        staying = [position for position, lane in enumerate(lanes) if lane not in leaving]
        try:
            if not staying:
                self._runs.remove(run)
            elif len(staying) < len(lanes):
                run.group.keep(staying)
        except Exception as error:  # noqa: BLE001 - as in `advance`
            self._runs.remove(run)
            return self._give_up([lanes[position] for position in staying], error, len(lanes))
        return []

    def _give_up(self, lanes: Sequence[Lane], error: Exception, size: int) -> list[Message]:
        """Give back lanes of a stack of `size` if memory ran out; fail them otherwise.

        A lane that runs out of memory all alone fails, too.
        """
        others = [lane for run in self._runs for lane in run.group.lanes if lane not in lanes]
        if is_out_of_memory(error) and (size > 1 or others):
            return [OutOfMemory(tuple(sorted(lane.config.number for lane in lanes)), size)]
        failure = failure_of(error)
        return [self._outcomes.outcome(lane, TrialState.FAIL, failure) for lane in lanes]
