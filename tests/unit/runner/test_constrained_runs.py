"""Constraints on costs of own data: known once the data are read, and before a study exists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import HERE, sqlite_url

import sweep
from sweep.errors import InputError, StoreError
from sweep.fresh_seeds import train_confirmation
from sweep.records import StudyRecord, StudyState

X = np.random.default_rng(0).normal(size=(90, 4)) + 3 * (np.arange(90) % 3)[:, None]
DATA = (X, np.arange(90) % 3)
PARAMETERS = {
    "num_layers": {"low": 1, "high": 3},
    "layer_size": {"choices": [16, 64]},
    "epochs": 1,
}
# With four inputs and three classes: 15, 131, 515, 403 and 4675 parameters.
LIMIT = "num_parameters <= 450"
FITTING = {(1, 16), (1, 64), (2, 16), (3, 16)}


def run(storage: str, **changes: Any) -> StudyRecord:
    space = {"name": "mine", "parameters": PARAMETERS, "constraints": [LIMIT], **changes}
    return sweep.run(space, data=DATA, storage=storage, **HERE)


def sizes(study: StudyRecord) -> list[tuple[Any, Any]]:
    return [(trial.params["num_layers"], trial.params["layer_size"]) for trial in study.trials]


def test_a_grid_over_own_data_runs_what_meets_a_limit_on_costs(tmp_path):
    storage = sqlite_url(tmp_path)
    study = run(storage, sampler="grid", budget={"trials": 2})
    assert study.num_trials == 2
    study = sweep.resume("mine", storage=storage, trials=99, **HERE)
    assert (study.state, study.num_trials) == (StudyState.FINISHED, 4)
    assert sorted(sizes(study)) == sorted(FITTING)
    with pytest.raises(StoreError, match=r'constraints: \["num_parameters <= 450"\] → unset'):
        run(storage, sampler="grid", constraints=[])


def test_every_trial_on_own_data_meets_a_limit_on_costs_and_is_confirmed(tmp_path):
    storage = sqlite_url(tmp_path)
    study = run(storage, sampler="random", budget={"trials": 12})
    assert set(sizes(study)) == FITTING
    runs = train_confirmation("mine", top=3, seeds=2, storage=storage, **HERE)
    assert len(runs.trials) == 10
    found = sizes(runs)
    assert set(found[:6]) <= FITTING
    assert set(found[6:]) == {(3, 256), (1, 256)}, "a limit of the search is none for a baseline"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"constraints": ["num_parameters < 15"]}, "none of 10,000 random configurations meets"),
        ({"enqueue": [{"num_layers": 3, "layer_size": 64}]}, "enqueue.0: num_layers=3 layer_size"),
    ],
)
def test_what_cannot_be_met_is_refused_before_a_study_exists(tmp_path, changes, words):
    with pytest.raises(InputError, match=words):
        run(sqlite_url(tmp_path), **changes)
    assert list(Path(tmp_path).iterdir()) == []
