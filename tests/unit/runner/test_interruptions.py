"""Ctrl-C comes out of this package as `Interrupted`, whatever became of it on the way."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from helpers import HERE, space_mapping

import sweep
from sweep.records import Epoch, StudyState
from sweep.store import Store
from sweep.store.trials import Trials


def press_ctrl_c(event: Any) -> None:
    if isinstance(event, Epoch):
        raise KeyboardInterrupt


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

    monkeypatch.setattr("sweep.runner.workers.read_data", press)
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
