"""What a new study tries first: what it enqueues, then other studies' best, then its priors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers import HERE, SMALL, sqlite_url

import sweep
from sweep.errors import InputError, Interrupted
from sweep.records import Notice, StudyRecord, TrialState
from sweep.store import Store

PARAMETERS = {
    "num_layers": {"low": 1, "high": 2},
    "layer_size": {"choices": [16, 32]},
    "learning_rate": {"low": 1e-3, "high": 1e-2, "log": True},
    "epochs": 2,
    "batch_size": 64,
}
NEXT: dict[str, Any] = {
    **SMALL,
    "name": "next",
    "parameters": PARAMETERS,
    "enqueue": [{"num_layers": 1}],
    "warm_start": {"study": "small", "trials": 2},
    "budget": {"trials": 4},
}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, StudyRecord]:
    storage = sqlite_url(tmp_path_factory.mktemp("first"))
    space = {**SMALL, "parameters": PARAMETERS, "budget": {"trials": 4}}
    return storage, sweep.run(space, storage=storage, **HERE)


def run(space: dict[str, Any], storage: str, **options: Any) -> StudyRecord:
    return sweep.run(space, storage=storage, **{**HERE, **options})


def test_the_best_of_another_study_come_after_what_is_enqueued(first, tmp_path):
    elsewhere, found = first
    space = {**NEXT, "warm_start": {"study": "small", "storage": elsewhere, "trials": 2}}
    events: list[Any] = []
    storage = sqlite_url(tmp_path)
    study = run(space, storage, on_event=events.append)
    assert study.count(TrialState.COMPLETE) == 4
    assert study.trials[0].params["num_layers"] == 1
    best = found.ranked()[:2]
    for mine, theirs in zip(study.trials[1:3], best, strict=True):
        assert mine.params == theirs.params
        assert study.origin(mine) == f"trial {theirs.number} of study 'small'"
    assert study.origin(study.trials[0]) is None
    assert study.origin(study.trials[3]) is None
    notices = [event.text for event in events if isinstance(event, Notice)]
    assert notices == [
        f"trials 1 and 2 start from trial {best[0].number} of study 'small', "
        f"trial {best[1].number} of study 'small'"
    ]
    # It goes on without the other study.
    Path(elsewhere.removeprefix("sqlite:///")).touch()
    more = sweep.resume("next", storage=storage, trials=5, **HERE)
    assert more.count(TrialState.COMPLETE) == 5
    assert more.trials[:4] == study.trials
    assert Store(storage, to_write=False).read_study("next").starting == study.starting


def test_a_bare_name_is_a_study_of_the_same_store(tmp_path):
    storage = sqlite_url(tmp_path)
    run({**SMALL, "parameters": PARAMETERS, "budget": {"trials": 2}}, storage)
    study = run({**NEXT, "warm_start": "small", "enqueue": []}, storage)
    assert [study.origin(trial) is not None for trial in study.trials] == [True, True, False, False]


def test_interrupted_it_is_the_same_study(first, tmp_path):
    elsewhere, _ = first
    space = {**NEXT, "warm_start": {"study": "small", "storage": elsewhere, "trials": 3}}
    whole = run(space, sqlite_url(tmp_path))
    (tmp_path / "cut").mkdir()
    storage = sqlite_url(tmp_path / "cut")
    calls: list[int] = []

    def stop() -> bool:
        calls.append(1)
        return len(calls) > 3

    with pytest.raises(Interrupted, match="interrupted"):
        run(space, storage, stop=stop)
    again = sweep.resume("next", storage=storage, **HERE)
    assert [t.params for t in again.trials] == [t.params for t in whole.trials]
    assert [t.reports for t in again.trials] == [t.reports for t in whole.trials]
    assert run(space, storage).trials == again.trials, "no more are run for those that were given"


@pytest.mark.parametrize(
    ("warm_start", "message"),
    [
        ("smal", r"warm_start: no study 'smal' in .*did you mean 'small'"),
        (
            {"study": "x", "storage": "sqlite:///nowhere.db"},
            "warm_start: no study 'x'.*no such file",
        ),
        ({"study": "small", "trials": 0}, r"warm_start\.trials"),
        ({"trials": 3}, r"warm_start\.study"),
        (["small"], "warm_start"),
        ("empty", "warm_start: study 'empty' has no complete trial yet"),
        ("other", "warm_start: study 'other' has no hyperparameter in common"),
    ],
)
def test_what_cannot_be_started_from_is_refused_before_anything_is_made(
    tmp_path, monkeypatch, warm_start, message
):
    monkeypatch.chdir(tmp_path)
    storage = sqlite_url(tmp_path)
    run({**SMALL, "parameters": PARAMETERS, "budget": {"trials": 1}}, storage)
    if warm_start == "empty":
        with pytest.raises(Interrupted, match="interrupted"):
            run({**SMALL, "name": "empty"}, storage, stop=lambda: True)
    space = {**NEXT, "warm_start": warm_start}
    if warm_start == "other":
        run({**SMALL, "name": "other", "parameters": PARAMETERS, "budget": {"trials": 1}}, storage)
        space["parameters"] = {"activation": {"choices": ["tanh", "elu"]}, "epochs": 1}
        space["enqueue"] = []
    with pytest.raises(InputError, match=message):
        run(space, storage)
    assert "next" not in Store(storage, to_write=False).all_names()


def test_what_breaks_a_constraint_is_not_started_from(first, tmp_path):
    elsewhere, found = first
    best, *others = found.ranked()
    size = best.params["layer_size"]
    space = {
        **NEXT,
        "enqueue": [],
        "constraints": [f"layer_size != {size}"],
        "warm_start": {"study": "small", "storage": elsewhere, "trials": 4},
    }
    study = run(space, sqlite_url(tmp_path))
    others = [trial.number for trial in others if trial.params["layer_size"] != size]
    origins = [study.origin(trial) for trial in study.trials]
    expected = [f"trial {number} of study 'small'" for number in others]
    assert [origin for origin in origins if origin] == expected
    assert all(trial.params["layer_size"] != size for trial in study.trials)
    space["constraints"] = [f"num_layers * layer_size > {2 * size}", "layer_size >= 16"]
    space["parameters"] = {**PARAMETERS, "layer_size": {"choices": [16, 32, 64, 128]}}
    with pytest.raises(InputError, match="no configuration that meets the constraints"):
        run({**space, "name": "none"}, sqlite_url(tmp_path))


def test_another_warm_start_is_another_search(first, tmp_path):
    elsewhere, _ = first
    storage = sqlite_url(tmp_path)
    space = {
        **NEXT,
        "warm_start": {"study": "small", "storage": elsewhere},
        "budget": {"trials": 1},
    }
    run(space, storage)
    with pytest.raises(InputError, match=r"warm_start\.trials: 5 → 2"):
        run({**space, "warm_start": {**space["warm_start"], "trials": 2}}, storage)


def test_the_priors_come_last_and_leave_confirmations_alone(first, tmp_path):
    elsewhere, _ = first
    storage = sqlite_url(tmp_path)
    parameters = {
        **PARAMETERS,
        "layer_size": {"choices": [16, 32], "prior": 32},
        "learning_rate": {**PARAMETERS["learning_rate"], "prior": 0.004},
    }
    space = {
        **NEXT,
        "parameters": parameters,
        "sampler": {"type": "tpe", "seed": 1},
        "warm_start": {"study": "small", "storage": elsewhere, "trials": 1},
    }
    study = run(space, storage)
    point = study.starting[-1]
    assert point.params == {"layer_size": 32, "learning_rate": 0.004}
    assert point.params.items() <= study.trials[2].params.items()
    origins = [study.origin(trial) for trial in study.trials]
    assert origins[::3] == [None, None]
    assert origins[2] == point.origin == "the priors"
    assert study.count(TrialState.COMPLETE) == 4
    with pytest.raises(InputError, match=r"parameters\.layer_size\.prior: 32 → 16"):
        run(
            {
                **space,
                "parameters": {**parameters, "layer_size": {"choices": [16, 32], "prior": 16}},
            },
            storage,
        )
    sweep.confirm("next", storage=storage, top=2, seeds=1, **HERE)
    runs = Store(storage, to_write=False).read_study("next.confirm")
    assert (len(runs.trials), runs.starting) == (2, ())


def test_a_confirmation_starts_from_nothing(first, tmp_path):
    elsewhere, _ = first
    storage = sqlite_url(tmp_path)
    run({**NEXT, "warm_start": {"study": "small", "storage": elsewhere}}, storage)
    sweep.confirm("next", storage=storage, top=1, seeds=2, **HERE)
    runs = Store(storage, to_write=False).read_study("next.confirm")
    assert (len(runs.trials), runs.starting) == (2, ())
