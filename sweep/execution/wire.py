"""Messages between driver and worker over a pipe: JSON, and weights as they are behind it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import get_args

from sweep.codec import decode, encode
from sweep.records import (
    Checkpoint,
    Decision,
    EpochMetrics,
    Notice,
    Resumed,
    TrainingSettings,
    TrialConfig,
    TrialOutcome,
)

__all__ = [
    "Decisions",
    "Epoch",
    "FromWorker",
    "Message",
    "Save",
    "Saved",
    "Train",
    "WorkerReady",
    "receive",
    "send",
]


@dataclass(frozen=True, slots=True)
class Train:
    """Driver to worker: train these, from their checkpoints where there are any."""

    configs: tuple[TrialConfig, ...]
    checkpoints: tuple[Checkpoint, ...] = ()


@dataclass(frozen=True, slots=True)
class Decisions:
    """Driver to worker: the answers to an `Epoch`, one for each of these trials."""

    trials: tuple[int, ...]
    decisions: tuple[Decision, ...]


@dataclass(frozen=True, slots=True)
class Save:
    """Driver to worker: send checkpoints of all trials, then `Saved`."""


@dataclass(frozen=True, slots=True)
class Saved:
    """Worker to driver: the answer to `Save` is complete."""


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """Worker to driver: the data are in memory.

    Attributes:
        data_fingerprint: SHA-256 of the training pool as this worker sees it.
        hardware: Device and name of the hardware.
    """

    data_fingerprint: str
    hardware: str


@dataclass(frozen=True, slots=True)
class Epoch:
    """Worker to driver: one epoch of each of some trials; `Decisions` are to follow."""

    metrics: tuple[EpochMetrics, ...]


FromWorker = WorkerReady | Epoch | TrialOutcome | Checkpoint | Resumed | Notice | Saved
Message = TrainingSettings | Train | Decisions | Save | FromWorker

_KINDS: dict[str, type[Message]] = {kind.__name__: kind for kind in get_args(Message)}


def send(connection: Connection, message: Message) -> None:
    """Write one message."""
    lean, blobs = _detach(message)
    head = f"{type(message).__name__} {len(blobs)}\n".encode()
    connection.send_bytes(head + encode(lean))
    for blob in blobs:
        connection.send_bytes(blob)


def receive(connection: Connection) -> Message:
    """Read one message.

    Raises:
        EOFError: the other side has gone.
        OSError: it went in the middle of a message.
    """
    head, _, text = connection.recv_bytes().partition(b"\n")
    kind, num_blobs = head.decode().split()
    message = decode(_KINDS[kind], text)
    return _attach(message, [connection.recv_bytes() for _ in range(int(num_blobs))])


def _detach(message: Message) -> tuple[Message, list[bytes]]:
    """The message without its large parts, which would be a third larger as JSON; and these."""
    match message:
        case TrialOutcome() if message.weights is not None:
            return replace(message, weights=b""), [message.weights]
        case Checkpoint():
            return replace(message, state=b""), [message.state]
        case Train():
            lean = tuple(replace(checkpoint, state=b"") for checkpoint in message.checkpoints)
            states = [checkpoint.state for checkpoint in message.checkpoints]
            return replace(message, checkpoints=lean), states
    return message, []


def _attach(message: Message, blobs: list[bytes]) -> Message:
    match message:
        case TrialOutcome() if blobs:
            return replace(message, weights=blobs[0])
        case Checkpoint():
            return replace(message, state=blobs[0])
        case Train():
            full = zip(message.checkpoints, blobs, strict=True)
            return replace(message, checkpoints=tuple(replace(c, state=b) for c, b in full))
    return message
