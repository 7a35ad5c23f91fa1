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
from sweep.records import Decision, EpochMetrics, TrainingSettings
from sweep.training import load_engine

__all__ = ["main"]


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
    engine = load_engine(settings.engine)(settings, data)
    send(connection, WorkerReady(data.fingerprint, engine.hardware))

    def report(metrics: Sequence[EpochMetrics]) -> Sequence[Decision]:
        send(connection, Epoch(tuple(metrics)))
        answer = receive(connection)
        if not isinstance(answer, Decisions):
            raise TypeError(f"expected Decisions, received {type(answer).__name__}")
        return answer.decisions

    while True:
        request = receive(connection)
        if not isinstance(request, Train):
            raise TypeError(f"expected Train, received {type(request).__name__}")
        for outcome in engine.train(request.configs, report):
            send(connection, outcome)


if __name__ == "__main__":
    main(int(sys.argv[1]))
