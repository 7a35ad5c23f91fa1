"""Policy, with workers that say what the test has them say: who trains what, with whom, again."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import pytest
from driving import assert_same, several, train
from helpers import make_config, make_metrics, make_settings
from pooling import drive, inline
from scripted import Meddling, ScriptedLauncher, ScriptedLink

from sweep.data import TrainingData
from sweep.errors import SweepFailedError
from sweep.execution import Ended, Link, Pool
from sweep.execution.capacity import Capacity
from sweep.execution.wire import unpack
from sweep.records import (
    Checkpoint,
    CheckpointRefused,
    Decision,
    Epoch,
    Failure,
    FailureKind,
    Lost,
    Message,
    Notice,
    OutOfMemory,
    Paused,
    Resumed,
    Saved,
    Slot,
    TrialOutcome,
    TrialState,
    WorkerReady,
    WorkersChanged,
)

KILLED = Failure(FailureKind.KILLED, "its worker process ended with signal 9")
LANE = Capacity.of(make_settings()).lane_bytes(make_config())


class Clock:
    """Time that passes when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = time.monotonic()
        for module in ("pool", "workload"):
            monkeypatch.setattr(f"sweep.execution.{module}.time.monotonic", lambda: self.now)


@pytest.fixture
def real_turns(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock with which a turn of the driver counts no more than it does in use."""
    return Clock(monkeypatch)


@pytest.fixture
def clock(real_turns: Clock, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock with which the driver listens all the time, however far it jumps."""
    monkeypatch.setattr("sweep.execution.workload._LONGEST_TURN_SECONDS", math.inf)
    return real_turns


class Workers:
    """A pool over scripted workers, all of them ready."""

    def __init__(self, count: int = 1, lanes: int = 4, *, ready: bool = True, **options) -> None:
        self.launcher = ScriptedLauncher()
        settings = make_settings(engine="stacked", lanes=lanes)
        self.pool = Pool(self.launcher, settings, count, **options)
        self.pool.start()
        if ready:
            for link in self.launcher.links:
                link.be_ready()
            self.pool.messages(0)

    def __getitem__(self, index: int) -> ScriptedLink:
        return self.launcher.links[index]

    def submit(self, *numbers: int, **changes) -> None:
        for number in numbers:
            self.pool.submit(make_config(number=number, **changes))

    def resubmit(self, number: int, *failures: Failure, checkpoint=lambda: None) -> None:
        self.pool.resubmit(make_config(number=number), checkpoint, failures)


# ------------------------------------------------------------ places


def test_a_worker_starts_its_trials_together_when_it_is_full():
    workers = Workers(lanes=3)
    workers.submit(0, 1)
    assert (workers[0].stacks, workers.pool.has_room) == ([], True)
    workers.submit(2)
    assert (workers[0].stacks, workers.pool.has_room) == ([[0, 1, 2]], False)
    assert workers.pool.running == [0, 1, 2]


def test_or_when_there_is_nothing_more_to_come():
    workers = Workers(lanes=3)
    workers.submit(0, 1)
    workers.pool.flush()
    workers.pool.flush()
    assert workers[0].stacks == [[0, 1]]


def test_trials_wait_for_a_worker_that_is_not_there_yet():
    workers = Workers(lanes=2, ready=False)
    workers.submit(0, 1)
    workers.pool.flush()
    assert workers[0].stacks == []
    workers[0].be_ready()
    (ready,) = workers.pool.messages(0)
    assert isinstance(ready, WorkerReady)
    assert workers[0].stacks == [[0, 1]]


def test_a_trial_goes_to_the_worker_that_has_most_room():
    workers = Workers(2)
    workers.submit(0, 1, 2)
    workers.pool.flush()
    assert [link.stacks for link in workers.launcher.links] == [[[0, 2]], [[1]]]


def test_a_worker_is_filled_once_it_is_half_empty():
    workers = Workers(lanes=4)
    workers.submit(0, 1, 2, 3)
    room = []
    for trial in range(4):
        workers[0].finish(trial)
        (outcome,) = workers.pool.messages(0)
        assert (outcome.trial, outcome.worker) == (trial, 0)
        room.append(workers.pool.has_room)
    assert room == [False, True, True, True]
    assert workers.pool.running == []


def test_trials_of_one_batch_size_are_trained_together():
    workers = Workers()
    workers.submit(0, 2, batch_size=32)
    workers.submit(1, 3, batch_size=64)
    assert workers[0].stacks == [[0, 2], [1, 3]]


def test_trials_go_on_together_from_the_same_step_only():
    """With those that start, if a checkpoint is from the very start."""
    workers = Workers(lanes=5)
    places = {0: (0, 0), 1: (2, 3), 2: (2, 4), 3: (2, 3), 4: None}
    for number, place in places.items():
        checkpoint = Checkpoint(number, *place, b"state") if place else None
        workers.resubmit(number, checkpoint=lambda found=checkpoint: found)
    assert workers[0].stacks == [[0, 4], [1, 3], [2]]
    sent = [a.checkpoint for message in workers[0].told for a in message.assignments]
    assert [c and (c.trial, c.epoch, c.step) for c in sent] == [
        (0, 0, 0), None, (1, 2, 3), (3, 2, 3), (2, 2, 4),
    ]  # fmt: skip


def test_a_checkpoint_is_read_when_its_trial_gets_a_place():
    workers = Workers(lanes=1)
    asked: list[int] = []
    for number in range(2):
        workers.resubmit(number, checkpoint=lambda number=number: asked.append(number))
    assert (asked, workers.pool.running) == ([0], [0, 1])
    workers[0].finish(0)
    workers.pool.messages(0)
    assert asked == [0, 1]


def test_trials_that_were_begun_come_before_new_ones():
    workers = Workers(lanes=2)
    for number in range(3):
        workers.resubmit(number)
    assert workers[0].stacks == [[0, 1]]
    workers[0].finish(0)
    workers[0].finish(1)
    workers.pool.messages(0)
    assert workers.pool.has_room
    workers.submit(3)
    assert workers[0].stacks == [[0, 1], [2, 3]]


def test_while_one_of_them_waits_there_is_no_room_for_new_ones():
    workers = Workers(lanes=2)
    workers.submit(0)
    workers.resubmit(7, KILLED)
    assert not workers.pool.has_room
    assert workers.pool.running == [0, 7]


def test_a_trial_that_may_have_ended_a_worker_gets_one_to_itself():
    workers = Workers(2)
    workers.submit(0, 1)
    workers.resubmit(7, KILLED)
    workers.pool.flush()
    assert [link.stacks for link in workers.launcher.links] == [[[0]], [[1]]]
    workers[1].finish(1)
    workers.pool.messages(0)
    workers.pool.flush()
    assert workers[1].stacks == [[1], [7]]
    assert workers.pool.has_room, "in the other one"
    workers.submit(8, 9)
    workers.pool.flush()
    assert workers[0].stacks == [[0], [8, 9]]
    workers[1].finish(7)
    workers.pool.messages(0)
    workers.submit(10)
    workers.pool.flush()
    assert workers[1].stacks == [[1], [7], [10]]


def test_while_a_trial_is_alone_the_next_such_trial_keeps_no_other_waiting():
    workers = Workers(2)
    workers.resubmit(6, KILLED)
    workers.submit(0)
    workers.resubmit(7, KILLED)
    assert workers.pool.has_room, "trial 7 gets the worker of trial 6"


# ------------------------------------------------------------ answers


def test_an_answer_goes_to_the_worker_that_asked():
    workers = Workers(2)
    workers.submit(0, 1)
    workers.pool.flush()
    workers[1].say_epoch(1)
    (epoch,) = workers.pool.messages(0)
    workers.pool.decide(epoch.metrics, [Decision.PRUNE])
    assert [link.decided for link in workers.launcher.links] == [[], [(1,)]]


def test_an_epoch_is_answered_though_one_of_its_trials_has_ended():
    workers = Workers()
    workers.submit(0, 1)
    workers.pool.flush()
    metrics = (make_metrics(0, 1), make_metrics(1, 1))
    workers[0].finish(0)
    workers.pool.messages(0)
    workers.pool.decide(metrics, [Decision.CONTINUE] * 2)
    assert workers[0].decided == [(0, 1)]
    workers[0].finish(1)
    workers.pool.messages(0)
    workers.pool.decide(metrics, [Decision.CONTINUE] * 2)
    assert workers[0].decided == [(0, 1)], "there is nobody to be told"


def test_a_checkpoint_that_is_refused_makes_its_trial_start_again():
    workers = Workers()
    workers.resubmit(3, checkpoint=lambda: Checkpoint(3, 2, 5, b"state"))
    workers.pool.flush()
    workers[0].say(CheckpointRefused(3, "it was made with another precision"))
    assert workers.pool.messages(0) == [
        Notice(
            "trial 3 starts again, its checkpoint cannot be used: "
            "it was made with another precision"
        )
    ]
    first, second = (message.assignments[0] for message in workers[0].told)
    assert (first.checkpoint.epoch, second.checkpoint) == (2, None)
    assert second.lease > first.lease
    assert workers.pool.running == [3]


# ------------------------------------------------------------ paused trials


def paused(trial: int) -> Paused:
    return Paused(TrialOutcome(trial, TrialState.PRUNED, (make_metrics(trial, 1),)))


def test_a_paused_trial_gives_its_place_to_others():
    workers = Workers(lanes=2)
    workers.submit(0, 1)
    for trial in (0, 1):
        workers[0].say(paused(trial))
        (message,) = workers.pool.messages(0)
        assert (message.outcome.trial, message.outcome.worker) == (trial, 0)
    assert workers.pool.running == []
    workers.submit(2, 3)
    assert workers[0].stacks == [[0, 1], [2, 3]]


def test_a_worker_that_dies_does_not_lose_a_trial_that_was_paused():
    workers = Workers(lanes=2)
    workers.submit(0, 1)
    workers[0].say(paused(0))
    workers[0].end()
    _, lost = workers.pool.messages(0)
    assert lost.trial == 1


def test_promoted_trials_start_together_from_their_rung():
    workers = Workers(lanes=3)
    for number in (4, 2):
        known = Checkpoint(number, 3, 0, b"state")
        workers.resubmit(number, checkpoint=lambda known=known: known)
    assert workers[0].stacks == [], "more may come"
    workers.pool.flush()
    assert workers[0].stacks == [[2, 4]]


def test_the_time_limit_counts_from_the_promotion(clock):
    workers = Workers(time_limit=10.0)
    workers.submit(0)
    workers.pool.flush()
    clock.now += 8
    workers[0].say(paused(0))
    workers.pool.messages(0)
    clock.now += 100
    workers.resubmit(0)
    workers.pool.flush()
    clock.now += 9
    assert workers.pool.messages(0) == []
    clock.now += 2
    (lost,) = workers.pool.messages(0)
    assert lost.failure.kind is FailureKind.TIME_LIMIT


# ------------------------------------------------------------ leases

SAID = [
    Epoch((make_metrics(0, 1),)),
    paused(0),
    Resumed(0, (make_metrics(0, 1),)),
    Checkpoint(0, 1, 0, b"state"),
    CheckpointRefused(0, "no"),
    OutOfMemory((0,), 2),
    TrialOutcome(0, TrialState.COMPLETE),
]


@pytest.mark.parametrize("message", SAID, ids=lambda message: type(message).__name__)
def test_what_is_said_under_an_older_lease_is_dropped(message):
    workers = Workers(lanes=2)
    workers.submit(0, 1)
    old = dict(workers[0].leases)
    workers[0].end()
    workers.pool.messages(0)
    successor = workers[1]
    successor.be_ready()
    for number in range(2):
        workers.resubmit(number)
    workers.pool.messages(0)
    assert successor.leases.keys() == old.keys()
    assert all(successor.leases[trial] > lease for trial, lease in old.items())

    told = len(successor.told)
    successor.say(message, old)
    workers[0].say(message, old)  # by a worker that was given up
    assert workers.pool.messages(0) == []
    assert workers.pool.running == [0, 1]
    assert len(successor.told) == told
    successor.say(message)
    assert workers.pool.messages(0) != [], "under the present lease it is heard"


def test_of_an_epoch_what_is_said_under_an_older_lease_is_dropped():
    workers = Workers(lanes=2)
    workers.submit(0, 1)
    leases = workers[0].leases
    workers[0].say(Epoch((make_metrics(0, 1), make_metrics(1, 1))), {**leases, 0: leases[0] - 5})
    assert workers.pool.messages(0) == [Epoch((make_metrics(1, 1),))]


def test_nothing_is_heard_of_a_trial_that_has_ended_or_not_started():
    workers = Workers(lanes=3)
    workers.submit(0, 1)
    workers.pool.flush()
    lease = workers[0].leases[0]
    workers[0].finish(0)
    workers.pool.messages(0)
    workers.submit(2)
    workers[0].say(TrialOutcome(0, TrialState.COMPLETE), {0: lease})
    workers[0].say(TrialOutcome(2, TrialState.COMPLETE), {2: lease + 2})
    assert workers.pool.messages(0) == []
    assert workers.pool.running == [1, 2]


def test_a_launcher_that_replays_old_messages_changes_nothing(small: TrainingData):
    """All that the first worker said comes again after its end, from its successor, too."""
    spoken: list[bytes] = []
    is_over = False

    def replay(link: Link, data: bytes | Ended) -> list[tuple[Link, bytes | Ended]]:
        nonlocal is_over
        if is_over:
            return [(link, data), *((link, old) for old in spoken)]
        if isinstance(data, bytes) and not isinstance(unpack(data)[0], WorkerReady):
            spoken.append(data)
        is_over = len(spoken) > 4
        return [(link, Ended("signal 9", by_itself=False))] if is_over else [(link, data)]

    configs = several()
    expected = train(small, *configs, precision="float64")
    found = drive(Meddling(inline(small), replay), *configs)
    assert found.lost, "the test needs a worker that ends"
    for ours, theirs in zip(found.outcomes, expected, strict=True):
        assert_same(ours, theirs)


# ------------------------------------------------------------ workers that end


def lost(messages: list[Message]) -> dict[int, Lost]:
    return {message.trial: message for message in messages if isinstance(message, Lost)}


def test_a_worker_that_ends_is_replaced_and_its_trials_are_given_back():
    workers = Workers(2)
    workers.submit(0, 1, 2)
    workers.pool.flush()
    workers[0].end("signal 11", words="a\nb")
    found = lost(workers.pool.messages(0))
    failure = Failure(FailureKind.KILLED, "its worker process ended with signal 11", "a\nb")
    assert found == {
        trial: Lost(trial, failure, (failure,), is_over=False, worker=0) for trial in (0, 2)
    }
    assert (workers.pool.running, len(workers.launcher.links)) == ([1], 3)
    assert workers[0].is_killed
    workers[2].be_ready()
    workers.submit(3)
    workers.pool.messages(0)
    workers.pool.flush()
    workers[2].finish(3)
    assert workers.pool.messages(0)[0].worker == 0, "the successor has its number"


def test_what_had_not_started_goes_to_the_successor():
    workers = Workers()
    workers.submit(0)
    workers.pool.flush()
    workers.submit(1)
    workers[0].end()
    assert lost(workers.pool.messages(0)).keys() == {0}
    assert workers.pool.running == [1]
    workers[1].be_ready()
    workers.pool.messages(0)
    workers.pool.flush()
    assert workers[1].stacks == [[1]]


@pytest.mark.parametrize("is_early", [True, False])
def test_what_is_trained_together_does_not_depend_on_when_a_worker_is_ready(is_early):
    workers = Workers(ready=False)
    workers.submit(0)
    if is_early:
        workers[0].be_ready()
        workers.pool.messages(0)
    workers.submit(1)
    workers.pool.flush()
    if not is_early:
        workers[0].be_ready()
        workers.pool.messages(0)
    assert workers[0].stacks == [[0, 1]]


# ---------------------------------------------------------------- slots that come and go


def slots(*names: str) -> list[Slot]:
    return [Slot(name, "cpu", 1, node=f"node {name}") for name in names]


class Elastic(Workers):
    """A pool over scripted workers in slots that a test may change."""

    def __init__(self, *names: str, **options) -> None:
        self.launcher = ScriptedLauncher(slots(*names))
        self.pool = Pool(self.launcher, make_settings(engine="stacked", lanes=4), **options)
        self.pool.start()
        for link in self.launcher.links:
            link.be_ready()
        self.pool.messages(0)

    def offer(self, *names: str) -> None:
        self.launcher.places = slots(*names)

    def node_dies(self, index: int, *names: str) -> dict[int, Lost]:
        """A worker's node is gone with its slot; these are left."""
        self.offer(*names)
        self[index].end("its node is gone", is_innocent=True)
        return lost(self.pool.messages(0))


def test_a_slot_that_joins_gets_a_worker_and_takes_what_waits():
    workers = Elastic("a")
    workers.submit(0, 1, 2, 3)
    assert not workers.pool.has_room
    workers.offer("a", "b")
    (told,) = [m for m in workers.pool.messages(0) if isinstance(m, WorkersChanged)]
    assert [slot.name for slot in told.slots] == ["a", "b"]
    assert workers.pool.has_room
    workers[1].be_ready()
    workers.submit(4)
    workers.pool.flush()
    workers.pool.messages(0)
    assert workers[1].stacks == [[4]]
    workers[1].finish(4)
    (outcome,) = [m for m in workers.pool.messages(0) if isinstance(m, TrialOutcome)]
    assert (outcome.worker, outcome.node) == (1, "node b")


def test_what_a_dead_node_trained_goes_on_elsewhere_and_nobody_is_blamed():
    workers = Elastic("a", "b")
    workers.submit(0, 1)
    workers.pool.flush()
    workers.submit(2)  # kept for the first, and not started
    found = workers.node_dies(0, "b")
    assert found.keys() == {0}
    assert found[0].failure is None
    assert (found[0].worker, found[0].node) == (0, "node a")
    assert workers.pool.running == [1, 2]
    workers.resubmit(0)
    workers.pool.flush()
    assert sorted(trial for stack in workers[1].stacks for trial in stack) == [0, 1, 2]
    assert len(workers.launcher.links) == 2, "no worker starts where there is no slot"


def test_a_worker_that_cannot_start_is_named_with_its_node():
    workers = Elastic("a")
    workers.offer("a", "b")
    workers.pool.messages(0)
    workers[1].end("exit code 1", by_itself=True, words="RuntimeError: no driver")
    workers.pool.messages(0)
    with pytest.raises(SweepFailedError, match="a worker on node node b ended with exit code 1"):
        workers.pool.messages(0)


def test_without_any_node_trials_wait_for_one_to_join():
    workers = Elastic("a")
    workers.submit(0)
    workers.pool.flush()
    assert workers.node_dies(0).keys() == {0}
    assert not workers.pool.has_room
    workers.resubmit(0)
    assert workers.pool.running == [0]
    workers.offer("b")
    workers.pool.messages(0)
    workers[1].be_ready()
    workers.pool.messages(0)
    workers.pool.flush()
    assert workers[1].stacks == [[0]]


def test_what_a_node_says_that_returns_after_it_was_given_up_is_dropped():
    """Its links are closed, and so are its leases, whatever the transport lets through."""
    workers = Elastic("a", "b")
    workers.submit(0)
    workers.pool.flush()
    old = workers[0]
    workers.node_dies(0, "b")
    workers.resubmit(0)
    workers.pool.flush()
    old.say_epoch(0, epoch=3)
    old.finish(0)
    workers.offer("a", "b")  # a worker in the same slot, under the same name
    messages = workers.pool.messages(0)
    assert not [m for m in messages if isinstance(m, Epoch | TrialOutcome)]
    workers[2].be_ready()
    workers[2].say(TrialOutcome(0, TrialState.COMPLETE), {0: 1})  # an older lease
    assert not [m for m in workers.pool.messages(0) if isinstance(m, TrialOutcome)]
    assert workers.pool.running == [0]
    workers[1].finish(0)
    assert [m.trial for m in workers.pool.messages(0) if isinstance(m, TrialOutcome)] == [0]


def test_a_worker_whose_node_leaves_saves_first_and_then_hands_over():
    workers = Elastic("a", "b", save_every=None)
    workers.submit(0, 1, 2, 3)
    workers.pool.flush()
    workers[0].finish(0)
    workers.pool.messages(0)
    workers.offer("b")
    workers[0].leave()
    workers.pool.messages(0)
    assert workers[0].num_saves == 1
    workers.submit(4)
    workers.pool.flush()
    assert workers[1].stacks == [[1, 3], [4]], "it is less full, and gets nothing new"
    workers[0].say(Checkpoint(2, 2, 0, b"state"))
    workers[0].say(Saved())
    messages = workers.pool.messages(0)
    kinds = [type(message) for message in messages if isinstance(message, Checkpoint | Lost)]
    assert kinds == [Checkpoint, Lost]
    assert lost(messages)[2].failure is None
    assert workers[0].is_killed


def test_a_wave_under_way_is_not_the_last_word_of_a_worker_that_leaves(clock):
    workers = Elastic("a", save_every=10)
    workers.submit(0)
    workers.pool.flush()
    clock.now += 11
    workers.pool.messages(0)
    assert workers[0].num_saves == 1
    workers.offer()
    workers[0].leave()
    workers.pool.messages(0)
    assert workers[0].num_saves == 2
    workers[0].say(Saved())
    assert lost(workers.pool.messages(0)) == {}
    workers[0].say(Saved())
    assert lost(workers.pool.messages(0)).keys() == {0}


def test_a_worker_that_has_yet_to_start_leaves_at_once():
    workers = Elastic("a", "b")
    workers.offer("a", "b", "c")
    workers.pool.messages(0)
    workers.submit(*range(9))
    workers.offer("a", "b")
    workers[2].leave()
    assert lost(workers.pool.messages(0)) == {}
    assert workers[2].is_killed
    assert workers.pool.running == list(range(9))


def test_a_trial_is_tried_again_twice():
    workers = Workers()
    failures: tuple[Failure, ...] = ()
    for life in range(3):
        workers.resubmit(5, *failures)
        workers[life].be_ready()
        workers.pool.messages(0)
        workers.pool.flush()
        workers[life].end()
        found = lost(workers.pool.messages(0))[5]
        failures = found.failures
        assert (len(failures), found.is_over) == (life + 1, life == 2)
    assert failures == (
        KILLED,
        KILLED,
        replace(KILLED, reason=f"{KILLED.reason}, as it did 2 times before"),
    )
    assert found.failure == failures[-1]


def test_no_trial_is_to_blame_where_something_else_ended_its_worker():
    workers = Workers()
    workers.submit(0)
    workers.pool.flush()
    workers[0].end(is_innocent=True)
    assert lost(workers.pool.messages(0)) == {0: Lost(0, None, (), is_over=False, worker=0)}


def test_a_worker_that_gives_up_before_it_is_ready_ends_the_work():
    workers = Workers(ready=False)
    workers[0].end("exit code 1", by_itself=True, words="Traceback\nDataError: no data")
    workers[0].say(Notice("the last of it"))
    assert workers.pool.messages(0) == [Notice("the last of it")], "nothing that was said is lost"
    reason = "a worker ended with exit code 1 before it could train: DataError: no data"
    with pytest.raises(SweepFailedError, match=f"^{reason}$"):
        workers.pool.messages(0)


def test_a_worker_that_is_killed_before_it_is_ready_is_started_three_times():
    workers = Workers(ready=False)
    workers.submit(6)
    for life in range(3):
        assert len(workers.launcher.links) == life + 1
        workers[life].end()
        assert workers.pool.messages(0) == []
    with pytest.raises(
        SweepFailedError, match="signal 9 before it could train: it printed nothing"
    ):
        workers.pool.messages(0)


def test_a_worker_that_was_ready_once_is_always_replaced():
    workers = Workers()
    for life in range(5):
        workers[life].end()
        workers.pool.messages(0)
        workers[life + 1].be_ready()
        workers.pool.messages(0)
    assert [link.is_killed for link in workers.launcher.links] == [True] * 5 + [False]


def test_the_launcher_is_closed_with_the_pool():
    workers = Workers()
    with workers.pool:
        pass
    assert workers.launcher.is_closed


# ------------------------------------------------------------ time limits


def test_a_trial_that_takes_too_long_fails_and_its_neighbour_does_not(clock: Clock):
    workers = Workers(2, time_limit=20)
    workers.submit(0, 1)
    workers.pool.flush()
    clock.now += 10
    workers.submit(2)
    workers.pool.flush()
    clock.now += 10.5
    workers[1].finish(1)
    found = lost(workers.pool.messages(0))
    reason = "it exceeded its time limit of 20 s"
    assert found[0].failure == Failure(FailureKind.TIME_LIMIT, reason)
    assert found[0].is_over
    assert found[2] == Lost(2, None, (), is_over=False, worker=0)
    assert workers[0].is_killed
    assert not workers[1].is_killed
    assert workers.pool.running == []


def test_time_counts_from_the_start_of_a_trial(clock: Clock):
    workers = Workers(time_limit=20, ready=False)
    workers.submit(0)
    workers.pool.flush()
    clock.now += 100
    workers[0].be_ready()
    workers.pool.messages(0)
    clock.now += 19
    assert workers.pool.messages(0) == []
    clock.now += 2
    assert lost(workers.pool.messages(0)).keys() == {0}


def test_a_trial_that_waits_for_its_neighbour_is_not_the_one_that_takes_too_long(clock: Clock):
    """Trial 0 has run its last epoch; trial 1 has not."""
    workers = Workers(lanes=2, time_limit=20)
    workers.submit(0, epochs=1)
    workers.submit(1, epochs=100)
    workers[0].say_epoch(0, 1)
    workers.pool.messages(0)
    clock.now += 21
    found = lost(workers.pool.messages(0))
    assert (found[0].failure, found[1].failure.kind) == (None, FailureKind.TIME_LIMIT)


@pytest.mark.parametrize("num_trials", [1, 3])
def test_a_driver_that_is_held_up_takes_no_time_from_its_trials(real_turns: Clock, num_trials):
    """Stopped, asleep with its machine, or kept waiting by its store; several times."""
    clock = real_turns
    workers = Workers(time_limit=20)
    workers.submit(*range(num_trials))
    workers.pool.flush()
    for _ in range(10):
        clock.now += 3600
        assert workers.pool.messages(0.2) == []
    for _ in range(60):
        clock.now += 0.2
        assert workers.pool.messages(0.2) == []
    for _ in range(60):
        clock.now += 0.2
        workers.pool.messages(0.2)
    assert workers.pool.running == [], "the time in which the driver listens counts"


def test_a_driver_that_is_held_up_while_it_saves_saves_again_soon(clock: Clock):
    workers = Workers(save_every=10)
    workers.submit(0)
    workers.pool.flush()
    clock.now += 11
    workers.pool.messages(0)
    clock.now += 100_000
    workers[0].say(Saved())
    workers.pool.messages(0)
    workers.pool.messages(0)
    clock.now += 301
    workers.pool.messages(0)
    assert workers[0].num_saves == 2


def test_without_a_neighbour_it_is(clock: Clock):
    workers = Workers(time_limit=20)
    workers.submit(0, epochs=1)
    workers.pool.flush()
    workers[0].say_epoch(0)
    workers.pool.messages(0)
    clock.now += 21
    assert lost(workers.pool.messages(0))[0].is_over


# ------------------------------------------------------------ checkpoints


def test_trials_are_saved_as_often_as_is_wanted(clock: Clock):
    workers = Workers(save_every=10)
    workers.pool.messages(0)
    clock.now += 100
    workers.pool.messages(0)
    assert workers[0].num_saves == 0, "there is nothing to save"
    workers.submit(0)
    workers.pool.flush()
    workers.pool.messages(0)
    assert workers[0].num_saves == 1
    clock.now += 0.2
    workers[0].say(Saved())
    assert workers.pool.messages(0) == []
    clock.now += 0.2  # spent on writing
    workers.pool.messages(0)
    clock.now += 9.9
    workers.pool.messages(0)
    assert workers[0].num_saves == 1, "ten seconds count from the end of the last wave"
    clock.now += 0.2
    workers.pool.messages(0)
    assert workers[0].num_saves == 2
    clock.now += 3
    workers.pool.messages(0)
    assert workers[0].num_saves == 2, "the last wave is still on its way"
    workers[0].say(Saved())
    workers.pool.messages(0)
    workers.pool.messages(0)
    clock.now += 29
    workers.pool.messages(0)
    assert workers[0].num_saves == 2, "a wave of 3 s comes after ten times as long"
    clock.now += 2
    workers.pool.messages(0)
    assert workers[0].num_saves == 3


def test_no_checkpoints_are_asked_for_unless_they_are_wanted(clock: Clock):
    workers = Workers()
    workers.submit(0)
    workers.pool.flush()
    clock.now += 1e9
    workers.pool.messages(0)
    assert workers[0].num_saves == 0


def test_saving_waits_for_all_workers_and_hears_what_they_say_meanwhile():
    workers = Workers(2)
    workers.submit(0, 1)
    workers.pool.flush()
    saved = [Checkpoint(trial, 1, 0, b"state") for trial in range(2)]
    workers[0].say(saved[0])
    workers[0].say_epoch(0)
    workers[0].say(Saved())
    workers[1].say(saved[1])
    workers[1].say(Saved())
    assert workers.pool.save() == [saved[0], Epoch((make_metrics(0, 1),)), saved[1]]
    assert [link.num_saves for link in workers.launcher.links] == [1, 1]


def test_the_end_of_an_earlier_wave_is_not_the_end_of_saving(clock: Clock):
    workers = Workers(save_every=10)
    workers.submit(0)
    workers.pool.flush()
    clock.now += 11
    workers.pool.messages(0)
    first, second = (Checkpoint(0, epoch, 0, b"state") for epoch in (1, 2))
    for checkpoint in (first, second):
        workers[0].say(checkpoint)
        workers[0].say(Saved())
    workers[0].say_epoch(0)
    assert workers.pool.save() == [first, second]


def test_saving_starts_no_worker_in_place_of_one_that_ends():
    workers = Workers(2)
    workers.submit(0, 1)
    workers.pool.flush()
    workers[0].end()
    workers[1].say(Saved())
    assert workers.pool.save() == []
    assert len(workers.launcher.links) == 2


# ------------------------------------------------------------ memory


def test_what_does_not_fit_starts_when_there_is_room():
    workers = Workers(ready=False)
    workers.submit(0, 1, 2)
    workers[0].be_ready(int(2.5 * LANE))
    workers.pool.messages(0)
    workers.pool.flush()
    assert workers[0].stacks == [[0, 1]]
    workers[0].finish(0)
    workers.pool.messages(0)
    workers.pool.flush()
    assert workers[0].stacks == [[0, 1], [2]]


def test_a_worker_whose_memory_is_taken_is_full():
    workers = Workers(ready=False)
    workers[0].be_ready(2 * LANE)
    workers.pool.messages(0)
    workers.submit(0)
    assert workers.pool.has_room
    workers.submit(1)
    assert not workers.pool.has_room


def test_a_smaller_trial_starts_where_a_larger_one_has_to_wait():
    tiny = make_config(number=2, layer_size=4)
    workers = Workers(ready=False, lanes=3)
    workers.submit(0)
    workers.submit(1, layer_size=400)
    workers.pool.submit(tiny)
    workers[0].be_ready(LANE + Capacity.of(make_settings()).lane_bytes(tiny))
    workers.pool.messages(0)
    assert workers[0].stacks == [[2, 0]]


def test_without_any_memory_one_trial_at_a_time_is_tried():
    workers = Workers(ready=False)
    workers.submit(0, 1)
    workers.pool.flush()
    workers[0].be_ready(0)
    workers.pool.messages(0)
    assert workers[0].stacks == [[0]]
    workers[0].finish(0)
    workers.pool.messages(0)
    workers.pool.flush()
    assert workers[0].stacks == [[0], [1]]


def run_out(workers: Workers, *trials: int, together: int) -> list[Message]:
    workers[0].say(OutOfMemory(trials, together))
    found = workers.pool.messages(0)
    for trial in trials:
        workers.resubmit(trial)
    workers.pool.flush()
    return found


def test_trials_that_ran_out_of_memory_are_trained_in_halves():
    workers = Workers(lanes=8)
    workers.submit(*range(8))
    notice, *given_back = run_out(workers, *range(8), together=8)
    assert notice == Notice(
        "memory ran out with 8 trials at once: trials 0, 1, 2, 3, 4, 5, 6, 7 are tried again, "
        "at most 4 at once"
    )
    assert given_back == [Lost(trial, None, (), is_over=False, worker=0) for trial in range(8)]
    assert workers[0].stacks[1:] == [[0, 1, 2, 3]]
    assert not workers.pool.has_room
    for trial in range(4):
        workers[0].finish(trial)
    workers.pool.messages(0)
    workers.pool.flush()
    assert workers[0].stacks[1:] == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_the_limit_falls_until_one_trial_is_left():
    workers = Workers(lanes=5)
    workers.submit(*range(5))
    run_out(workers, *range(5), together=5)
    run_out(workers, 0, 1, together=2)
    assert workers[0].stacks == [[0, 1, 2, 3, 4], [0, 1], [2]]


def test_a_larger_stack_that_runs_out_later_does_not_raise_the_limit():
    workers = Workers(lanes=8)
    workers.submit(*range(4), batch_size=32)
    workers.submit(*range(4, 8), batch_size=64)
    assert workers[0].stacks == [[0, 1, 2, 3], [4, 5, 6, 7]]
    run_out(workers, 4, together=2)
    run_out(workers, 0, 1, 2, 3, together=8)
    for trial in (5, 6, 7):
        workers[0].finish(trial)
    workers.pool.messages(0)
    workers.pool.flush()
    later = workers[0].stacks[2:]
    assert later
    assert {len(stack) for stack in later} == {1}


def test_trials_beside_those_that_ran_out_keep_their_memory():
    workers = Workers(lanes=4)
    workers.submit(0, batch_size=64)
    workers.submit(1, 2, 3)
    first = sorted(workers[0].stacks)
    assert first == [[0], [1, 2, 3]]
    run_out(workers, 1, 2, 3, together=3)
    assert workers[0].stacks[2:] == [[1]], "there is room for half of what ran out"
