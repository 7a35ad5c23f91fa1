"""The actor on a node of a Ray cluster: it starts workers there and passes their bytes on.

Its workers are processes like those of one machine, so that they train alike, and one that crashes
takes down no actor. All that Ray has to pickle is bytes, numbers and text.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Sequence
from typing import Any

from sweep.codec import decode, encode
from sweep.execution.launcher import Ended
from sweep.execution.processes import ProcessLauncher, ProcessLink
from sweep.provenance import package_versions
from sweep.records import CalibrationRequest, Slot, TrainingSettings

__all__ = ["Host", "pack_frame", "unpack_frame"]

_LOOK_SECONDS = 1.0
_MOST_BYTES = 2**26  # of one answer, so that a node's checkpoints do not all wait for the last one


def pack_frame(*head: Any, body: bytes = b"") -> bytes:
    """What a message is about, values that JSON can tell, and its bytes."""
    return json.dumps(head).encode() + b"\n" + body


def unpack_frame(frame: bytes) -> tuple[list[Any], bytes]:
    """What `pack_frame` was given."""
    head, _, body = frame.partition(b"\n")
    return json.loads(head), body


class Host:
    """A place for one worker at a time. Messages of its driver come in order, one call a time."""

    def __init__(self, device: str) -> None:
        # Ray's own check fails at times where a whole node stood still for a while.
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
        self._launcher = ProcessLauncher(device)
        self._links: dict[int, ProcessLink] = {}  # by the driver's numbers

    async def hello(self) -> bytes:
        """The node, and the versions of what matters there."""
        import ray  # its own process has it

        node = ray.get_runtime_context().get_node_id()
        return json.dumps({"node": node, "versions": package_versions()}).encode()

    async def load(self, key: str, data: bytes) -> None:
        """Take the training data."""
        self._launcher.share(key, data)

    async def calibrate(self, request: bytes, measure: bool) -> bytes:
        """What is known of this node, or is measured; empty if nothing is."""
        wanted = decode(CalibrationRequest, request)
        found = await asyncio.to_thread(self._launcher.calibrate, wanted, measure=measure)
        return b"" if found is None else encode(found)

    async def give(self, frames: Sequence[bytes]) -> None:
        """Start, tell and kill workers."""
        for frame in frames:
            (verb, number), body = unpack_frame(frame)
            if verb == "start":
                settings = decode(TrainingSettings, body)
                slot = Slot("", settings.device, settings.num_threads)
                self._links[number] = self._launcher.start(slot, settings)
            elif verb == "send":
                self._links[number].send(body)
            else:
                await asyncio.to_thread(self._links.pop(number).kill)

    async def take(self, seconds: float) -> list[bytes]:
        """What workers said, after waiting for it for up to `seconds`."""
        frames: list[bytes] = []
        num_bytes = 0
        received = await asyncio.to_thread(self._launcher.receive, seconds)
        while received is not None:
            link, said = received
            number = next((n for n, each in self._links.items() if each is link), None)
            if number is not None:
                frames.append(_frame(number, said))
                num_bytes += len(frames[-1])
            received = self._launcher.receive(0) if num_bytes < _MOST_BYTES else None
        return frames


def _end_with(raylet: int) -> None:
    """End this process, and so its workers, when its node has ended."""
    while os.getppid() == raylet:
        time.sleep(_LOOK_SECONDS)
    os._exit(1)


def _frame(number: int, said: bytes | Ended) -> bytes:
    if isinstance(said, bytes):
        return pack_frame("said", number, body=said)
    return pack_frame("ended", number, body=encode(said))
