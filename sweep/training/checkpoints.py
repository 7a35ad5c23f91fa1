"""A trial under way as a safetensors file, and back. Nothing in the file can run code.

The header holds the trial's metrics as JSON. The learning rate and the order of examples follow
from epoch and step. Networks are stored without padding: either engine can resume the other's.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace

import safetensors.torch
import torch
from torch import Tensor

from sweep.codec import decode, encode
from sweep.definitions import parameters_of, with_defaults
from sweep.records import (
    Checkpoint,
    EpochMetrics,
    TrainingSettings,
    TrialConfig,
    last_epoch,
    reported,
)
from sweep.training.batches import Batches
from sweep.training.lane import Best, Lane, Midway

__all__ = ["Checkpoints", "Progress", "named", "plain_copies", "unpack"]

_PROGRESS = "sweep_progress"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a trial is.

    Attributes:
        device: Its kind: each kind draws other random numbers.
        precision: Of the matrix products.
        step: Steps trained of the epoch under way.
        step_seconds: Wall time of these steps.
        history: Every epoch that was reported.
        seconds: Wall time so far.
        num_lanes: The most trials that were trained together, itself included.
        unreported_epochs: Epochs that were finished since the last report.
        unreported_seconds: Wall time of these epochs.
    """

    config: TrialConfig
    device: str
    precision: str
    step: int
    step_seconds: float
    history: tuple[EpochMetrics, ...]
    best_epoch: int | None
    seconds: float
    num_lanes: int
    num_parameters: int
    unreported_epochs: int = 0
    unreported_seconds: float = 0.0

    @property
    def epoch(self) -> int:
        """Epochs that were finished."""
        return last_epoch(self.history) + self.unreported_epochs


class Checkpoints:
    """Saves and resumes trials of one study, on one device and in one precision."""

    def __init__(self, settings: TrainingSettings, batches: Batches) -> None:
        self._settings = settings
        self._device = batches.device
        self._precision = batches.precision.name

    def save(
        self,
        lane: Lane,
        state: Mapping[str, Tensor],
        step: int = 0,
        step_seconds: float = 0.0,
    ) -> Checkpoint:
        """A checkpoint of the trial; `state` holds the tensors of its group.

        `step_seconds` is what the `step` trained steps of the epoch under way cost.
        """
        best = lane.best
        progress = Progress(
            config=lane.config,
            device=self._device.type,
            precision=self._precision,
            step=step,
            step_seconds=step_seconds,
            history=tuple(lane.history),
            best_epoch=best.epoch if best else None,
            seconds=lane.seconds,
            num_lanes=lane.num_lanes,
            num_parameters=lane.num_parameters,
            unreported_epochs=lane.epoch - last_epoch(lane.history),
            unreported_seconds=lane.unreported_seconds,
        )
        tensors = named("group", state)
        if best is not None:
            tensors |= named("best", best.weights)
            tensors["predictions"] = best.predictions.to(torch.int32)
            if best.losses is not None:
                tensors["losses"] = best.losses
        file = safetensors.torch.save(plain_copies(tensors), {_PROGRESS: encode(progress).decode()})
        return Checkpoint(lane.config.number, lane.epoch, step, file)

    def resume(self, config: TrialConfig, checkpoint: Checkpoint) -> Lane:
        """A trial as its checkpoint left it.

        Raises:
            LookupError: something is missing from the checkpoint.
            ValueError: it belongs to another configuration, device, precision or step.
        """
        progress, tensors = unpack(checkpoint.state)
        # A parameter that was added after the checkpoint was made had its default.
        params = progress.config.params
        defaults = with_defaults(parameters_of(self._settings.model), params)
        saved = replace(progress.config, params={**params, **defaults})
        for word, found, wanted in (
            ("configuration", saved, config),
            ("kind of device", progress.device, self._device.type),
            ("precision", progress.precision, self._precision),
        ):
            if found != wanted:
                raise ValueError(f"it was made with another {word}: {found} instead of {wanted}")
        found_at = progress.epoch, progress.step
        recorded = checkpoint.epoch, checkpoint.step
        if found_at != recorded:
            raise ValueError(f"it is at epoch and step {found_at}; the record says {recorded}")
        lane = Lane(config, self._settings.objective)
        lane.epoch, lane.history = progress.epoch, list(progress.history)
        lane.unreported_seconds = progress.unreported_seconds
        lane.num_lanes, lane.num_parameters = progress.num_lanes, progress.num_parameters
        lane.awaits_decision = bool(progress.history)
        lane.started -= progress.seconds
        lane.midway = Midway(progress.step, progress.step_seconds, _part("group", tensors))
        best = reported(progress.history, progress.best_epoch or 0)
        if best is not None:
            lane.best = Best(
                epoch=best.epoch,
                value=lane.objective.value(best),
                predictions=tensors["predictions"].to(self._device, torch.int64),
                losses=tensors["losses"].to(self._device) if lane.needs_losses else None,
                weights={n: w.to(self._device) for n, w in _part("best", tensors).items()},
            )
        return lane


def plain_copies(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies in main memory as safetensors wants them: contiguous, none sharing its storage."""
    plain = torch.contiguous_format
    return {n: t.to("cpu", copy=True, memory_format=plain) for n, t in tensors.items()}


def unpack(state: bytes) -> tuple[Progress, dict[str, Tensor]]:
    """The progress and the tensors, on the CPU, in a checkpoint.

    Raises:
        ValueError: it is not a checkpoint.
    """
    try:
        tensors = safetensors.torch.load(state)
        # `load` skips the header's metadata: a length, then JSON.
        (length,) = struct.unpack_from("<Q", state)
        header = json.loads(state[8 : 8 + length])
        progress = decode(Progress, header["__metadata__"][_PROGRESS].encode())
    except Exception as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ValueError(f"not a checkpoint: {reason}") from error
    return progress, tensors


def named(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with a prefix to their names, so that one file can hold several sets."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def _part(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The reverse of `named`."""
    start = f"{prefix}."
    return {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}
