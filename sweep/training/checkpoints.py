"""A trial under way as a safetensors file, and back.

The file holds the network's weights, the optimiser's memory, the state of the generator of dropout
masks, the losses and hits of the epoch under way and the best weights so far; its header, as JSON,
what the trial has measured. The learning rate and the order of images follow from epoch and step.
Nothing in it can run code.

Networks are stored without padding, in the shapes of the reference, so that either engine can go
on from a checkpoint of the other.
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
from sweep.records import Checkpoint, EpochMetrics, TrainingSettings, TrialConfig
from sweep.training.batches import Batches
from sweep.training.lane import Best, Lane, Midway

__all__ = ["Checkpoints", "Progress", "named", "pack", "part", "unpack"]

_PROGRESS = "sweep_progress"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a trial is.

    Attributes:
        config: What is trained.
        device: The kind of device, whose random numbers differ from those of other kinds.
        precision: Of the matrix products.
        step: Steps of the next epoch that were trained.
        step_seconds: What these steps cost.
        history: Every epoch that was trained.
        best_epoch: The best of them, or None.
        seconds: Wall time so far.
        num_lanes: The most trials that were trained together with it.
        num_parameters: Trainable numbers of the network.
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
        """The trial as it is now.

        Args:
            lane: The trial.
            state: The tensors of its group.
            step: Steps of the epoch under way that were trained.
            step_seconds: What they cost.
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
        )
        tensors = named("group", state)
        if best is not None:
            tensors |= named("best", best.weights)
            tensors["predictions"] = best.predictions.to(torch.int32)
            if best.losses is not None:
                tensors["losses"] = best.losses
        return Checkpoint(lane.config.number, lane.epoch, step, pack(progress, tensors))

    def resume(self, config: TrialConfig, checkpoint: Checkpoint) -> Lane:
        """A trial that goes on from its checkpoint.

        Raises:
            LookupError: something is missing from the checkpoint.
            ValueError: the checkpoint is not one of this trial, device and precision, or was not
                made at the recorded step.
        """
        progress, tensors = unpack(checkpoint.state)
        # A parameter that is newer than the checkpoint had its default.
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
        place = len(progress.history), progress.step
        recorded = checkpoint.epoch, checkpoint.step
        if place != recorded:
            raise ValueError(f"it is at epoch and step {place}, recorded were {recorded}")
        lane = Lane(config, self._settings.objective)
        lane.epoch, lane.history = len(progress.history), list(progress.history)
        lane.num_lanes, lane.num_parameters = progress.num_lanes, progress.num_parameters
        lane.awaits_decision = bool(progress.history)
        lane.started -= progress.seconds
        lane.midway = Midway(progress.step, progress.step_seconds, part("group", tensors))
        if progress.best_epoch is not None:
            lane.best = Best(
                epoch=progress.best_epoch,
                value=lane.objective.value(progress.history[progress.best_epoch - 1]),
                predictions=tensors["predictions"].to(self._device, torch.int64),
                losses=tensors["losses"].to(self._device) if lane.needs_losses else None,
                weights={n: w.to(self._device) for n, w in part("best", tensors).items()},
            )
        return lane


def pack(progress: Progress, tensors: Mapping[str, Tensor]) -> bytes:
    """One file of how far a trial is and of all its tensors."""
    contiguous = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    return safetensors.torch.save(contiguous, {_PROGRESS: encode(progress).decode()})


def unpack(state: bytes) -> tuple[Progress, dict[str, Tensor]]:
    """What `pack` put together; the tensors are on the CPU.

    Raises:
        ValueError: it is not such a file.
    """
    try:
        tensors = safetensors.torch.load(state)
        # The reader of tensors passes over the header's free text: a length, then JSON.
        (length,) = struct.unpack_from("<Q", state)
        header = json.loads(state[8 : 8 + length])
        progress = decode(Progress, header["__metadata__"][_PROGRESS].encode())
    except Exception as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ValueError(f"not a checkpoint: {reason}") from error
    return progress, tensors


def named(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """These tensors under names of their own in a file of many."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def part(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What `named` put into a file."""
    start = f"{prefix}."
    return {
        name.removeprefix(start): tensor
        for name, tensor in tensors.items()
        if name.startswith(start)
    }
