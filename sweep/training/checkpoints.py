"""A trial under way as a safetensors file, and back.

The file holds the network's weights, the optimiser's memory, the source of dropout masks, the
losses and hits of the epoch under way and the best weights so far; its header, as JSON, what the
trial has measured. The learning rate and the order of images follow from the epoch and the step.
Nothing in it can run code.

Networks are stored without padding, in the shapes of the reference, so that either engine can go
on from a checkpoint of the other.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass

import safetensors.torch
from torch import Tensor

from sweep.codec import decode, encode
from sweep.records import EpochMetrics, TrialConfig

__all__ = ["Progress", "fill", "named", "pack", "part", "unpack"]

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


def fill(target: Tensor, stored: Tensor) -> None:
    """Copy a stored tensor into one that is in use.

    Raises:
        ValueError: their shapes or types differ.
    """
    if (stored.shape, stored.dtype) != (target.shape, target.dtype):
        raise ValueError(
            f"a tensor of {target.dtype} {tuple(target.shape)} is needed; found {stored.dtype} "
            f"{tuple(stored.shape)}"
        )
    target.copy_(stored)
