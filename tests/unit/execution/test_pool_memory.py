"""When memory runs out, trials are tried again, fewer at a time, and end as they would have."""

from __future__ import annotations

import weakref

import pytest
import torch
from driving import GROUPS, Driver, WatchedGroup, assert_same, make_engine, prune_at, several, train
from helpers import make_config, make_settings
from pooling import drive, inline

from sweep.data import TrainingData
from sweep.records import FailureKind, OutOfMemory, TrialState
from sweep.training.engine import Engine

ERRORS = {
    "cuda": lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "cpu": lambda: RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you"),
    "python": MemoryError,
}


def watched(watch):
    """Stacks that say what they are asked for, which may raise."""

    def build(lanes, batches):
        watch("build", sorted(lane.config.number for lane in lanes))
        return WatchedGroup(GROUPS["stacked"](lanes, batches), watch)

    return build


class RunsOut:
    """Runs out of memory once, at the n-th of these calls of a stack."""

    def __init__(self, place: str, count: int, error=ERRORS["cuda"]) -> None:
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
                raise self.error()


# ------------------------------------------------------------ what an engine gives back


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("place", ["build", "begin_epoch", "step", "finish_epoch"])
def test_a_stack_that_runs_out_of_memory_is_given_back(small: TrainingData, place, error):
    driver = Driver(make_engine(small, watch=RunsOut(place, 1, error)))
    assert driver.run() == []
    driver.add(*several())
    while driver.num_open:
        driver.turn()
    assert driver.out_of_memory == [OutOfMemory((0, 1, 2, 3, 4), 5)]
    assert driver.engine.is_idle


def test_a_lane_whose_best_weights_cannot_be_copied_is_given_back_alone(small: TrainingData):
    driver = Driver(make_engine(small, watch=RunsOut("copy_weights", 2)))
    driver.add(*several())
    while driver.num_open:
        driver.turn()
    (given_back,) = driver.out_of_memory
    assert (len(given_back.trials), given_back.num_together) == (1, 5)
    assert len(driver.outcomes) == 4


@pytest.mark.parametrize("name", GROUPS)
def test_a_trial_that_runs_out_of_memory_on_its_own_has_failed(small: TrainingData, name):
    driver = Driver(make_engine(small, name, watch=RunsOut("step", 3)))
    (outcome,) = driver.run(make_config())
    assert outcome.state is TrialState.FAIL
    assert outcome.failure.kind is FailureKind.OUT_OF_MEMORY
    assert "CUDA out of memory" in outcome.failure.reason


def test_it_is_given_back_if_another_stack_may_have_taken_the_memory(small: TrainingData):
    driver = Driver(make_engine(small, watch=RunsOut("step", 6)))
    driver.add(make_config(number=0), make_config(number=1, batch_size=60))
    while driver.num_open:
        driver.turn()
    (given_back,) = driver.out_of_memory
    assert given_back.num_together == 1
    assert len(driver.outcomes) == 1


@pytest.mark.parametrize("count", [1, 2])
def test_memory_that_runs_out_while_a_checkpoint_is_loaded_ends_no_worker(
    small: TrainingData, monkeypatch, count
):
    configs = [make_config(number=number) for number in range(count)]
    engine = make_engine(small)
    engine.add(configs)
    engine.advance(0.0)
    saved = {checkpoint.trial: checkpoint for checkpoint in engine.save()}

    def run_out(*_, **__):
        raise ERRORS["cuda"]()

    monkeypatch.setattr("sweep.training.engine.Checkpoints.resume", run_out)
    messages = make_engine(small).add(configs, saved)
    if count == 1:
        (outcome,) = messages
        assert outcome.failure.kind is FailureKind.OUT_OF_MEMORY
    else:
        assert messages == [OutOfMemory((number,), 2) for number in range(2)]


def test_each_worker_has_its_share(small: TrainingData, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "sweep.training.engine.available_bytes", lambda *arguments: asked.append(arguments) or 7
    )
    assert make_engine(small, num_sharing=3).memory_bytes == 7
    assert asked == [(torch.device("cpu"), 3)]
    monkeypatch.setattr("sweep.training.engine.available_bytes", lambda *_: None)
    assert make_engine(small).memory_bytes is None


# ------------------------------------------------------------ what becomes of it


@pytest.mark.parametrize("most", [4, 2, 1])
def test_a_stack_that_cannot_be_built_is_halved_until_it_can(small: TrainingData, most):
    built: list[list[int]] = []

    def watch(what, trials, *_):
        if what == "build":
            built.append(trials)
            if len(trials) > most:
                raise ERRORS["cuda"]()

    found = drive(inline(small, watched(watch)), *several())
    sizes = [len(trials) for trials in built]
    assert sizes[0] == 5
    assert all(size <= 2 for size in sizes[1:])
    assert sum(size for size in sizes if size <= most) == 5, "each trial is built once"
    for ours, theirs in zip(
        found.outcomes, train(small, *several(), precision="float64"), strict=True
    ):
        assert_same(ours, theirs)


def test_a_trial_that_does_not_fit_alone_fails_alone(small: TrainingData):
    def watch(what, trials, *_):
        if what == "build" and 2 in trials:
            raise ERRORS["cuda"]()

    found = drive(inline(small, watched(watch)), *several())
    expected = train(small, *several(), precision="float64")
    for ours, theirs in zip(found.outcomes, expected, strict=True):
        if ours.trial == 2:
            assert ours.state is TrialState.FAIL
            assert ours.failure.kind is FailureKind.OUT_OF_MEMORY
        else:
            assert_same(ours, theirs)


@pytest.mark.parametrize("save_every", [None, 0.001], ids=["from the start", "from checkpoints"])
@pytest.mark.parametrize(
    ("place", "count"),
    [("begin_epoch", 2), ("step", 1), ("step", 7), ("finish_epoch", 2), ("keep", 1)],
)
def test_a_stack_that_ran_out_of_memory_ends_as_it_would_have(
    small: TrainingData, place, count, save_every
):
    answer = prune_at({1: 1, 3: 2})
    watch = RunsOut(place, count)
    found = drive(inline(small, watched(watch)), *several(), answer=answer, save_every=save_every)
    assert watch.happened_to is not None, "the test needs a failure"
    assert {lost.failure for lost in found.lost} == {None}
    assert all(len(trials) <= max(1, len(watch.happened_to) // 2) for trials in watch.built[1:])
    expected = train(small, *several(), answer=answer, precision="float64")
    for ours, theirs in zip(found.outcomes, expected, strict=True):
        assert_same(ours, theirs)


def test_memory_that_runs_out_while_lanes_are_put_back_loses_none(small: TrainingData):
    """A stack continues from checkpoints, and does not fit any more."""
    configs = [make_config(number=n, seed=n, epochs=3) for n in range(4)]
    engine = make_engine(small, precision="float64")
    driver = Driver(engine)
    driver.add(*configs)
    for _ in range(9):
        driver.turn()
    saved = {checkpoint.trial: checkpoint for checkpoint in engine.save()}
    assert saved.keys() == {0, 1, 2, 3}

    def watch(what, trials, *_):
        if what == "build" and len(trials) > 2:
            raise ERRORS["cuda"]()

    found = drive(inline(small, watched(watch)), *configs, checkpoints=saved)
    assert found.resumed == {trial: checkpoint.epoch for trial, checkpoint in saved.items()}
    expected = train(small, *configs, precision="float64")
    for ours, theirs in zip(found.outcomes, expected, strict=True):
        assert_same(ours, theirs)


class SharedMemory:
    """A device with room for so many lanes, whatever stacks they are in."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._groups: weakref.WeakSet = weakref.WeakSet()

    def build(self, lanes, batches):
        taken = sum(len(group.lanes) for group in self._groups)
        if taken + len(lanes) > self._room:
            # A new one: the traceback of a shared one would keep groups alive.
            raise ERRORS["cuda"]()
        group = GROUPS["stacked"](lanes, batches)
        self._groups.add(group)
        return group


@pytest.mark.parametrize("room", [1, 2, 3, 4])
def test_halves_that_have_no_room_beside_each_other_come_one_after_the_other(
    small: TrainingData, room
):
    """A stack's halves need as much memory as the stack: they must not start together."""
    found = drive(inline(small, SharedMemory(room).build), *several())
    expected = train(small, *several(), precision="float64")
    for ours, theirs in zip(found.outcomes, expected, strict=True):
        assert_same(ours, theirs)


def test_an_engine_trains_as_it_is_told_and_plans_nothing(small: TrainingData):
    built: list[list[int]] = []
    engine = Engine(
        make_settings(engine="stacked", lanes=2),
        small,
        watched(lambda what, trials, *_: built.append(trials) if what == "build" else None),
    )
    engine.add(several())
    assert built == [[0, 1, 2, 3, 4]], "lanes are the pool's to count"
