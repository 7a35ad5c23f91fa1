"""Failures are data: they are counted, shown, stop a sweep if there are too many, and run again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
from collections import deque
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from helpers import HERE, space_mapping, sqlite_url, workers

import sweep
from sweep.errors import InputError, Interrupted, StoreError, SweepFailedError
from sweep.execution import Ended, InlineLauncher
from sweep.execution.wire import pack, unpack
from sweep.records import (
    Epoch,
    FailureKind,
    Notice,
    Resumed,
    Save,
    StudyOpened,
    StudyState,
    TrialOutcome,
    TrialState,
)
from sweep.store import Store
from sweep.training.engine import Engine

GOOD = {"learning_rate": 0.05, "momentum": 0.0, "num_layers": 2}
BAD = {"learning_rate": 10.0, "momentum": 0.99, "num_layers": 6}
SPACE = space_mapping(
    parameters={
        "num_layers": {"choices": [2, 6]},
        "layer_size": 64,
        "optimizer": "sgd",
        "learning_rate": {"choices": [0.05, 0.04, 10.0]},
        "momentum": {"choices": [0.0, 0.99]},
        "weight_decay": 1.0,
        "epochs": 6,
        "learning_rate_schedule": "constant",
    },
    enqueue=[BAD, GOOD, BAD, {**GOOD, "learning_rate": 0.04}],  # the same once more is a copy
    budget={"trials": 4},
)


def states(storage: str) -> list[str]:
    study = Store(storage, to_write=False).read_study("small")
    return [trial.state.value for trial in study.trials]


def run(storage: str, **options: Any):
    return sweep.run(SPACE, storage=storage, **HERE, **options)


def copy_of(folder: Path, to: Path) -> str:
    shutil.copytree(folder, to, dirs_exist_ok=True)
    return sqlite_url(to)


@pytest.fixture(scope="module")
def failing_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("failing")
    run(sqlite_url(folder))
    return folder


@pytest.fixture
def failing(failing_folder, tmp_path) -> str:
    """A finished study two of whose four trials failed."""
    return copy_of(failing_folder, tmp_path)


def test_failures_are_shown_with_their_kinds(failing, main):
    storage = failing
    study = Store(storage, to_write=False).read_study("small")
    assert states(storage) == ["FAIL", "COMPLETE", "FAIL", "COMPLETE"]
    assert [trial.number for trial in study.failed] == [0, 2]
    shown, _ = main("show small", code=0)
    assert "failed: 2 trials: 2 nan" in shown
    assert "  trial 0  nan: epoch " in shown
    assert "run them again with `sweep resume small --retry-failed`" in shown
    shown, _ = main(f"show small --storage {storage}", code=0)
    assert f"`sweep resume small --storage {storage} --retry-failed`" in shown
    data = json.loads(main("show small --json", code=0)[0])
    assert data["failures"] == {"nan": 2}
    assert data["trials"][0]["failure"]["kind"] == "nan"
    assert data["trials"][1]["failure"] is None


def test_one_failure_too_many_stops_the_sweep(storage):
    with pytest.raises(SweepFailedError, match=r"2 trials failed, and max_failures is 1; .* nan"):
        run(storage, max_failures=1)
    assert states(storage)[:3] == ["FAIL", "COMPLETE", "FAIL"]
    with pytest.raises(StoreError, match=r"has 2 failed trials, and max_failures is 1;") as refused:
        sweep.resume("small", storage=storage, max_failures=1, **HERE)
    assert f"`sweep resume small --storage {storage} --retry-failed`" in str(refused.value)
    study = sweep.resume("small", storage=storage, max_failures=2, **HERE)
    assert [trial.state.value for trial in study.trials] == ["FAIL", "COMPLETE"] * 2


def test_the_budget_names_the_failures_that_a_study_may_have(storage):
    space = {**SPACE, "budget": {"trials": 4, "max_failures": 0}}
    with pytest.raises(SweepFailedError, match="1 trial failed, and max_failures is 0"):
        sweep.run(space, storage=storage, **HERE)


def test_failed_trials_are_run_again_beyond_the_total(failing, main):
    storage = failing
    study = sweep.resume("small", storage=storage, retry_failed=True, **HERE)
    assert len(study.trials) == 6
    assert study.num_trials == 6
    assert [trial.retry_of for trial in study.trials] == [None] * 4 + [0, 2]
    assert study.trials[4].params == study.trials[0].params
    # These fail whenever they are run; only their repetitions are run again.
    assert [trial.number for trial in study.failed] == [4, 5]
    shown, _ = main("show small", code=0)
    assert "(2 complete, 4 fail)" in shown
    assert "failed and not run again: 2 trials: 2 nan" in shown
    study = sweep.resume("small", storage=storage, retry_failed=True, **HERE)
    assert [trial.retry_of for trial in study.trials[6:]] == [4, 5]
    study = sweep.resume("small", storage=storage, **HERE)
    assert len(study.trials) == 8


def test_without_failures_there_is_nothing_to_run_again(finished):
    study = sweep.resume("small", storage=finished, retry_failed=True, **HERE)
    assert len(study.trials) == study.num_trials == 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_failures": -1}, "max_failures must be at least 0; found -1"),
        ({"trial_time_limit": 0.0}, "trial_time_limit must be above 0 seconds; found 0.0"),
        ({"checkpoint_every": 0.0}, "checkpoint_every must be above 0 seconds; found 0.0"),
        ({"keep_weights": 0}, "keep_weights must be at least 1; found 0"),
    ],
)
def test_nonsense_is_refused_before_anything_is_made(storage, tmp_path, options, words):
    with pytest.raises(InputError, match=words):
        run(storage, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_trial_that_takes_too_long_fails_and_the_others_go_on(storage, clock, in_a_process):
    """Trial 0 hangs: its worker is stopped in the middle of it."""
    stopped: list[int] = []
    before = workers()
    space = {**SPACE, "enqueue": [GOOD] * 3, "budget": {"trials": 3}}

    def on_event(event: Any) -> None:
        if isinstance(event, Epoch) and not stopped:
            (worker,) = workers() - before
            os.kill(worker, signal.SIGSTOP)
            stopped.append(worker)
            clock.ahead += 3601

    study = sweep.run(
        space, storage=storage, trial_time_limit=3600, on_event=on_event, **in_a_process
    )
    assert [trial.state.value for trial in study.trials] == ["FAIL", "COMPLETE", "COMPLETE"]
    failure = study.trials[0].outcome.failure
    assert failure.kind is FailureKind.TIME_LIMIT
    assert failure.reason == "it exceeded its time limit of 3600 s"
    assert study.trials[0].epochs_run >= 1
    assert study.trials[0].lost == ()


def test_a_trial_that_exceeds_its_limit_while_it_is_saved_fails_as_any_other(
    storage, clock, monkeypatch
):
    space = {**SPACE, "enqueue": [GOOD], "budget": {"trials": 1}}
    save = Engine.save

    def save_long(engine: Engine) -> Any:
        saved = list(save(engine))
        yield from saved
        if any(checkpoint.epoch >= 1 for checkpoint in saved):
            clock.ahead += 3601

    monkeypatch.setattr(Engine, "save", save_long)
    study = sweep.run(space, storage=storage, trial_time_limit=3600, checkpoint_every=1e-9, **HERE)
    assert study.trials[0].outcome.failure.kind is FailureKind.TIME_LIMIT
    assert study.trials[0].epochs_run >= 1


def test_a_repetition_that_was_not_started_is_not_forgotten(storage):
    space = {**SPACE, "enqueue": [BAD], "budget": {"trials": 1}}
    sweep.run(space, storage=storage, **HERE)
    with pytest.raises(Interrupted, match="interrupted; "):
        sweep.resume("small", storage=storage, retry_failed=True, stop=lambda: True, **HERE)
    assert states(storage) == ["FAIL", "WAITING"]
    study = sweep.run(space, storage=storage, **HERE)
    assert [trial.state.value for trial in study.trials] == ["FAIL", "FAIL"]
    assert study.num_trials == 2


GRID = space_mapping(
    parameters={
        **SPACE["parameters"],
        "num_layers": 6,
        "momentum": 0.99,
        "learning_rate": {"choices": [0.001, 0.002, 0.004, 10.0]},
    },
    sampler={"type": "grid", "seed": 6},
    budget={},
)
"""Four configurations, of which the second one fails whenever it is run."""


def learning_rates(study) -> list[Any]:
    return [trial.params.get("learning_rate") for trial in study.trials]


def test_a_failure_of_a_used_up_grid_is_run_again(storage, main):
    grid = sweep.run(GRID, storage=storage, **HERE)
    assert [trial.number for trial in grid.failed] == [1]
    assert sorted(learning_rates(grid)) == [0.001, 0.002, 0.004, 10.0]

    opened: list[StudyOpened] = []

    def on_event(event: Any) -> None:
        if isinstance(event, StudyOpened):
            opened.append(event)

    with pytest.raises(Interrupted, match="interrupted; "):
        sweep.resume("small", storage=storage, retry_failed=True, stop=lambda: True, **HERE)
    waiting = Store(storage, to_write=False).read_study("small")
    assert waiting.trials[4].state is TrialState.WAITING
    assert [trial.number for trial in waiting.failed] == [1], "what waits was not run again"
    assert "failed: 1 trial: 1 nan" in main("show small", code=0)[0]

    study = sweep.resume(
        "small", storage=storage, retry_failed=True, max_failures=1, on_event=on_event, **HERE
    )
    assert opened[0].study.num_trials == 5
    assert learning_rates(study) == [*learning_rates(grid), 10.0]
    assert [trial.retry_of for trial in study.trials] == [None] * 4 + [1]
    assert [trial.number for trial in study.failed] == [4]
    shown, _ = main("show small", code=0)
    assert "study small: finished, 5 of 5 trials (3 complete, 2 fail)" in shown
    assert sweep.resume("small", storage=storage, trials=9, **HERE).trials == study.trials


@pytest.fixture(scope="module")
def stopped_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.raises(SweepFailedError, match="max_failures is 0"):
        sweep.run(GRID, storage=sqlite_url(folder), max_failures=0, **HERE)
    return folder


@pytest.fixture
def stopped(stopped_folder, tmp_path) -> str:
    """A grid that was stopped by the failure of its second trial."""
    return copy_of(stopped_folder, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["run", "resume"])
def test_an_interrupted_repetition_takes_no_configuration_from_the_grid(stopped, command):
    """Only two trials were run when the failure was to be repeated."""
    storage = stopped
    ended: list[int] = []

    def on_event(event: Any) -> None:
        if isinstance(event, TrialOutcome):
            ended.append(event.trial)

    with pytest.raises(Interrupted, match="interrupted; "):
        sweep.resume(
            "small",
            storage=storage,
            retry_failed=True,
            on_event=on_event,
            stop=lambda: bool(ended),
            **HERE,
        )
    assert ended == [2]
    if command == "run":
        study = sweep.run(GRID, storage=storage, **HERE)
    else:
        study = sweep.resume("small", storage=storage, **HERE)
    assert study.num_trials == len(study.trials) == 5
    assert sorted(learning_rates(study)) == [0.001, 0.002, 0.004, 10.0, 10.0]
    assert learning_rates(study)[1:3] == [10.0, 10.0]


def test_failures_that_are_run_again_do_not_refuse_the_repetition(stopped):
    storage = stopped
    options = {"storage": storage, "retry_failed": True, "max_failures": 0, **HERE}
    with pytest.raises(Interrupted, match="interrupted; "):
        sweep.resume("small", stop=lambda: True, **options)
    with pytest.raises(Interrupted, match="interrupted; "):
        sweep.resume("small", stop=lambda: True, **options)
    assert states(storage) == ["COMPLETE", "FAIL", "WAITING"]


@pytest.mark.parametrize("options", [{"trials": 40}, {"trials": 40, "keep_weights": 1}, {}])
def test_a_refused_resume_changes_nothing(failing, tmp_path, options):
    storage = failing
    before = everything(tmp_path)
    with pytest.raises(StoreError, match="has 2 failed trials, and max_failures is 0"):
        sweep.resume("small", storage=storage, max_failures=0, **options, **HERE)
    assert everything(tmp_path) == before
    study = Store(storage, to_write=False).read_study("small")
    assert (study.state, study.num_trials) == (StudyState.FINISHED, 4)


def everything(folder: Path) -> list[str]:
    """Every row of the store."""
    with closing(sqlite3.connect(folder / "studies.db")) as database:
        return list(database.iterdump())


@pytest.mark.slow
def test_lanes_of_a_worker_that_died_are_tried_again_one_by_one(storage, in_a_process):
    """All four lose their worker; each ends as it would have, in a worker of its own."""
    before = workers()
    killed: list[int] = []
    notices: list[str] = []
    ended: dict[int, int] = {}

    def on_event(event: Any) -> None:
        match event:
            case Epoch((metrics, *_)) if metrics.epoch == 2 and not killed:
                (worker,) = workers() - before
                os.kill(worker, signal.SIGKILL)
                killed.append(worker)
            case Notice(text):
                notices.append(text)
            case TrialOutcome():
                ended[event.trial] = event.num_lanes

    space = {**SPACE, "enqueue": [GOOD] * 4, "budget": {"trials": 4}}
    options = {**in_a_process, "engine": "stacked", "lanes": 4}
    study = sweep.run(space, storage=storage, on_event=on_event, **options)
    assert killed
    assert [trial.state.value for trial in study.trials] == ["COMPLETE"] * 4
    assert [len(trial.lost) for trial in study.trials] == [1] * 4
    assert sum("it is tried again, on its own (1 of 2)" in text for text in notices) == 4
    assert sorted(ended) == [0, 1, 2, 3]


@pytest.mark.parametrize("num_lost", [0, 2])
def test_a_worker_that_is_killed_after_a_stop_blames_no_trial(storage, num_lost):
    """As systemd does, if it takes too long; also a trial that must not lose another worker."""
    space = space_mapping(budget={"trials": 1})
    events: list[Any] = []

    class Dying(DiesInAnEpoch):
        num_deaths = num_lost + 1

    def stop() -> bool:
        return sum(isinstance(event, Epoch) for event in events) > num_lost

    options = {**HERE, "executor": Dying, "checkpoint_every": 1000.0}
    with pytest.raises(Interrupted, match="interrupted; "):
        sweep.run(space, storage=storage, stop=stop, on_event=events.append, **options)
    study = Store(storage, to_write=False).read_study("small")
    assert study.trials[0].state is TrialState.RUNNING
    assert len(study.trials[0].lost) == num_lost

    events.clear()
    study = sweep.resume("small", storage=storage, on_event=events.append, **HERE)
    assert study.trials[0].state is TrialState.COMPLETE
    notices = [event.text for event in events if isinstance(event, Notice)]
    assert notices == ["trial 0 repeats 1 epoch that had not been saved"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Any:
    """The study of one trial that nothing happened to."""
    storage = sqlite_url(tmp_path_factory.mktemp("undisturbed"))
    return sweep.run({**SPACE, "enqueue": [GOOD]}, storage=storage, trials=1, **HERE)


def test_damaged_checkpoints_are_said_and_the_one_before_is_used(storage, tmp_path, undisturbed):
    interrupted_after(storage, epochs=4)
    newest, _ = checkpoints(storage, tmp_path)
    newest.write_bytes(newest.read_bytes()[:-7])
    notices: list[str] = []
    study = resume_with(storage, notices)
    assert notices == [
        "trial 0: its checkpoint is missing or damaged; the trial continues from the one before, "
        f"after {notices[0].rsplit('after ', 1)[1]}"
    ]
    assert losses(study) == losses(undisturbed)


def test_without_a_whole_checkpoint_a_trial_starts_again(storage, tmp_path, undisturbed):
    interrupted_after(storage, epochs=4)
    newest, other = checkpoints(storage, tmp_path)
    newest.unlink()
    other.write_bytes(b"")
    notices: list[str] = []
    study = resume_with(storage, notices)
    assert notices == [
        "trial 0: its checkpoint is missing or damaged; the trial starts again: there is no other"
    ]
    assert losses(study) == losses(undisturbed)


def interrupted_after(storage: str, epochs: int) -> None:
    """A study of one trial that was stopped in the middle."""
    reported: list[int] = []

    def on_event(event: Any) -> None:
        if isinstance(event, Epoch):
            reported.extend(metrics.epoch for metrics in event.metrics)

    with pytest.raises(Interrupted, match="interrupted; "):
        sweep.run(
            {**SPACE, "enqueue": [GOOD], "budget": {"trials": 1}},
            storage=storage,
            checkpoint_every=1e-6,
            on_event=on_event,
            stop=lambda: len(reported) >= epochs,
            **HERE,
        )


def checkpoints(storage: str, folder) -> tuple[Any, Any]:
    """The files of the newest and the former checkpoint."""
    newest, former = Store(storage, to_write=False).trials("small").recorded_checkpoints(0)
    assert newest.is_file()
    assert former.is_file()
    return newest, former


def resume_with(storage: str, notices: list[str]):
    opened: list[StudyOpened] = []

    def on_event(event: Any) -> None:
        if isinstance(event, Notice):
            notices.append(event.text)
        if isinstance(event, StudyOpened):
            opened.append(event)

    study = sweep.resume("small", storage=storage, on_event=on_event, **HERE)
    assert opened[0].study.trials[0].state is TrialState.RUNNING
    return study


def losses(study) -> list[float]:
    return [metrics.values["train_loss"] for metrics in study.trials[0].outcome.history]


class DiesInAnEpoch(InlineLauncher):
    """In line; a worker is killed after its first epoch, as often as `num_deaths` says."""

    num_deaths = 1

    def __init__(self) -> None:
        super().__init__()
        self._dying: list[Any] = []
        self._left = self.num_deaths

    def receive(self, timeout: float) -> tuple[Any, bytes | Ended] | None:
        if self._dying:
            return self._dying.pop(), Ended("signal 9", by_itself=False)
        received = super().receive(timeout)
        if received is None or self._left == 0:
            return received
        link, data = received
        if isinstance(data, bytes) and isinstance(unpack(data)[0], Epoch):
            self._left -= 1
            self._dying.append(link)
        return received


class DiesOnceSaved(InlineLauncher):
    """In line; after an epoch the first worker is saved, and has gone before anybody looks."""

    def __init__(self) -> None:
        super().__init__()
        self._queue: deque[tuple[Any, bytes | Ended]] = deque()
        self._is_over = False

    def receive(self, timeout: float) -> tuple[Any, bytes | Ended] | None:
        if self._queue:
            return self._queue.popleft()
        received = super().receive(timeout)
        if received is None or self._is_over:
            return received
        link, data = received
        if isinstance(data, bytes) and isinstance(unpack(data)[0], Epoch):
            self._is_over = True
            link.send(pack(Save()))
            while link.said:
                self._queue.append((link, link.said.popleft()))
            self._queue.append((link, Ended("signal 9", by_itself=False)))
        return received


def test_a_trial_goes_on_from_a_checkpoint_that_came_with_the_news_of_its_workers_end(storage):
    events: list[Any] = []
    study = sweep.run(
        space_mapping(budget={"trials": 1}),
        storage=storage,
        on_event=events.append,
        **{**HERE, "executor": DiesOnceSaved},
    )
    assert [len(event.history) for event in events if isinstance(event, Resumed)] == [1]
    epochs = [m.epoch for event in events if isinstance(event, Epoch) for m in event.metrics]
    assert epochs == [1, 2, 3, 4], "none is trained twice"
    assert study.trials[0].state is TrialState.COMPLETE
    assert len(study.trials[0].lost) == 1
