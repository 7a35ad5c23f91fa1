"""What a new study tries first: what it enqueues, others' best, its priors, the portfolio."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers import HERE, SMALL, sqlite_url

import sweep
from sweep.definitions import Params, parameters_of, with_defaults
from sweep.errors import InputError, Interrupted
from sweep.records import Notice, StudyRecord, TrialState
from sweep.runner import starting
from sweep.space import load_space
from sweep.store import Store
from sweep.words import starting_words

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
        f"starting points: trial 1 from trial {best[0].number} of study 'small', "
        f"trial 2 from trial {best[1].number} of study 'small'"
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
    assert (len(runs.trials), runs.starting) == (4, ())


def test_a_confirmation_starts_from_nothing(first, tmp_path):
    elsewhere, _ = first
    storage = sqlite_url(tmp_path)
    run({**NEXT, "warm_start": {"study": "small", "storage": elsewhere}}, storage)
    sweep.confirm("next", storage=storage, top=1, seeds=2, **HERE)
    runs = Store(storage, to_write=False).read_study("next.confirm")
    assert (len(runs.trials), runs.starting) == (6, ())


# ---------------------------------------------------------------- the portfolio


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> list[Params]:
    """A portfolio of three configurations, which the space of these tests has."""
    sizes = ((2, 32), (1, 32), (2, 16))
    found = [
        with_defaults(
            parameters_of("mlp"), {"num_layers": n, "layer_size": units, "learning_rate": 0.004}
        )
        for n, units in sizes
    ]
    monkeypatch.setattr(starting, "portfolio", lambda _: tuple(found))
    return found


TPE: dict[str, Any] = {
    **NEXT,
    "enqueue": [],
    "warm_start": None,
    "sampler": {"type": "tpe", "seed": 1, "n_startup_trials": 2},
    "budget": {"trials": 6},
}


def given(space: dict[str, Any]) -> list[Params]:
    points = starting.starting_points(
        load_space(space), Store("sqlite:///nowhere.db", to_write=False)
    )
    assert {point.origin for point in points} <= {"the portfolio", "the priors"}
    return [point.params for point in points]


def test_the_portfolio_is_tried_first_and_that_is_said(three, tmp_path):
    events: list[Any] = []
    storage = sqlite_url(tmp_path)
    study = run(TPE, storage, on_event=events.append)
    assert study.count(TrialState.COMPLETE) == 6
    for trial, params in zip(study.trials[:3], three, strict=True):
        assert trial.params == params | {"epochs": 2, "batch_size": 64}
        assert study.origin(trial) == "the portfolio"
    assert [study.origin(trial) for trial in study.trials[3:]] == [None] * 3
    notices = [event.text for event in events if isinstance(event, Notice)]
    assert notices == ["starting points: trials 0 to 2 from the portfolio"]


@pytest.mark.slow
def test_the_report_says_which_trials_come_from_the_portfolio(three, tmp_path):
    storage = sqlite_url(tmp_path)
    study = run(TPE, storage)
    data = sweep.report("next", storage=storage, out=tmp_path / "report").data
    assert data["studies"]["next"]["starting_points"] == [
        {"params": point.params, "origin": "the portfolio"} for point in study.starting
    ]
    page = (tmp_path / "report" / "report.html").read_text()
    assert "Trials 0 to 2 from the portfolio" in page


def test_without_the_portfolio_the_sampler_draws_from_the_start(three, tmp_path):
    off = {**TPE, "sampler": {**TPE["sampler"], "portfolio": False}}
    study = run(off, sqlite_url(tmp_path))
    assert study.starting == ()
    assert study.trials[0].params["learning_rate"] != 0.004
    assert given({**TPE, "sampler": "random"}) == []
    assert given(off) == []


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({}, 3),
        ({"budget": {"trials": 5}}, 2),
        ({"budget": {"trials": 1}}, 0),
        ({"budget": {"timeout": 60}}, 3),
        ({"budget": {"epochs": 8}}, 2),  # of four trials
        # What is given otherwise counts, too.
        ({"enqueue": [{"num_layers": 1}]}, 2),
        ({"enqueue": [{"num_layers": 1}] * 4}, 0),
    ],
)
def test_it_leaves_the_search_half_of_the_trials(three, changes, number):
    assert given({**TPE, **changes}) == given(TPE)[:number]


def test_no_more_than_the_first_five_that_the_space_has_are_tried(three, monkeypatch):
    rates = (0.002, 0.003, 0.004, 0.005, 0.006, 0.007)
    found = [{**three[0], "learning_rate": rate} for rate in rates]
    found.insert(1, {**three[0], "activation": "tanh"})  # which the space has not
    monkeypatch.setattr(starting, "portfolio", lambda _: tuple(found))
    tried = given({**TPE, "budget": {"trials": 64}})
    assert [params["learning_rate"] for params in tried] == list(rates[:5])


def test_what_is_given_otherwise_is_not_tried_twice(three):
    first, second, third = given(TPE)
    budget = {"trials": 20}
    assert given({**TPE, "budget": budget, "enqueue": [second]}) == [first, third]
    names = ("num_layers", "layer_size", "learning_rate")
    parameters = PARAMETERS | {name: {**PARAMETERS[name], "prior": third[name]} for name in names}
    assert given({**TPE, "budget": budget, "parameters": parameters}) == [third, first, second]


def test_an_interrupted_study_goes_on_with_the_portfolio_that_it_was_made_with(
    three, tmp_path, monkeypatch
):
    whole = run(TPE, sqlite_url(tmp_path))
    (tmp_path / "cut").mkdir()
    storage = sqlite_url(tmp_path / "cut")
    calls: list[int] = []

    def stop() -> bool:
        calls.append(1)
        return len(calls) > 3

    with pytest.raises(Interrupted, match="interrupted"):
        run(TPE, storage, stop=stop)
    monkeypatch.setattr(starting, "portfolio", lambda _: ())  # of a newer version
    again = run(TPE, storage)
    assert again.starting == whole.starting
    assert [t.params for t in again.trials] == [t.params for t in whole.trials]
    assert [t.reports for t in again.trials] == [t.reports for t in whole.trials]


def test_the_words_say_which_trials_come_from_where():
    words = starting_words(2, ["trial 7 of study 'x'", "the priors", *["the portfolio"] * 2])
    assert words == (
        "trial 2 from trial 7 of study 'x', trial 3 from the priors, "
        "trials 4 and 5 from the portfolio"
    )
