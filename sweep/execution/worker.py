"""The process that trains: `python -m sweep.execution.worker FD`.

It knows one pipe and never sees the store. When the driver goes, the pipe ends and so does the
worker.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue

import torch

from sweep.data import load_training_data
from sweep.execution.wire import (
    Decisions,
    Epoch,
    Message,
    Save,
    Saved,
    Train,
    WorkerReady,
    receive,
    send,
)
from sweep.records import TrainingSettings
from sweep.training import load_engine
from sweep.training.engine import Engine
from sweep.training.engine import Message as EngineMessage

__all__ = ["main"]

# How long the driver's messages may wait: short beside an epoch, long beside a look at the inbox.
_SLICE_SECONDS = 0.005


def main(file_descriptor: int) -> None:
    """Train what the driver asks for until it goes."""
    with Connection(file_descriptor) as connection:
        inbox: SimpleQueue[Message] = SimpleQueue()
        threading.Thread(target=_listen, args=(connection, inbox), daemon=True).start()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            _serve(connection, inbox)


def _listen(connection: Connection, inbox: SimpleQueue[Message]) -> None:
    """Take in messages while the rest of the process trains; without a driver, end the process.

    At once and whatever it is doing: nobody is left to tell.
    """
    try:
        while True:
            inbox.put(receive(connection))
    except (EOFError, OSError):
        os._exit(0)


def _serve(connection: Connection, inbox: SimpleQueue[Message]) -> None:
    settings = inbox.get()
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
        while engine.is_idle or not inbox.empty():
            _answer(engine, connection, inbox.get())
        _send_all(connection, engine.advance(_SLICE_SECONDS))


def _answer(engine: Engine, connection: Connection, message: Message) -> None:
    """Do what the driver says."""
    match message:
        case Train(configs, checkpoints):
            states = {checkpoint.trial: checkpoint.state for checkpoint in checkpoints}
            _send_all(connection, engine.add(configs, states))
        case Decisions(trials, decisions):
            _send_all(connection, engine.decide(trials, decisions))
        case Save():
            _send_all(connection, engine.save())
            send(connection, Saved())
        case other:
            raise TypeError(f"expected a message of a driver, received {type(other).__name__}")


def _send_all(connection: Connection, messages: Sequence[EngineMessage]) -> None:
    for message in messages:
        send(connection, Epoch(message) if isinstance(message, tuple) else message)


if __name__ == "__main__":
    main(int(sys.argv[1]))
