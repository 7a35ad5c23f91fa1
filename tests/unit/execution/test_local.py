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
from helpers import children, is_alive, make_config, make_settings, timeless, wait_for

from sweep.errors import SweepFailedError
from sweep.execution import Epoch, LocalExecutor, Lost, WorkerReady
from sweep.records import (
    Checkpoint,
    Decision,
    FailureKind,
    Resumed,
    TrialOutcome,
    TrialState,
)

PATIENCE = 600  # only so that a test that failed ends


def messages(executor: LocalExecutor):
    """Everything that happens; every epoch is answered with CONTINUE."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for message in executor.messages(0.2):
            yield message
            if isinstance(message, Epoch):
                executor.decide(message.metrics, [Decision.CONTINUE] * len(message.metrics))
    raise AssertionError("nothing happened")


def next_message(executor: LocalExecutor, kind: type):
    return next(m for m in messages(executor) if isinstance(m, kind))


def next_outcome(executor: LocalExecutor) -> TrialOutcome:
    return next_message(executor, TrialOutcome)


def test_a_killed_worker_is_replaced_and_its_trial_given_back():
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
        lost = next_message(executor, Lost)
        assert lost.trial == 4
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
        together, workers = set(), {}
        for message in messages(executor):
            if isinstance(message, Epoch):
                together.add(frozenset(metrics.trial for metrics in message.metrics))
            if isinstance(message, TrialOutcome):
                workers[message.trial] = message.worker
            if len(workers) == 3:
                break
        assert together == {frozenset({0, 2}), frozenset({1})}
        assert workers == {0: 0, 1: 1, 2: 0}


def test_the_successor_of_a_worker_has_its_number():
    before = children()
    with LocalExecutor([make_settings(), make_settings()]) as executor:
        for number in range(2):
            executor.submit(make_config(number=number, epochs=100_000))
        executor.flush()
        started = set()
        for message in messages(executor):
            if isinstance(message, Epoch):
                started.add(message.metrics[0].trial)
            if len(started) == 2:
                break
        os.kill(max(children() - before), signal.SIGKILL)
        lost = next_message(executor, Lost)
        assert lost.worker == lost.trial, "trial 0 was submitted first, and to the first worker"
        executor.submit(make_config(number=2, epochs=1))
        executor.flush()
        assert next_outcome(executor).worker == lost.worker


def test_a_killed_worker_loses_all_its_lanes_but_not_those_it_was_not_given():
    before = children()
    with LocalExecutor([stacked(4)]) as executor:
        for number in range(2):
            executor.submit(make_config(number=number, epochs=100_000))
        executor.flush()
        next(m for m in messages(executor) if isinstance(m, Epoch))
        executor.submit(make_config(number=2, epochs=1))  # not started: there may be more to come
        (worker,) = children() - before
        os.kill(worker, signal.SIGKILL)
        lost = {}
        for message in messages(executor):
            if isinstance(message, Lost):
                lost[message.trial] = message.failure.kind
            if isinstance(message, TrialOutcome):
                assert (message.trial, message.state) == (2, TrialState.COMPLETE)
                break
    assert lost == {0: FailureKind.KILLED, 1: FailureKind.KILLED}
    assert executor.running == []


def test_what_is_saved_goes_on_in_another_worker():
    config = make_config(number=3, epochs=30)
    with LocalExecutor([make_settings()]) as executor:
        executor.submit(config)
        for message in messages(executor):
            if isinstance(message, Epoch) and message.metrics[0].epoch == 3:
                break
        (saved,) = (m for m in executor.save() if isinstance(m, Checkpoint))
    assert saved.trial == 3
    with LocalExecutor([make_settings()]) as executor:
        executor.submit(config, saved)
        resumed = next_message(executor, Resumed)
        assert [m.epoch for m in resumed.history] == list(range(1, saved.epoch + 1))
        executor.decide(resumed.history[-1:], [Decision.CONTINUE])
        outcome = next_outcome(executor)
    with LocalExecutor([make_settings()]) as executor:
        executor.submit(config)
        undisturbed = next_outcome(executor)
    assert saved.epoch >= 3
    assert timeless(outcome) == timeless(undisturbed)


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs SIGSTOP")
def test_saving_does_not_wait_for_a_worker_that_hangs():
    before = children()
    with LocalExecutor([make_settings(), make_settings()]) as executor:
        for number in range(2):
            executor.submit(make_config(number=number, epochs=100_000))
        seen = set()
        for message in messages(executor):
            if isinstance(message, Epoch):
                seen.add(message.metrics[0].trial)
            if len(seen) == 2:
                break
        os.kill(min(children() - before), signal.SIGSTOP)
        started = time.monotonic()
        saved = [m.trial for m in executor.save() if isinstance(m, Checkpoint)]
        assert len(saved) == 1
    assert time.monotonic() - started < 5


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs SIGSTOP")
def test_a_worker_that_hangs_is_ended_by_the_time_limit():
    before = children()
    with LocalExecutor([stacked(2)], time_limit=20) as executor:
        executor.submit(make_config(number=0, epochs=100_000))
        executor.flush()
        next_message(executor, Epoch)
        (worker,) = children() - before
        time.sleep(2)  # trial 0 is overdue first
        executor.submit(make_config(number=1, epochs=100_000))
        for message in messages(executor):
            if isinstance(message, Epoch) and message.metrics[0].trial == 1:
                break
        os.kill(worker, signal.SIGSTOP)
        lost = {}
        for message in messages(executor):
            if isinstance(message, Lost):
                lost[message.trial] = message.failure
            if len(lost) == 2:
                break
        assert lost[0].kind is FailureKind.TIME_LIMIT
        assert lost[0].reason == "it was not done after 20 s, its time limit"
        assert lost[1] is None
        assert not is_alive(worker)


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs SIGSTOP")
def test_a_trial_that_waits_for_its_neighbour_is_not_the_one_that_takes_too_long():
    """Trial 0 has run its last epoch when the worker hangs; trial 1 has not."""
    before = children()
    with LocalExecutor([stacked(2)], time_limit=20) as executor:
        executor.submit(make_config(number=0, epochs=1))
        executor.submit(make_config(number=1, epochs=100_000))
        executor.flush()
        (worker,) = children() - before
        lost = {}
        for message in messages(executor):
            if isinstance(message, Epoch) and any(m.trial == 0 for m in message.metrics):
                os.kill(worker, signal.SIGSTOP)  # before it is told that trial 0 may end
            if isinstance(message, Lost):
                lost[message.trial] = message.failure
            if len(lost) == 2:
                break
        assert lost[0] is None
        assert lost[1].kind is FailureKind.TIME_LIMIT


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs SIGSTOP")
def test_a_worker_that_reads_nothing_does_not_hold_up_the_driver():
    before = children()
    with LocalExecutor([stacked(4)]) as executor:
        executor.submit(make_config(number=0, epochs=100_000))
        executor.flush()
        next_message(executor, Epoch)
        (worker,) = children() - before
        os.kill(worker, signal.SIGSTOP)
        started = time.monotonic()
        executor.submit(make_config(number=1), Checkpoint(1, 0, bytes(10_000_000)))
        executor.flush()
        executor.messages(0.1)
        assert time.monotonic() - started < 5
    assert not is_alive(worker)


def test_an_epoch_is_answered_though_one_of_its_trials_has_ended():
    with LocalExecutor([stacked(2)]) as executor:
        for number in range(2):
            executor.submit(make_config(number=number, epochs=2))
        executor.flush()
        epochs = []
        while len(epochs) < 2:
            news = executor.messages(0.2)
            for epoch in (m for m in news if isinstance(m, Epoch)):
                epochs.append(epoch)
                if len(epochs) == 1:
                    executor.decide(epoch.metrics, [Decision.CONTINUE] * 2)
        first, second = epochs[1].metrics
        executor.decide([first], [Decision.CONTINUE])
        assert next_outcome(executor).trial == first.trial
        executor.decide([first, second], [Decision.CONTINUE] * 2)
        assert next_outcome(executor).trial == second.trial


@pytest.mark.parametrize(("every", "expected"), [(0.01, 3), (1e9, 0), (None, 0)])
def test_trials_are_saved_as_often_as_is_wanted(every, expected):
    with LocalExecutor([make_settings()], save_every=every) as executor:
        executor.submit(make_config(number=3, epochs=100_000))
        saved = []
        num_epochs = 0
        for message in messages(executor):
            saved += [message] if isinstance(message, Checkpoint) else []
            num_epochs += isinstance(message, Epoch)
            if num_epochs >= 100 and len(saved) >= expected:
                break
    assert len(saved) >= expected
    assert saved == [] or expected
    assert [m.epoch for m in saved] == sorted(m.epoch for m in saved)


def test_a_trial_may_have_a_worker_to_itself():
    with LocalExecutor([stacked(4)]) as executor:
        assert executor.has_empty_worker
        executor.submit(make_config(number=0, epochs=1), alone=True)
        assert (executor.has_room, executor.has_empty_worker) == (False, False)
        assert next_outcome(executor).num_lanes == 1
        assert (executor.has_room, executor.has_empty_worker) == (True, True)


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


def test_a_worker_that_is_killed_while_it_starts_is_started_again():
    before = children()
    with LocalExecutor([make_settings()]) as executor:
        executor.submit(make_config(number=6, epochs=1))
        executor.flush()
        (worker,) = children() - before
        os.kill(worker, signal.SIGKILL)
        outcome = next_outcome(executor)
        assert (outcome.trial, outcome.state) == (6, TrialState.COMPLETE)


def test_a_worker_that_is_killed_whenever_it_starts_ends_the_work():
    before = children()
    with LocalExecutor([make_settings()]) as executor:

        def kill_the_next() -> None:
            wait_for(lambda: executor.messages(0.1) or children() - before - killed)
            (worker,) = children() - before - killed
            killed.add(worker)
            os.kill(worker, signal.SIGKILL)

        killed: set[int] = set()
        kill_the_next()
        kill_the_next()
        kill_the_next()
        with pytest.raises(SweepFailedError, match="ended with signal 9 before it could train"):
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


def test_workers_end_when_their_driver_is_killed():
    code = textwrap.dedent(DRIVER).format(tests=str(Path(__file__).parents[2]))
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as driver:
        worker = int(driver.stdout.readline())
        assert driver.stdout.readline() == "training\n"
        driver.kill()
    wait_for(lambda: not is_alive(worker))
