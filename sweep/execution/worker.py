"""The process that trains: `python -m sweep.execution.worker FD`.

It knows one pipe and never sees the store. When the driver goes, the pipe ends and so does the
worker.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from sweep.data import load_training_data
from sweep.execution.wire import Decisions, Epoch, Train, WorkerReady, receive, send
from sweep.records import TrainingSettings, TrialOutcome
from sweep.training import load_engine
from sweep.training.engine import Engine, Message

__all__ = ["main"]

# How long the driver's messages may wait: short beside an epoch, long beside a look at the pipe.
_SLICE_SECONDS = 0.005


def main(file_descriptor: int) -> None:
    """Train what the driver asks for until it goes."""
    with Connection(file_descriptor) as connection:
        try:
            _serve(connection)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return


def _serve(connection: Connection) -> None:
    settings = receive(connection)
    if not isinstance(settings, TrainingSettings):
        raise TypeError(f"expected TrainingSettings, received {type(settings).__name__}")
    torch.set_num_threads(settings.num_threads)
    # Strong weight decay drives weights below 1e-38, where the CPU is a hundred times slower.
    torch.set_flush_denormal(True)
    data = load_training_data(
        settings.dataset,
        Path(settings.data_dir),
        num_validation=settings.num_validation,
        split_seed=settings.split_seed,
    )
    engine = load_engine(settings, data)
    send(connection, WorkerReady(data.fingerprint, engine.hardware))
    del data
    while True:
        while connection.poll(None if engine.is_idle else 0):
            _send_all(connection, _answer(engine, connection))
        _send_all(connection, engine.advance(_SLICE_SECONDS))


def _answer(engine: Engine, connection: Connection) -> Sequence[Message]:
    """Take in one message of the driver."""
    match receive(connection):
        case Train(configs):
            engine.add(configs)
            return []
        case Decisions(trials, decisions):
            return engine.decide(trials, decisions)
        case other:
            raise TypeError(f"expected Train or Decisions, received {type(other).__name__}")


def _send_all(connection: Connection, messages: Sequence[Message]) -> None:
    for message in messages:
        send(connection, message if isinstance(message, TrialOutcome) else Epoch(message))


if __name__ == "__main__":
    main(int(sys.argv[1]))
