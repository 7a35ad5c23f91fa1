"""Ctrl-C comes out of this package as `Interrupted`, whatever became of it on the way."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from helpers import HERE, space_mapping, workers

import sweep
from sweep.records import Epoch, StudyState, TrialState
from sweep.store import Store
from sweep.store.trials import Trials


def press_ctrl_c(event: Any) -> None:
    if isinstance(event, Epoch):
        raise KeyboardInterrupt


@pytest.mark.slow
def test_ctrl_c_is_an_interruption_of_this_package(storage):
    goes_on = f"^interrupted; `sweep resume small --storage {storage}` continues$"
    with pytest.raises(sweep.Interrupted, match=goes_on) as caught:
        sweep.run(space_mapping(), storage=storage, on_event=press_ctrl_c, **HERE)
    assert isinstance(caught.value.__cause__, KeyboardInterrupt)
    study = Store(storage, to_write=False).read_study("small")
    assert study.state is StudyState.INTERRUPTED
    assert sweep.resume("small", storage=storage, **HERE).state is StudyState.FINISHED


def test_ctrl_c_before_the_study_is_made(storage, tmp_path, monkeypatch):
    def press(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sweep.runner.workers.share_data", press)
    with pytest.raises(sweep.Interrupted, match="interrupted; run the search again"):
        sweep.run(space_mapping(), storage=storage, **HERE)
    assert list(tmp_path.iterdir()) == []


def test_an_error_that_ctrl_c_caused_is_an_interruption(storage, monkeypatch):
    def change(*_: Any, **__: Any) -> None:
        try:
            raise KeyboardInterrupt
        finally:
            raise sqlite3.ProgrammingError("Cannot operate on a closed database.")

    monkeypatch.setattr(Trials, "change", change)
    with pytest.raises(sweep.Interrupted, match="`sweep resume small "):
        sweep.run(space_mapping(), storage=storage, **HERE)


def test_an_error_after_an_earlier_ctrl_c_of_the_caller_is_an_error(storage):
    try:
        press_ctrl_c(Epoch(()))
    except KeyboardInterrupt:
        with pytest.raises(sweep.InputError, match="no study 'small'"):
            sweep.resume("small", storage=storage)


def test_a_repetition_is_interrupted_with_nothing_written(finished):
    with pytest.raises(sweep.Interrupted, match="nothing was written: reproduce the trial again"):
        sweep.reproduce("small", 0, storage=finished, executor="inline", on_event=press_ctrl_c)
    with pytest.raises(sweep.Interrupted, match="nothing was written: reproduce the trial again"):
        sweep.reproduce("small", 0, storage=finished, executor="inline", stop=lambda: True)


# ---------------------------------------------------------------- what the caller gives


def test_stop_leaves_a_study_that_can_be_read_and_resumed_but_not_confirmed(storage):
    epochs: list[Epoch] = []
    with pytest.raises(sweep.Interrupted, match=f"`sweep resume small --storage {storage}`"):
        sweep.run(
            space_mapping(),
            storage=storage,
            on_event=lambda event: epochs.append(event) if isinstance(event, Epoch) else None,
            stop=lambda: len(epochs) > 5,
            **HERE,
        )
    so_far = sweep.load_study("small", storage=storage)
    assert so_far.state is StudyState.INTERRUPTED
    assert so_far.count(TrialState.COMPLETE) == 1
    with pytest.raises(sweep.StoreError, match=f"`sweep resume small --storage {storage}`"):
        sweep.confirm("small", storage=storage)
    study = sweep.resume("small", storage=storage, **HERE)
    assert study.state is StudyState.FINISHED
    assert study.trials[0] == so_far.trials[0]
    confirmed = sweep.confirm("small", top=1, seeds=1, storage=storage, **HERE)
    assert confirmed.finished


def test_the_command_line_resumes_what_stop_ended(storage, main):
    with pytest.raises(sweep.Interrupted, match="what was trained is saved"):
        sweep.run(space_mapping(), storage=storage, stop=lambda: True, **HERE)
    output, _ = main(f"resume small --storage {storage} --workers 1 --device cpu", code=0)
    assert output.startswith("study small: finished")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind"), [("on_event", ValueError), ("on_event", SystemExit), ("stop", StopIteration)]
)
def test_what_a_function_of_the_caller_raises_is_raised(storage, in_a_process, name, kind):
    before, calls, error = workers(), [], kind("mine")

    def function(*_: Any) -> bool:
        calls.append(workers() - before)
        if any(calls) and len(calls) > 3:
            raise error
        return False

    with pytest.raises(kind, match="mine") as caught:
        sweep.run(space_mapping(), storage=storage, **in_a_process, **{name: function})
    assert caught.value is error
    assert workers() == before
    study = sweep.resume("small", storage=storage, **HERE)
    assert [study.state, len(study.trials)] == [StudyState.FINISHED, 3]
