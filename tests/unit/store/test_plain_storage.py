"""Plain SQL leaves the rows that Optuna's own storage leaves, and refuses what it refuses."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState

from sweep.store import Store
from sweep.store.plain_storage import PlainStorage

TABLES = (
    "trials",
    "trial_params",
    "trial_values",
    "trial_intermediate_values",
    "trial_system_attributes",
    "trial_user_attributes",
)
VALUES = (0.1, -0.0, 1e-320, 1.7e308, math.nan, math.inf, -math.inf, 1)


@pytest.fixture
def plain(tmp_path) -> PlainStorage:
    storage = Store(f"sqlite:///{tmp_path}/plain.db", to_write=True).storage
    assert isinstance(storage, PlainStorage)
    return storage


@pytest.fixture
def stock(tmp_path) -> RDBStorage:
    return RDBStorage(f"sqlite:///{tmp_path}/stock.db")


def fill(storage: RDBStorage) -> list[Any]:
    """Make trials of every kind; returns what the calls gave and what is read afterwards."""
    study = storage.create_new_study([StudyDirection.MAXIMIZE], "made")
    storage.create_new_study([StudyDirection.MAXIMIZE], "other")
    said: list[Any] = []
    for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING):
        trial = storage.create_new_trial(study)
        storage.set_trial_param(trial, "a", 0.5, FloatDistribution(0.0, 1.0))
        storage.set_trial_param(trial, "b", 3, IntDistribution(1, 8, log=True))
        storage.set_trial_param(trial, "c", 1, CategoricalDistribution(("x", "é")))
        for step, value in enumerate(VALUES, start=1):
            storage.set_trial_intermediate_value(trial, step, value)
        storage.set_trial_intermediate_value(trial, 2, math.inf)  # replaces what was there
        storage.set_trial_system_attr(trial, "k", {"é": [1, None, 0.1]})
        storage.set_trial_system_attr(trial, "k", "again")
        storage.set_trial_user_attr(trial, "u", 1.5)
        values = [math.inf] if state is TrialState.COMPLETE else None
        said.append(storage.set_trial_state_values(trial, state, values))
        said.append(storage.get_trial_id_from_study_id_trial_number(study, trial - 1) == trial)
    waiting = optuna.trial.create_trial(state=TrialState.WAITING, system_attrs={"fixed_params": {}})
    trial = storage.create_new_trial(study, waiting)
    said += [storage.set_trial_state_values(trial, TrialState.RUNNING) for _ in range(2)]
    said += [storage.get_trial(trial).number, storage.get_trial_system_attrs(1)]
    said += [storage.get_trial_user_attrs(1), storage.get_trial_user_attrs(trial)]
    return said


def rows(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Every row of the tables of trials; of the times only the kind and the length."""
    found: dict[str, list[dict[str, Any]]] = {}
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        for table in TABLES:
            query = f"SELECT * FROM {table}"  # noqa: S608
            found[table] = [dict(row) for row in connection.execute(query)]
    for trial in found["trials"]:
        for key in ("datetime_start", "datetime_complete"):
            trial[key] = trial[key] and len(trial[key])
    return found


def test_the_rows_are_those_of_optuna(plain, stock, tmp_path):
    assert fill(plain) == fill(stock)
    ours, theirs = rows(tmp_path / "plain.db"), rows(tmp_path / "stock.db")
    assert len(ours["trials"]) == 5
    assert len(ours["trial_intermediate_values"]) == 4 * len(VALUES)
    for table in TABLES:
        assert repr(ours[table]) == repr(theirs[table])  # 1 is not 1.0 here, and -0.0 not 0.0


def test_times_are_those_of_the_moment(plain, stock):
    """Optuna stores UTC."""
    started = []
    for storage in (stock, plain):
        study = storage.create_new_study([StudyDirection.MAXIMIZE], "made")
        trial = storage.create_new_trial(study)
        storage.set_trial_state_values(trial, TrialState.FAIL)
        found = storage.get_trial(trial)
        started.append(found.datetime_start)
        assert found.datetime_start <= found.datetime_complete
    assert 0 <= (started[1] - started[0]).total_seconds() < 60


def test_reports_are_what_optuna_reads(plain):
    fill(plain)
    expected = plain.get_trial(1).intermediate_values
    assert repr(plain.reports(1)) == repr(dict(sorted(expected.items())))
    plain._connection.execute("UPDATE trial_intermediate_values SET intermediate_value = NULL")
    with pytest.raises(ValueError, match="no number is stored as None and 'FINITE'"):
        plain.reports(1)


@pytest.mark.parametrize("kind", ["plain", "stock"])
def test_what_cannot_be_written_is_refused_as_by_optuna(kind, request):
    storage = request.getfixturevalue(kind)
    fill(storage)
    writes = [
        lambda trial: storage.set_trial_system_attr(trial, "k", 1),
        lambda trial: storage.set_trial_intermediate_value(trial, 1, 0.5),
        lambda trial: storage.set_trial_param(trial, "d", 0.5, FloatDistribution(0.0, 1.0)),
        lambda trial: storage.set_trial_state_values(trial, TrialState.COMPLETE, [1.0]),
    ]
    for write in writes:
        with pytest.raises(UpdateFinishedTrialError):
            write(1)
        with pytest.raises(KeyError):
            write(99)
    with pytest.raises(KeyError):
        storage.create_new_trial(99)
    with pytest.raises(KeyError):
        storage.get_trial_id_from_study_id_trial_number(1, 99)
    with pytest.raises(KeyError):
        storage.get_trial_system_attrs(99)
    with pytest.raises(ValueError, match="distribution"):
        storage.set_trial_param(5, "a", 1, CategoricalDistribution(("x", "y")))
    storage.set_trial_param(5, "a", 3.0, FloatDistribution(0.0, 4.0))  # another range is allowed
    assert storage.get_trial(5).params == {"a": 3.0}
