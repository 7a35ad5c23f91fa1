"""What a worker does with its driver's messages, whatever carries them. It never sees the store."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

from sweep.data import unpack_data
from sweep.execution.wire import pack, unpack
from sweep.records import Decide, Message, Save, Saved, Train, TrainingSettings, trials_of
from sweep.training import load_engine
from sweep.training.engine import Engine

__all__ = ["Worker", "load_worker"]

# How long the driver's messages may wait: short compared with an epoch, long with a poll.
_SLICE_SECONDS = 0.005


def load_worker(data: Any, settings: TrainingSettings, send: Callable[[bytes], None]) -> Worker:
    """A worker with its data, a buffer that `pack_data` filled. Sets PyTorch's threads."""
    torch.set_num_threads(settings.num_threads)
    # Strong weight decay drives weights below 1e-38, where a CPU is a hundred times slower.
    torch.set_flush_denormal(True)
    return Worker(load_engine(settings, unpack_data(data)), send)


class Worker:
    """Passes the driver's messages to an engine, and the engine's back by `send`."""

    def __init__(self, engine: Engine, send: Callable[[bytes], None]) -> None:
        self._engine = engine
        self._send = send
        self._leases: dict[int, int] = {}
        self._say([engine.ready()])

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to train before the driver's next message."""
        return self._engine.is_idle

    def advance(self) -> None:
        """Train briefly."""
        self._say(self._engine.advance(_SLICE_SECONDS))

    def receive(self, data: bytes) -> None:
        """Act on a message of the driver."""
        message, _ = unpack(data)
        match message:
            case Train(assignments):
                self._leases |= {a.config.number: a.lease for a in assignments}
                checkpoints = {a.config.number: a.checkpoint for a in assignments if a.checkpoint}
                self._say(self._engine.add([a.config for a in assignments], checkpoints))
            case Decide(trials, decisions):
                self._say(self._engine.decide(trials, decisions))
            case Save():
                self._say(self._engine.save())
                self._say([Saved()])
            case other:
                raise TypeError(f"expected a message of a driver, received {type(other).__name__}")

    def _say(self, messages: Iterable[Message]) -> None:
        for message in messages:
            leases = {trial: self._leases[trial] for trial in trials_of(message)}
            self._send(pack(message, leases))
