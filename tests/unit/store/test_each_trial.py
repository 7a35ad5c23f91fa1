"""Trials are read a few hundred at a time, and are what Optuna reads of all at once."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

import sweep.store.database as database_module
from sweep.store import Store

RANGES = {
    "rate": FloatDistribution(1e-6, 1.0, log=True),
    "layers": IntDistribution(1, 9),
    "kind": CategoricalDistribution(("a", 1, None)),
}


def trials_of_all_kinds() -> list[FrozenTrial]:
    params = {"rate": 0.5, "layers": 3, "kind": None}
    common = {"params": params, "distributions": RANGES}
    reports = {3: math.inf, 1: -math.inf, 2: 0.25}
    pruned = create_trial(
        state=TrialState.PRUNED, value=-math.inf, intermediate_values=reports, **common
    )
    pruned.datetime_start = datetime(2026, 7, 1, 12)
    return [
        create_trial(value=0.5, user_attrs={"x": [1, {"y": None}]}, **common),
        pruned,
        create_trial(state=TrialState.FAIL, system_attrs={"why": "x"}, **common),
        create_trial(state=TrialState.WAITING, system_attrs={"fixed_params": params}),
        create_trial(state=TrialState.RUNNING, **common),
        create_trial(value=math.inf, **common),
        create_trial(value=0.125, **common),
    ]


@pytest.fixture
def store(storage: str) -> Store:
    """A store with the study `x`, and another one whose trials lie between those of `x`."""
    made = Store(storage, to_write=True)
    one = optuna.create_study(study_name="x", storage=made.storage)
    other = optuna.create_study(study_name="other", storage=made.storage)
    for trial in trials_of_all_kinds():
        one.add_trial(trial)
        other.add_trials([create_trial(value=7.0), create_trial(value=8.0)])
    return made


def id_of(store: Store, name: str) -> int:
    return store.storage.get_study_id_from_name(name)


@pytest.mark.slow
@pytest.mark.parametrize("window", [1, 2, 3, 7, 500])
@pytest.mark.parametrize("to_write", [False, True])
def test_they_are_what_optuna_reads(store, monkeypatch, window, to_write):
    monkeypatch.setattr(database_module, "_WINDOW", window)
    opened = Store(store.url, to_write=to_write)
    expected = store.storage.get_all_trials(id_of(store, "x"))
    assert len(expected) == 7
    for _ in range(2):
        assert list(opened._database.each_trial(id_of(store, "x"))) == expected
    assert len(list(opened._database.each_trial(id_of(store, "other")))) == 14
    assert opened.storage.get_all_trials(id_of(store, "x")) == expected


def test_few_are_in_memory_at_a_time(store, monkeypatch):
    monkeypatch.setattr(database_module, "_WINDOW", 3)
    read: list[int] = []
    all_trials = type(store.storage).get_all_trials

    def count(*arguments: object, **options: object) -> list[FrozenTrial]:
        found = all_trials(*arguments, **options)
        read.append(len(found))
        return found

    monkeypatch.setattr(type(store.storage), "get_all_trials", count)
    trials = store._database.each_trial(id_of(store, "x"))
    assert next(trials).number == 0
    assert read == [3]
    assert [trial.number for trial in trials] == [1, 2, 3, 4, 5, 6]
    assert read == [3, 3, 1]


def test_a_study_without_trials(storage):
    made = Store(storage, to_write=True)
    optuna.create_study(study_name="empty", storage=made.storage)
    assert list(made._database.each_trial(id_of(made, "empty"))) == []


def test_what_is_written_meanwhile_goes_to_the_table(store, monkeypatch, tmp_path: Path):
    monkeypatch.setattr(database_module, "_WINDOW", 2)
    trials = store._database.each_trial(id_of(store, "x"))
    next(trials)
    study = optuna.load_study(study_name="x", storage=store.storage)
    study.add_trial(create_trial(value=9.0))
    assert [trial.number for trial in trials] == [1, 2, 3, 4, 5, 6]
    assert len(study.trials) == 8
    with closing(sqlite3.connect(tmp_path / "studies.db")) as file:
        assert file.execute("SELECT count(*) FROM trials").fetchone() == (22,)
        assert file.execute("SELECT name FROM sqlite_master WHERE type = 'view'").fetchall() == []


def test_after_an_error_all_trials_are_seen_again(store, monkeypatch):
    study_id = id_of(store, "x")
    expected = store.storage.get_all_trials(study_id)
    monkeypatch.setattr(database_module, "_WINDOW", 2)
    with monkeypatch.context() as patch:
        patch.setattr(type(store.storage), "get_all_trials", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError, match="division"):
            list(store._database.each_trial(study_id))
    assert store.storage.get_all_trials(study_id) == expected


def test_inside_a_transaction_nothing_is_lost(store, monkeypatch):
    monkeypatch.setattr(database_module, "_WINDOW", 2)
    study = optuna.load_study(study_name="x", storage=store.storage)
    with store.transaction():
        study.add_trial(create_trial(value=9.0))
        assert len(list(store._database.each_trial(id_of(store, "x")))) == 8
        study.add_trial(create_trial(value=10.0))
    other = Store(store.url, to_write=False)
    assert len(other.storage.get_all_trials(id_of(store, "x"))) == 9
