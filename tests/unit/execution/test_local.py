"""Real worker processes: they train, die, are replaced, and never outlive their driver."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from helpers import children, is_alive, make_config, make_settings, wait_for

from sweep.errors import SweepFailedError
from sweep.execution import Epoch, LocalExecutor, WorkerReady
from sweep.records import Decision, FailureKind, TrialOutcome, TrialState

PATIENCE = 60


def messages(executor: LocalExecutor):
    """Everything that happens; every epoch is answered with CONTINUE."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for message in executor.messages(0.2):
            yield message
            if isinstance(message, Epoch):
                executor.decide(message.metrics, [Decision.CONTINUE] * len(message.metrics))
    raise AssertionError("nothing happened")


def next_outcome(executor: LocalExecutor) -> TrialOutcome:
    return next(m for m in messages(executor) if isinstance(m, TrialOutcome))


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_a_killed_worker_fails_its_trial_and_is_replaced():
    before = children()
    with LocalExecutor([make_settings()]) as executor:
        (worker,) = children() - before
        assert (executor.has_room, executor.running) == (True, [])
        executor.submit(make_config(number=4, epochs=100_000))
        assert (executor.has_room, executor.running) == (False, [4])

        seen = []
        for message in messages(executor):
            seen.append(type(message))
            if isinstance(message, Epoch):
                assert message.metrics[0].trial == 4
                break
        assert seen == [WorkerReady, Epoch]
        os.kill(worker, signal.SIGKILL)
        lost = next_outcome(executor)
        assert (lost.trial, lost.state) == (4, TrialState.FAIL)
        assert lost.failure.kind is FailureKind.KILLED
        assert "signal 9" in lost.failure.reason

        (successor,) = children() - before
        assert successor != worker
        assert (executor.has_room, executor.running) == (True, [])
        executor.submit(make_config(number=5, epochs=2))
        trained = next_outcome(executor)
        assert (trained.trial, trained.state) == (5, TrialState.COMPLETE)
        assert trained.weights
    assert children() == before


def stacked(lanes: int, **changes):
    return make_settings(engine="stacked", lanes=lanes, **changes)


def test_a_worker_is_filled_once_it_is_half_empty():
    with LocalExecutor([stacked(4)]) as executor:
        for number in range(4):
            assert executor.has_room
            executor.submit(make_config(number=number, epochs=number + 1))
        assert not executor.has_room
        room = []
        for message in messages(executor):
            if isinstance(message, TrialOutcome):
                room.append((message.trial, executor.has_room))
                if not executor.running:
                    break
        assert room == [(0, False), (1, True), (2, True), (3, True)]


def test_trials_are_spread_over_workers():
    with LocalExecutor([stacked(4), stacked(4)]) as executor:
        for number in range(3):
            executor.submit(make_config(number=number, epochs=2))
        executor.flush()
        together = set()
        for message in messages(executor):
            if isinstance(message, Epoch):
                together.add(frozenset(metrics.trial for metrics in message.metrics))
            if not executor.running:
                break
        assert together == {frozenset({0, 2}), frozenset({1})}


def test_a_killed_worker_fails_all_its_lanes_but_not_those_it_was_not_given():
    before = children()
    with LocalExecutor([stacked(4)]) as executor:
        for number in range(2):
            executor.submit(make_config(number=number, epochs=100_000))
        executor.flush()
        next(m for m in messages(executor) if isinstance(m, Epoch))
        executor.submit(make_config(number=2, epochs=1))  # not started: there may be more to come
        (worker,) = children() - before
        os.kill(worker, signal.SIGKILL)
        outcomes = {}
        for message in messages(executor):
            if isinstance(message, TrialOutcome):
                outcomes[message.trial] = message
                if not executor.running:
                    break
    assert [outcomes[n].state for n in range(3)] == [
        TrialState.FAIL,
        TrialState.FAIL,
        TrialState.COMPLETE,
    ]
    assert {outcomes[n].failure.kind for n in range(2)} == {FailureKind.KILLED}


def test_a_pruned_lane_leaves_while_the_others_go_on():
    with LocalExecutor([stacked(3)]) as executor:
        for number in range(3):
            executor.submit(make_config(number=number, epochs=6))
        executor.flush()
        outcomes = {}
        end = time.monotonic() + PATIENCE
        while len(outcomes) < 3 and time.monotonic() < end:
            for message in executor.messages(0.2):
                if isinstance(message, Epoch):
                    prune = [m.trial == 1 and m.epoch == 2 for m in message.metrics]
                    executor.decide(
                        message.metrics,
                        [Decision.PRUNE if p else Decision.CONTINUE for p in prune],
                    )
                if isinstance(message, TrialOutcome):
                    outcomes[message.trial] = (message.state, len(message.history))
    assert outcomes == {
        0: (TrialState.COMPLETE, 6),
        1: (TrialState.PRUNED, 2),
        2: (TrialState.COMPLETE, 6),
    }


def test_a_worker_that_cannot_start_says_why():
    with (
        LocalExecutor([make_settings(data_dir="nowhere", num_validation=1_000_000)]) as executor,
        pytest.raises(SweepFailedError, match=r"before it could train: .*must be below 1,437"),
    ):
        next_outcome(executor)


DRIVER = """
import os, sys
sys.path.insert(0, {tests!r})
from helpers import make_config, make_settings
from sweep.execution import Epoch, LocalExecutor
with LocalExecutor([make_settings()]) as executor:
    print(executor._workers[0].process.pid, flush=True)
    executor.submit(make_config(epochs=100_000))
    while not any(isinstance(m, Epoch) for m in executor.messages(1)):
        pass
    print("training", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_workers_end_when_their_driver_is_killed():
    code = textwrap.dedent(DRIVER).format(tests=str(Path(__file__).parents[2]))
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as driver:
        worker = int(driver.stdout.readline())
        assert driver.stdout.readline() == "training\n"
        driver.kill()
    wait_for(lambda: not is_alive(worker))
