"""Messages between driver and worker, as JSON over a pipe."""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing.connection import Connection

from sweep.codec import decode, encode
from sweep.records import Decision, EpochMetrics, TrainingSettings, TrialConfig, TrialOutcome

__all__ = [
    "Decisions",
    "Epoch",
    "Message",
    "Train",
    "WorkerReady",
    "receive",
    "send",
]


@dataclass(frozen=True, slots=True)
class Train:
    """Driver to worker: train these."""

    configs: tuple[TrialConfig, ...]


@dataclass(frozen=True, slots=True)
class Decisions:
    """Driver to worker: the answers to an `Epoch`, one for each of these trials."""

    trials: tuple[int, ...]
    decisions: tuple[Decision, ...]


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


Message = TrainingSettings | Train | Decisions | WorkerReady | Epoch | TrialOutcome

_KINDS: dict[str, type[Message]] = {
    kind.__name__: kind
    for kind in (TrainingSettings, Train, Decisions, WorkerReady, Epoch, TrialOutcome)
}


def send(connection: Connection, message: Message) -> None:
    """Write one message."""
    connection.send_bytes(type(message).__name__.encode() + b"\n" + encode(message))


def receive(connection: Connection) -> Message:
    """Read one message.

    Raises:
        EOFError: the other side has gone.
    """
    kind, _, text = connection.recv_bytes().partition(b"\n")
    return decode(_KINDS[kind.decode()], text)
