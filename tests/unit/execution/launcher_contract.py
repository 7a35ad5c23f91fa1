"""What every launcher promises: subclass it and give it a `launcher` fixture."""

from __future__ import annotations

import time
from functools import cache
from weakref import WeakKeyDictionary

from helpers import DIGITS, make_config, make_settings

from sweep.data import load_training_data, pack_data
from sweep.execution import Ended, Launcher, Link
from sweep.execution.wire import pack, unpack
from sweep.records import (
    Assignment,
    Checkpoint,
    Decide,
    Decision,
    Epoch,
    Message,
    Save,
    Saved,
    Train,
    TrialOutcome,
    TrialState,
    WorkerReady,
)

NUM_SLOTS = 4  # that a launcher must have
PATIENCE = 600  # only so that a test that failed ends


def told(launcher: Launcher, link: Link | None = None) -> tuple[Link, Message, dict[int, int]]:
    """The next message of this worker, or of any."""
    speaker, data = next_of(launcher, link)
    assert isinstance(data, bytes), data
    return speaker, *unpack(data)


def next_of(launcher: Launcher, link: Link | None = None) -> tuple[Link, bytes | Ended]:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        received = launcher.receive(1)
        if received is not None and link in (None, received[0]):
            return received
    raise AssertionError("nothing was said")


@cache
def digits() -> bytes:
    return pack_data(load_training_data(DIGITS))


def with_digits(launcher):
    """A launcher that has shared its data."""
    launcher.share("digits", digits())
    return launcher


_NUM_STARTED: WeakKeyDictionary[Launcher, int] = WeakKeyDictionary()


def start(launcher: Launcher, **changes) -> Link:
    """Start a worker in a slot that this test has not used yet."""
    number = _NUM_STARTED.get(launcher, 0)
    _NUM_STARTED[launcher] = number + 1
    return launcher.start(launcher.slots(NUM_SLOTS)[number], make_settings(**changes))


def ready(launcher: Launcher, **changes) -> Link:
    link = start(launcher, **changes)
    speaker, message, leases = told(launcher)
    assert speaker is link
    assert isinstance(message, WorkerReady)
    assert leases == {}
    return link


def train(link: Link, number: int, lease: int, **changes) -> None:
    link.send(pack(Train((Assignment(lease, make_config(number=number, **changes)),))))


class LauncherContract:
    def test_nothing_is_said_without_a_worker(self, launcher: Launcher) -> None:
        assert launcher.receive(0) is None
        assert launcher.receive(0.01) is None

    def test_a_worker_says_what_it_loaded(self, launcher: Launcher) -> None:
        start(launcher, num_threads=1)
        _, message, _ = told(launcher)
        assert isinstance(message, WorkerReady)
        assert len(message.data_fingerprint) == 64
        assert message.hardware.startswith("cpu (")
        assert message.hardware.endswith("1 thread)")
        assert message.memory_bytes is None or message.memory_bytes > 0

    def test_a_trial_is_trained_under_its_lease(self, launcher: Launcher) -> None:
        link = ready(launcher)
        train(link, 3, lease=17, epochs=2)
        for epoch in (1, 2):
            _, message, leases = told(launcher)
            assert isinstance(message, Epoch)
            (metrics,) = message.metrics
            assert (metrics.trial, metrics.epoch, leases) == (3, epoch, {3: 17})
            link.send(pack(Decide((3,), (Decision.CONTINUE,))))
        _, message, leases = told(launcher)
        assert isinstance(message, TrialOutcome)
        assert (message.state, leases) == (TrialState.COMPLETE, {3: 17})

    def test_messages_come_whole_and_in_order(self, launcher: Launcher) -> None:
        """A checkpoint of ten megabytes between two small ones."""
        link = ready(launcher)
        train(link, 1, lease=1, epochs=100_000, layer_size=1024, num_layers=2)
        told(launcher)
        link.send(pack(Save()))
        link.send(pack(Save()))
        seen: list[Message] = []
        while sum(isinstance(message, Saved) for message in seen) < 2:
            seen.append(told(launcher)[1])
        kinds = [type(message) for message in seen if not isinstance(message, Epoch)]
        assert kinds == [Checkpoint, Saved, Checkpoint, Saved]
        sizes = [len(message.state) for message in seen if isinstance(message, Checkpoint)]
        assert all(size > 1_000_000 for size in sizes)

    def test_a_checkpoint_goes_on_in_another_worker(self, launcher: Launcher) -> None:
        first = ready(launcher)
        train(first, 1, lease=1, epochs=100_000)
        told(launcher)
        first.send(pack(Save()))
        message: Message = Save()
        while not isinstance(message, Checkpoint):
            _, message, _ = told(launcher, first)
        second = ready_beside(launcher)
        config = make_config(number=1, epochs=100_000)
        second.send(pack(Train((Assignment(2, config, message),))))
        _, resumed, leases = told(launcher, second)
        assert len(resumed.history) == message.epoch  # type: ignore[union-attr]
        assert leases == {1: 2}

    def test_two_workers_train_side_by_side(self, launcher: Launcher) -> None:
        links = [start(launcher) for _ in range(2)]
        said: dict[int, list[Message]] = {0: [], 1: []}
        while not all(said.values()):
            speaker, message, _ = told(launcher)
            said[links.index(speaker)].append(message)
        for number, link in enumerate(links):
            train(link, number, lease=number, epochs=1)
        trained: dict[int, int] = {}
        while len(trained) < 2:
            speaker, message, _ = told(launcher)
            if isinstance(message, Epoch):
                trained[links.index(speaker)] = message.metrics[0].trial
        assert trained == {0: 0, 1: 1}

    def test_of_a_killed_worker_nothing_is_received(self, launcher: Launcher) -> None:
        link, other = ready(launcher), ready(launcher)
        train(link, 1, lease=1, epochs=100_000)
        assert next_of(launcher)[0] is link
        link.kill()
        assert launcher.receive(0.2) is None
        link.send(pack(Save()))
        link.kill()
        train(other, 2, lease=2, epochs=1)
        assert next_of(launcher)[0] is other

    def test_a_worker_that_cannot_read_its_data_says_why(self, launcher: Launcher) -> None:
        launcher.share("damaged", digits()[:1000])
        link = start(launcher)
        speaker, ended = next_of(launcher)
        assert speaker is link
        assert isinstance(ended, Ended)
        assert (ended.reason, ended.by_itself) == ("exit code 1", True)
        assert "not packed training data" in ended.last_words.splitlines()[-1]
        link.kill()
        with_digits(launcher)
        ready(launcher)

    def test_what_a_worker_does_not_understand_is_its_end(self, launcher: Launcher) -> None:
        link = ready(launcher)
        link.send(pack(Saved()))
        _, ended = next_of(launcher)
        assert isinstance(ended, Ended)
        assert ended.by_itself
        assert "expected a message of a driver, received Saved" in ended.last_words
        assert launcher.receive(0.1) is None, "that was the last"

    def test_it_can_be_closed_twice_whatever_its_workers_do(self, launcher: Launcher) -> None:
        link = ready(launcher)
        train(link, 1, lease=1, epochs=100_000)
        start(launcher)
        launcher.close()
        launcher.close()
        assert launcher.receive(0.1) is None


def ready_beside(launcher: Launcher) -> Link:
    """Another worker, beside one that may be talking."""
    link = start(launcher)
    while not isinstance(told(launcher, link)[1], WorkerReady):
        pass
    return link
