"""Memory is estimated before, and when it runs out all the same, smaller stacks go on."""

from __future__ import annotations

import weakref
from dataclasses import replace

import pytest
import torch
from driving import GROUPS, Driver, assert_same, make_engine, prune_at, several, train
from helpers import make_config, make_settings

from sweep.records import FailureKind, TrialState
from sweep.training.capacity import Capacity
from sweep.training.engine import Engine

ERRORS = {
    "cuda": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "cpu": RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
    "python": MemoryError(),
}
LANE = Capacity.of(make_settings()).lane_bytes(make_config())


@pytest.fixture
def memory(monkeypatch):
    """Pretend that a worker may use so many bytes."""

    def pretend(size: float) -> None:
        monkeypatch.setattr("sweep.training.engine.available_bytes", lambda *_: size)

    return pretend


def builds(into: list[list[int]]):
    return lambda what, trials, *_: into.append(trials) if what == "build" else None


def alike(count: int, **changes) -> list:
    return [make_config(number=n, seed=n, epochs=1 + n, **changes) for n in range(count)]


# ---------------------------------------------------------------- estimated before


def test_with_room_for_all_everything_starts_at_once(small, memory):
    memory(4 * LANE)
    built: list[list[int]] = []
    Driver(make_engine(small, watch=builds(built))).run(*alike(4))
    assert built == [[0, 1, 2, 3]]


def test_what_does_not_fit_starts_when_there_is_room(small, memory):
    """Trial n trains for n + 1 epochs: they leave one after the other."""
    memory(2.5 * LANE)
    built: list[list[int]] = []
    driver = Driver(make_engine(small, watch=builds(built)))
    outcomes = driver.run(*alike(5))
    assert built == [[0, 1], [2], [3], [4]]
    assert {o.state for o in outcomes} == {TrialState.COMPLETE}
    assert [len(o.history) for o in outcomes] == [1, 2, 3, 4, 5]


def test_room_of_a_pruned_trial_is_room(small, memory):
    memory(2 * LANE)
    built: list[list[int]] = []
    driver = Driver(make_engine(small, watch=builds(built)), prune_at({1: 1}))
    driver.run(*alike(3, activation="tanh")[1:], make_config(number=7, epochs=9))
    assert built == [[1, 2], [7]]


def test_a_smaller_trial_starts_where_a_larger_one_has_to_wait(small, memory):
    large, tiny = make_config(number=1, layer_size=400), make_config(number=2, layer_size=4)
    memory(LANE + Capacity.of(make_settings()).lane_bytes(tiny))
    built: list[list[int]] = []
    driver = Driver(make_engine(small, watch=builds(built)))
    outcomes = driver.run(make_config(number=0), large, tiny)
    assert built == [[0, 2], [1]]
    assert {o.state for o in outcomes} == {TrialState.COMPLETE}


@pytest.mark.parametrize("name", GROUPS)
def test_without_any_memory_one_trial_at_a_time_is_tried(small, memory, name):
    memory(0)
    built: list[list[int]] = []
    outcomes = Driver(make_engine(small, name, builds(built))).run(*alike(3))
    assert built == [[0], [1], [2]]
    assert {o.state for o in outcomes} == {TrialState.COMPLETE}


def test_groups_share_the_memory(small, memory):
    memory(2 * LANE)
    built: list[list[int]] = []
    first, second, third = alike(3)
    driver = Driver(make_engine(small, watch=builds(built)))
    driver.run(first, replace(second, batch_size=33), replace(third, batch_size=34))
    assert built == [[0], [1], [2]]
    assert len(driver.epochs) == 6
    assert [(m.trial, m.epoch) for epoch in driver.epochs for m in epoch][:3] == [
        (0, 1), (1, 1), (1, 2),
    ]  # fmt: skip


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("place", ["build", "step", "finish_epoch"])
def test_trials_that_wait_for_memory_start_after_a_failure(small, memory, name, place):
    """The room of a trial that failed is room, too."""

    def watch(what, trials, *_):
        if what == place and 0 in trials:
            raise ZeroDivisionError("as told")

    memory(LANE)
    outcomes = Driver(make_engine(small, name, watch)).run(*alike(3))
    assert [o.state.value for o in outcomes] == ["FAIL", "COMPLETE", "COMPLETE"]


def test_each_worker_has_its_share(small, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "sweep.training.engine.available_bytes", lambda *arguments: asked.append(arguments) or 0.0
    )
    make_engine(small, num_sharing=3)
    assert asked == [(torch.device("cpu"), 3)]


# ---------------------------------------------------------------- run out all the same


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("most", [8, 4, 2, 1])
def test_a_stack_that_cannot_be_built_is_halved(small, error, most):
    built: list[list[int]] = []

    def watch(what, trials, *_):
        if what == "build":
            built.append(trials)
            if len(trials) > most:
                raise error

    outcomes = Driver(make_engine(small, watch=watch, precision="float64")).run(*several())
    sizes = [len(trials) for trials in built]
    assert sizes[0] == 5
    assert all(size <= 2 for size in sizes[1:])
    assert sum(size for size in sizes if size <= most) == 5, "each trial is built once"
    for ours, theirs in zip(outcomes, train(small, *several(), precision="float64"), strict=True):
        assert_same(ours, theirs)


def test_a_trial_that_does_not_fit_alone_fails_alone(small):
    def watch(what, trials, *_):
        if what == "build" and 2 in trials:
            raise ERRORS["cuda"]

    driver = Driver(make_engine(small, watch=watch, precision="float64"))
    outcomes = driver.run(*several())
    expected = train(small, *several(), precision="float64")
    for ours, theirs in zip(outcomes, expected, strict=True):
        if ours.trial == 2:
            assert ours.state is TrialState.FAIL
            assert ours.failure.kind is FailureKind.OUT_OF_MEMORY
            assert "CUDA out of memory" in ours.failure.reason
        else:
            assert_same(ours, theirs)
    assert driver.engine.is_idle


class RunsOut:
    """Runs out of memory once, at the n-th of these calls of a stack."""

    def __init__(self, place: str, count: int, error: Exception = ERRORS["cuda"]) -> None:
        self.place, self.count, self.error = place, count, error
        self.built: list[list[int]] = []
        self.happened_to: list[int] | None = None

    def __call__(self, what, trials, *_):
        if what == "build":
            self.built.append(trials)
        if what == self.place and self.happened_to is None:
            self.count -= 1
            if self.count == 0:
                self.happened_to = trials
                raise self.error


@pytest.mark.parametrize("patience", [0, 2, 1000])
@pytest.mark.parametrize(
    ("place", "count"),
    [
        *[("begin_epoch", count) for count in (1, 2, 3)],
        *[("step", count) for count in (1, 3, 4, 5, 7, 8, 10, 12)],
        *[("finish_epoch", count) for count in (1, 2, 3)],
        *[("keep", count) for count in (1, 2)],
    ],
)
def test_a_stack_that_runs_out_of_memory_is_trained_again_in_halves(small, place, count, patience):
    """From the start, but no epoch is said twice, and the results are what they would have been."""
    answer = prune_at({1: 1, 3: 2})
    watch = RunsOut(place, count)
    driver = Driver(make_engine(small, watch=watch, precision="float64"), answer, patience)
    outcomes = driver.run(*several())
    assert watch.happened_to is not None, "the test needs a failure"
    assert len(watch.built) > 1
    assert all(len(trials) <= len(watch.happened_to) // 2 for trials in watch.built[1:])
    said = [(m.trial, m.epoch) for epoch in driver.epochs for m in epoch]
    assert len(said) == len(set(said))
    expected = train(small, *several(), answer=answer, precision="float64")
    for ours, theirs in zip(outcomes, expected, strict=True):
        assert_same(ours, theirs)
        assert [epoch for trial, epoch in said if trial == ours.trial] == list(
            range(1, len(ours.history) + 1)
        )
    assert driver.engine.is_idle


@pytest.mark.parametrize("count", [1, 2, 4, 5, 6, 8])
def test_when_the_best_weights_cannot_be_copied_that_trial_is_trained_again(small, count):
    watch = RunsOut("copy_weights", count)
    driver = Driver(make_engine(small, watch=watch, precision="float64"))
    outcomes = driver.run(*several())
    assert watch.happened_to == [0, 1, 2, 3, 4]
    assert [len(trials) for trials in watch.built] == [5, 1]
    said = [(m.trial, m.epoch) for epoch in driver.epochs for m in epoch]
    assert len(said) == len(set(said))
    for ours, theirs in zip(outcomes, train(small, *several(), precision="float64"), strict=True):
        assert_same(ours, theirs)


@pytest.mark.parametrize("patience", range(9, 40, 5))
def test_the_answer_may_come_at_any_time_after_the_memory_ran_out(small, patience):
    """To the epoch that was said before: while trials wait, or are trained again."""
    answer = prune_at({0: 1, 2: 1, 4: 1})
    watch = RunsOut("step", 6)  # in the second epoch, when the first has not been decided
    driver = Driver(make_engine(small, watch=watch, precision="float64"), answer, patience)
    outcomes = driver.run(*several())
    assert [len(o.history) for o in outcomes] == [1, 4, 1, 4, 1]
    for ours, theirs in zip(
        outcomes, train(small, *several(), answer=answer, precision="float64"), strict=True
    ):
        assert_same(ours, theirs)


@pytest.mark.parametrize("turns", range(1, 12))
def test_trials_that_are_trained_again_may_be_pruned(small, turns):
    """The answer comes so many steps after the memory ran out, to all at once."""
    watch = RunsOut("step", 6)
    engine = make_engine(small, watch=watch, precision="float64")
    driver = Driver(engine, prune_at({0: 1, 2: 1, 4: 1}), patience=1 + turns)
    outcomes = driver.run(*several())
    assert watch.happened_to is not None
    assert [o.state.value for o in outcomes] == [
        "PRUNED", "COMPLETE", "PRUNED", "COMPLETE", "PRUNED",
    ]  # fmt: skip


def test_a_lack_of_memory_is_remembered(small):
    """Trials that come later are not stacked higher than what has just failed."""
    watch = RunsOut("build", 1)
    driver = Driver(make_engine(small, watch=watch))
    driver.run(*several())
    later = [replace(c, number=c.number + 10) for c in several()]
    driver.run(*later)
    assert max(len(trials) for trials in watch.built[1:]) == 2


def test_after_memory_ran_out_half_as_much_is_trained_at_once(small):
    """Not in two stacks beside each other: trial n, of n + 1 epochs, makes room for n + 2."""
    watch = RunsOut("step", 1)
    outcomes = Driver(make_engine(small, watch=watch)).run(*alike(4))
    assert watch.built == [[0, 1, 2, 3], [0, 1], [2], [3]]
    assert [len(o.history) for o in outcomes] == [1, 2, 3, 4]


def test_a_larger_stack_that_fails_later_does_not_raise_the_limit(small):
    """It was built before the limit was lowered."""
    failed: list[int] = []
    later: list[tuple[int, int]] = []

    def watch(what, trials, *_):
        if what == "build" and failed:
            later.append((len(trials), min(failed) // 2))
        # A stack of eight, a half of it, and then another one that is older than both.
        size, expected = len(trials), [(8, 32), (4, 32), (8, 60)][len(failed) : len(failed) + 1]
        if what == "step" and [(size, 60 if max(trials) >= 10 else 32)] == expected:
            failed.append(size)
            raise ERRORS["cuda"]

    first = [make_config(number=n, seed=n, batch_size=32) for n in range(8)]
    second = [make_config(number=10 + n, seed=n, batch_size=60) for n in range(8)]
    outcomes = Driver(make_engine(small, watch=watch)).run(*first, *second)
    assert failed == [8, 4, 8]
    assert {o.state for o in outcomes} == {TrialState.COMPLETE}
    assert all(size <= limit for size, limit in later), later


def test_running_out_of_memory_is_said(small):
    driver = Driver(make_engine(small, watch=RunsOut("step", 3)))
    driver.run(*several())
    assert driver.notices[0] == (
        "memory ran out with 5 trials at once: trials 0, 1, 2, 3, 4 start again, 2 at once"
    ), driver.notices


class SharedMemory:
    """A device with room for so many lanes, whatever stacks they are in."""

    def __init__(self, room: int, name: str = "stacked") -> None:
        self._room, self._name = room, name
        self._groups: weakref.WeakSet = weakref.WeakSet()

    def build(self, lanes, batches):
        taken = sum(len(group.lanes) for group in self._groups)
        if taken + len(lanes) > self._room:
            # A new one: the traceback of a shared one would keep groups alive.
            raise torch.OutOfMemoryError("CUDA out of memory")
        group = GROUPS[self._name](lanes, batches)
        self._groups.add(group)
        return group


@pytest.mark.parametrize("room", [1, 2, 3, 4])
def test_halves_that_have_no_room_beside_each_other_come_one_after_the_other(small, room):
    """A stack's halves need as much memory as the stack: they must not start together."""
    shared = SharedMemory(room)
    engine = Engine(make_settings(lanes=8, precision="float64"), small, shared.build)
    outcomes = Driver(engine).run(*several())
    for ours, theirs in zip(outcomes, train(small, *several(), precision="float64"), strict=True):
        assert_same(ours, theirs)
