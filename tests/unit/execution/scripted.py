"""A launcher whose workers say what the test has them say, and remember what they were told."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from helpers import make_metrics

from sweep.execution import Ended, Launcher, Leaving, Link
from sweep.execution.wire import pack, unpack
from sweep.records import (
    Decide,
    Epoch,
    Message,
    Save,
    Slot,
    Train,
    TrainingSettings,
    TrialOutcome,
    TrialState,
    WorkerReady,
    trials_of,
)


class ScriptedLink:
    """A worker without a mind of its own."""

    def __init__(self, launcher: ScriptedLauncher, settings: TrainingSettings) -> None:
        self.settings = settings
        self.told: list[Message] = []
        self.leases: dict[int, int] = {}
        self.is_killed = False
        self._launcher = launcher

    def send(self, data: bytes) -> None:
        message, _ = unpack(data)
        self.told.append(message)
        if isinstance(message, Train):
            self.leases |= {a.config.number: a.lease for a in message.assignments}

    def kill(self) -> None:
        self.is_killed = True

    @property
    def stacks(self) -> list[list[int]]:
        """The trials of each stack that it was to train."""
        return [
            [a.config.number for a in message.assignments]
            for message in self.told
            if isinstance(message, Train)
        ]

    @property
    def decided(self) -> list[tuple[int, ...]]:
        return [message.trials for message in self.told if isinstance(message, Decide)]

    @property
    def num_saves(self) -> int:
        return sum(isinstance(message, Save) for message in self.told)

    def say(self, message: Message, leases: dict[int, int] | None = None) -> None:
        """Say this, under the leases that it was given unless others are named."""
        known = {trial: self.leases.get(trial, 0) for trial in trials_of(message)}
        self._launcher.inbox.append((self, pack(message, known if leases is None else leases)))

    def be_ready(self, memory_bytes: int | None = None) -> None:
        self.say(WorkerReady("f" * 64, "cpu (a processor)", memory_bytes))

    def say_epoch(self, *trials: int, epoch: int = 1) -> None:
        self.say(Epoch(tuple(make_metrics(trial, epoch) for trial in trials)))

    def finish(self, trial: int) -> None:
        self.say(TrialOutcome(trial, TrialState.COMPLETE))

    def leave(self) -> None:
        self._launcher.inbox.append((self, Leaving()))

    def end(
        self,
        reason: str = "signal 9",
        *,
        by_itself: bool = False,
        words: str = "",
        is_innocent: bool = False,
    ) -> None:
        ended = Ended(reason, by_itself=by_itself, last_words=words, is_innocent=is_innocent)
        self._launcher.inbox.append((self, ended))


class ScriptedLauncher:
    """Starts workers that say nothing by themselves.

    `places`, slots that a test may change, make it elastic.
    """

    def __init__(self, places: list[Slot] | None = None) -> None:
        self.is_elastic = places is not None
        self.places = places
        self.links: list[ScriptedLink] = []
        self.inbox: deque[tuple[ScriptedLink, bytes | Ended | Leaving]] = deque()
        self.is_closed = False

    def slots(self, count: int | None = None) -> list[Slot]:
        if self.places is not None:
            return self.places[:count]
        return [Slot(str(index), "cpu", 1) for index in range(count or 1)]

    def calibrate(self, _request: object, *, measure: bool) -> None:
        del measure

    def share(self, key: str, data: bytes) -> None:
        pass

    def start(self, slot: Slot, settings: TrainingSettings) -> ScriptedLink:
        del slot
        self.links.append(ScriptedLink(self, settings))
        return self.links[-1]

    def receive(self, _timeout: float) -> tuple[ScriptedLink, bytes | Ended | Leaving] | None:
        return self.inbox.popleft() if self.inbox else None

    def close(self) -> None:
        self.is_closed = True


class Meddling:
    """Another launcher, with something done to what is received.

    Args:
        launcher: The other one.
        meddle: Is given each message; what it returns is received in place of it, in this order.
    """

    def __init__(
        self,
        launcher: Launcher,
        meddle: Callable[[Link, bytes | Ended], list[tuple[Link, bytes | Ended]]],
    ) -> None:
        self._launcher = launcher
        self._meddle = meddle
        self._waiting: deque[tuple[Link, bytes | Ended]] = deque()

    def __getattr__(self, name: str):
        return getattr(self._launcher, name)

    def receive(self, timeout: float) -> tuple[Link, bytes | Ended] | None:
        if not self._waiting:
            received = self._launcher.receive(timeout)
            if received is None:
                return None
            self._waiting.extend(self._meddle(*received))
        return self._waiting.popleft() if self._waiting else None
