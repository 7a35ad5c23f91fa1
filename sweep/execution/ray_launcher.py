"""Workers on a Ray cluster, through a process of our own that speaks to it.

One actor holds each slot. A node that leaves takes its slots along; one that joins brings some.
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from multiprocessing import Pipe
from queue import SimpleQueue
from typing import Any

from sweep.codec import decode, encode
from sweep.errors import InputError, SweepFailedError
from sweep.execution.forking import last_words, start_interpreter
from sweep.execution.launcher import Ended, Leaving, next_message
from sweep.execution.ray_host import pack_frame, unpack_frame
from sweep.records import Calibration, CalibrationRequest, Slot, TrainingSettings

__all__ = ["RayLauncher", "RayLink"]

_log = logging.getLogger(__name__)

_OPEN_SECONDS = 90.0  # Ray is loaded and joined
_FIRST_SECONDS = 60.0  # until an actor answers
_OTHERS_SECONDS = 10.0  # for the others, once one has
_CALIBRATE_SECONDS = 150.0
_CLOSE_SECONDS = 2.0  # of the five that an interrupted command has to end


class RayLink:
    """A worker of the cluster (see `sweep.execution.launcher.Link`)."""

    def __init__(self, number: int, slot: str, say: Callable[..., None]) -> None:
        self.number = number
        self.slot = slot
        self.is_open = True
        self._say = say

    def send(self, data: bytes) -> None:
        """Send a message without waiting until it is read."""
        self._say("send", self.slot, self.number, body=data)

    def kill(self) -> None:
        """Kill it at once."""
        if self.is_open:
            self.is_open = False
            self._say("kill", self.slot, self.number)


class RayLauncher:
    """Starts workers on a Ray cluster (see `sweep.execution.launcher.Launcher`).

    Args:
        study: Its name is in the names of the actors.
        address: `HOST:PORT` of a cluster that this machine belongs to; None for `$RAY_ADDRESS`, or
            the one that runs here.
        resources: What each worker takes, by Ray's names.
        device: `auto`, `cpu` or `cuda`.
        most: Workers, or None for as many as there is room for.

    Raises:
        InputError: there is no such cluster, or it has not what is asked for.
    """

    is_elastic = True

    def __init__(
        self,
        study: str,
        address: str | None = None,
        resources: Mapping[str, float] | None = None,
        *,
        device: str = "auto",
        most: int | None = None,
    ) -> None:
        if find_spec("ray") is None:
            raise InputError("executor ray needs Ray: pip install 'sweep[ray]'")
        self._address = address or os.environ.get("RAY_ADDRESS") or "auto"
        self._inbox: SimpleQueue[tuple[RayLink, bytes | Ended | Leaving]] = SimpleQueue()
        self._letters: SimpleQueue[bytes | None] = SimpleQueue()
        self._links: dict[str, RayLink] = {}  # by slot, the newest
        self._num_links = 0
        self._slots: dict[str, Slot] = {}
        self._unfit: list[str] = []
        self._num_expected: int | None = None
        self._refused = ""
        self._failed = ""
        self._calibrated: bytes | None = None
        self._is_gone = False
        self._has_waited = False
        self._changed = threading.Condition()
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        self._connection, theirs = Pipe()
        with theirs:
            call = f"from sweep.execution.ray_gateway import main\nmain({theirs.fileno()})"
            self._process = start_interpreter(call, theirs.fileno(), self._output)
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._listen, self._write)
        ]
        for thread in self._threads:
            thread.start()
        wanted = {
            "address": self._address,
            "resources": None if resources is None else dict(resources),
            "device": device,
            "study": study,
            "most": most,
        }
        self._say("open", wanted)
        try:
            self._wait_until_open()
        except BaseException:
            self.close()
            raise

    def slots(self, count: int | None = None) -> list[Slot]:
        """Where actors are; the first call waits for them."""
        if not self._has_waited:
            self._wait_for_slots()
        with self._changed:
            if self._is_gone:
                raise SweepFailedError(self._words_of_the_end())
            return list(self._slots.values())[:count]

    def calibrate(self, request: CalibrationRequest, *, measure: bool) -> Calibration | None:
        """What is known of the node of the first slot, or is measured there."""
        slots = self.slots()
        if not slots:
            return None
        self._calibrated = None
        self._say("calibrate", slots[0].name, measure, body=encode(request))
        with self._changed:
            self._changed.wait_for(
                lambda: self._calibrated is not None or self._is_gone, _CALIBRATE_SECONDS
            )
        return decode(Calibration, self._calibrated) if self._calibrated else None

    def share(self, key: str, data: bytes) -> None:
        """Put the data into the cluster's object store, from which each node gets them once."""
        self._say("share", key, body=data)

    def start(self, slot: Slot, settings: TrainingSettings) -> RayLink:
        """Have the slot's actor start a worker."""
        self._num_links += 1
        link = RayLink(self._num_links, slot.name, self._say)
        with self._changed:
            self._links[slot.name] = link
            if slot.name not in self._slots:  # it has left meanwhile
                self._inbox.put((link, Ended("its node is gone", False, is_innocent=True)))
        self._say("start", slot.name, link.number, body=encode(settings))
        return link

    def receive(self, timeout: float) -> tuple[RayLink, bytes | Ended | Leaving] | None:
        """The next message of a worker that has not been killed."""
        return next_message(self._inbox, timeout)

    def close(self) -> None:
        """Leave the cluster, which ends the actors and all their workers."""
        for link in self._links.values():
            link.is_open = False
        self._letters.put(b"")  # the end
        self._letters.put(None)
        try:
            self._process.wait(_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join(_CLOSE_SECONDS)
        self._connection.close()
        self._output.close()

    # ------------------------------------------------------------ the gateway

    def _say(self, *head: Any, body: bytes = b"") -> None:
        self._letters.put(pack_frame(*head, body=body))

    def _write(self) -> None:
        with contextlib.suppress(OSError):
            while (frame := self._letters.get()) is not None:
                self._connection.send_bytes(frame)

    def _listen(self) -> None:
        """Receive what the gateway says until it is gone."""
        try:
            while True:
                (verb, *rest), body = unpack_frame(self._connection.recv_bytes())
                with self._changed:
                    self._hear(verb, rest, body)
                    self._changed.notify_all()
        except (EOFError, OSError):
            pass
        finally:
            with self._changed:
                self._is_gone = True
                self._changed.notify_all()

    def _hear(self, verb: str, rest: list[Any], body: bytes) -> None:
        match verb, rest:
            case "said", [slot, number]:
                self._pass_on(slot, number, body)
            case "ended", [slot, number]:
                self._pass_on(slot, number, decode(Ended, body))
            case "joined", [name, *about]:
                self._slots[name] = Slot(name, *about)
            case "left", [name, reason]:
                self._slots.pop(name, None)
                if name in self._links:
                    ended = Ended(reason, by_itself=False, is_innocent=True)
                    self._inbox.put((self._links.pop(name), ended))
            case "leaving", [name]:
                self._slots.pop(name, None)
                if name in self._links:
                    self._inbox.put((self._links[name], Leaving()))
            case "unfit", [reason]:
                self._unfit.append(reason)
                _log.warning("%s", reason)
            case "opened", [expected, warning]:
                self._num_expected = expected
                if warning:
                    _log.warning("%s", warning)
            case "refused", [reason]:
                self._refused = reason
            case "failed", [reason]:
                self._failed = reason
            case "calibrated", []:
                self._calibrated = body

    def _pass_on(self, slot: str, number: int, message: bytes | Ended) -> None:
        link = self._links.get(slot)
        if link is not None and link.number == number:
            self._inbox.put((link, message))

    def _wait_until_open(self) -> None:
        with self._changed:
            self._changed.wait_for(
                lambda: self._num_expected is not None or self._refused or self._is_gone,
                _OPEN_SECONDS,
            )
            if self._num_expected is None:
                words = last_words(self._output).splitlines()
                silence = words[-1] if words else f"no answer within {_OPEN_SECONDS:.0f} s"
                raise InputError(self._refused or f"no Ray cluster can be used: {silence}")

    def _wait_for_slots(self) -> None:
        """Wait for the first actor, then a moment for the others."""
        self._has_waited = True

        def all_answered() -> bool:
            answered = len(self._slots) + len(self._unfit)
            return self._is_gone or answered >= (self._num_expected or 0)

        with self._changed:
            self._changed.wait_for(lambda: bool(self._slots) or all_answered(), _FIRST_SECONDS)
            self._changed.wait_for(all_answered, _OTHERS_SECONDS)
            if not self._slots:
                raise InputError(
                    self._unfit[0]
                    if self._unfit
                    else f"no worker of the Ray cluster answered within {_FIRST_SECONDS:.0f} s: "
                    "all that it has may be in use (`ray status` tells)"
                )

    def _words_of_the_end(self) -> str:
        words = last_words(self._output)
        reason = self._failed or (words.splitlines() or ["it ended without a word"])[-1]
        if "GCS" in words:  # Ray's own last words are long, and name files on another machine
            reason = "its head node does not answer any more"
        return f"the Ray cluster at {self._address} is out of reach: {reason}"
