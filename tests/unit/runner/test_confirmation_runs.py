"""Which configurations are trained again, on which seeds, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import DIGITS, HERE, make_metrics, read_confirmation, space_mapping

import sweep
from sweep.data import load_training_data
from sweep.definitions import DATASETS, definition_of, parameters_of, with_defaults
from sweep.errors import DataError, InputError, Interrupted, StoreError, SweepFailedError
from sweep.fresh_seeds import train_confirmation
from sweep.records import (
    Confirms,
    Failure,
    FailureKind,
    Notice,
    StudyRecord,
    StudyState,
    TrialOutcome,
    TrialState,
    baseline_runs,
    candidate_runs,
    chosen_run,
    have_all_ended,
    rank_candidates,
)
from sweep.runner.options import DEFAULTS
from sweep.runner.workers import choose_workers, worker_settings
from sweep.space import load_space, stored_space
from sweep.store import Store, StoredStudy
from sweep.study import StudySession

CONDITIONAL = {
    "num_layers": {"choices": [1, 2]},
    "layer_size": {"choices": [16, 32]},
    "optimizer": {"choices": ["adamw", "sgd"]},
    "momentum": {"low": 0.0, "high": 0.9, "when": {"optimizer": "sgd"}},
    "epochs": 2,
}


BOTH = ("default", "softmax")
"""The baselines of a search whose candidates are neither of them."""


def configuration(num_layers: int, layer_size: int, **others: Any) -> dict[str, Any]:
    found = {"num_layers": num_layers, "layer_size": layer_size, "optimizer": "adamw"}
    return {**found, **others}


def write_study(
    storage: str,
    configurations: list[dict[str, Any]],
    accuracies: list[float],
    *,
    confirms: Confirms | None = None,
    finished: str | None = "trials",
    **changes: Any,
) -> None:
    """A study as if these configurations had been trained, with these values; nan for failures."""
    given = {"parameters": CONDITIONAL, "budget": {"trials": len(accuracies)}, **changes}
    space = load_space(space_mapping(enqueue=configurations, **given))
    facts = load_training_data(DIGITS).facts
    store = Store(storage, to_write=True)
    session = StudySession(store.storage, space.name, space)
    identity = "x" if confirms is None else "runs"
    record = StoredStudy(space.to_json(), facts, confirms, identity=identity)
    store.write_study(space.name, record)
    session.enqueue()
    for accuracy in accuracies:
        config = session.ask()
        store.trials(space.name).change(config.number, config=config)
        ok = not math.isnan(accuracy)
        outcome = TrialOutcome(
            trial=config.number,
            state=TrialState.COMPLETE if ok else TrialState.FAIL,
            history=(make_metrics(config.number, 1, accuracy),) if ok else (),
            num_parameters=definition_of("mlp").cost(config.params, facts.spec).num_parameters,
            best_epoch=1 if ok else None,
            failure=None if ok else Failure(FailureKind.NAN, "loss became nan in epoch 1"),
        )
        store.trials(space.name).write_outcome(outcome, keep=set())
        session.tell(outcome)
    store.change_study(space.name, num_trials=len(accuracies), timeout_seconds=None)
    store.change_study(space.name, finished_by=finished)


def plan(storage: str, **options: Any) -> tuple[StudyRecord, list[str]]:
    """What would be trained; nothing is."""
    notices: list[str] = []

    def note(event: Any) -> None:
        if isinstance(event, Notice):
            notices.append(event.text)

    with pytest.raises(Interrupted, match=f"`sweep confirm small --storage {storage}` continues"):
        train_confirmation(
            "small", storage=storage, on_event=note, stop=lambda: True, **HERE, **options
        )  # fmt: skip
    runs = read_confirmation(storage, "small")
    assert runs is not None
    return runs, notices


def refusal(storage: str, error: type[Exception] = InputError, **options: Any) -> str:
    """The one line that says why nothing is trained; nothing is made either."""
    folder = Path(storage.removeprefix("sqlite:///")).parent
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    with pytest.raises(error, match=r"^[^\n]+$") as caught:
        train_confirmation("small", storage=storage, **HERE, **options)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    return str(caught.value)


# ---------------------------------------------------------------- the runs


def test_the_best_are_trained_again_on_fresh_seeds(confirmed, confirmed_folder):
    store = Store(confirmed, to_write=False)
    search, runs = store.read_study("small"), read_confirmation(store.url, "small")
    best, second, _ = search.ranked()
    trials = (best.number, second.number)
    expected = Confirms("small", trials, 2, 3, search.identity, baselines=BOTH)
    assert runs.confirms == expected
    assert search.confirms is None
    assert runs.state is StudyState.FINISHED
    assert [run.state for run in runs.trials] == [TrialState.COMPLETE] * 8
    assert [run.params for run in runs.trials[:4]] == [
        trial.params for trial in (best, second) for _ in range(2)
    ]
    assert runs.data == search.data
    assert runs.objective == search.objective
    assert runs.space["dataset"] == search.space["dataset"]
    assert runs.space["pruner"] == {"type": "none"}

    seeds = {
        name: {store.trials(name).read_config(trial.number, "mlp").seed for trial in study.trials}
        for name, study in (("small", search), ("small.confirm", runs))
    }
    assert len(seeds["small.confirm"]) == 8
    assert not seeds["small"] & seeds["small.confirm"]
    values = [runs.value(run) for run in runs.trials]
    assert values[0] != values[1], "other weights, another result"
    assert all(store.trials("small.confirm").read_weights(run.number) for run in runs.trials)

    events = [seen[0] for seen in confirmed_folder[1]]
    assert sum(isinstance(event, TrialOutcome) for event in events) == 8
    assert all(len(seen) == 1 for seen in confirmed_folder[1]), "nothing was opened meanwhile"


def test_images_come_in_another_order_than_in_the_search(confirmed):
    store = Store(confirmed, to_write=False)
    orders = {
        worker_settings(
            space,
            space.model,
            choose_workers({**DEFAULTS, **HERE}, space),
            DATASETS["digits"],
        ).order_seed
        for space in (stored_space(store.read_study(name)) for name in ("small", "small.confirm"))
    }
    assert len(orders) == 2


def test_each_seed_has_its_own_order_of_images_and_a_search_has_one(confirmed):
    store = Store(confirmed, to_write=False)
    orders = {
        name: [store.trials(name).read_config(n, "mlp").order for n in range(num)]
        for name, num in (("small", 3), ("small.confirm", 8))
    }
    assert orders == {"small": [0, 0, 0], "small.confirm": [0, 1] * 4}


@pytest.mark.parametrize("run", [0, 3, 6])
def test_a_run_of_a_confirmation_is_reproduced_to_the_last_bit(confirmed, run):
    found = sweep.reproduce("small.confirm", run, storage=confirmed, executor="inline")
    assert found.is_identical
    assert found.weights


def test_a_finished_confirmation_trains_nothing(confirmed, monkeypatch):
    monkeypatch.setattr("sweep.fresh_seeds.Request", None)
    monkeypatch.setattr("sweep.runner.workers.share_data", None)
    runs = read_confirmation(confirmed, "small")
    for options in ({}, {"top": 2, "seeds": 2}, {"top": 2}, {"seeds": 2}):
        assert train_confirmation("small", storage=confirmed, **options) == runs


def test_configurations_that_differ_in_nothing_that_counts_are_one(storage):
    write_study(
        storage,
        [
            configuration(1, 16),
            configuration(1, 32),  # softmax regression has no hidden layer
            configuration(2, 16, optimizer="sgd", momentum=0.5),
            configuration(2, 16),
            configuration(2, 16),
            configuration(2, 16, optimizer="sgd", momentum=0.6),
        ],
        [0.9, 0.95, 0.8, 0.7, 0.85, 0.6],
    )
    runs, notices = plan(storage, top=9, seeds=3)
    assert runs.confirms == Confirms("small", (1, 4, 2, 5), 3, 6, "x", baselines=BOTH)
    assert notices == [
        "study small has only 4 configurations to confirm, not 9: no more COMPLETE trials differ"
    ]
    space = load_space(runs.space)
    assert space.num_trials == 18
    fourth = configuration(2, 16, epochs=2, momentum=0.9, learning_rate=0.001)
    assert space.enqueue[3:6] == [fourth] * 3
    assert space.domains["learning_rate"].choices == [0.001, 0.05], "each had its optimizer's"
    assert space.domains["momentum"].choices == [0.9, 0.5, 0.6]
    assert space.domains["momentum"].when is None
    assert space.domains["epochs"].choices == [2, 20], "a default beside what the search had fixed"


def test_numbers_that_are_equal_up_to_rounding_are_one_choice(storage):
    momenta = (0.5, 0.5000000000000001, 0.6)
    layers = (1, 2, 2)
    write_study(
        storage,
        [
            configuration(number, 16, optimizer="sgd", momentum=momentum)
            for number, momentum in zip(layers, momenta, strict=True)
        ],
        [0.9, 0.8, 0.7],
    )
    runs, _ = plan(storage, seeds=1)
    space = load_space(runs.space)
    assert space.domains["momentum"].choices == [0.5, 0.6, 0.9]
    found = [(each["num_layers"], each["momentum"]) for each in space.enqueue[:3]]
    assert found == [(1, 0.5), (2, 0.5), (2, 0.6)]
    confirmed = sweep.confirm("small", storage=storage, **HERE)
    assert sorted(each.trial for each in confirmed.candidates) == [0, 1, 2]
    trained = read_confirmation(storage, "small")
    assert trained is not None
    assert have_all_ended(trained)


def test_a_search_of_one_configuration_is_confirmed_alone(storage):
    write_study(storage, [configuration(2, 16)], [0.9])
    runs, notices = plan(storage)
    assert runs.confirms == Confirms("small", (0,), 5, 1, "x", baselines=BOTH)
    assert set(load_space(runs.space).sampled) == {"num_layers", "layer_size", "epochs"}
    assert len(runs.trials) == 15
    assert notices == [
        "study small has only 1 configuration to confirm, not 5: no more COMPLETE trials differ"
    ]
    again, _ = plan(storage, top=5, seeds=5)
    assert again.confirms == runs.confirms, "the same numbers go on"


def test_a_low_loss_is_better(storage):
    write_study(
        storage,
        [configuration(2, 16), configuration(2, 32)],
        [0.9, 0.8],
        objective="validation_loss",
    )
    runs, _ = plan(storage, top=1)
    assert runs.confirms.trials == (0,)
    assert runs.objective.goal == "minimize"


def test_the_limit_of_a_trials_time_is_kept(storage):
    budget = {"trials": 1, "timeout": "1h", "trial_time_limit": "30m", "max_failures": 0}
    write_study(storage, [configuration(2, 16)], [0.9], budget=budget)
    runs, _ = plan(storage, seeds=2)
    assert load_space(runs.space).budget.model_dump() == {
        **dict.fromkeys(load_space(runs.space).budget.model_dump()),
        "trials": 6,
        "trial_time_limit": 1800.0,
        "audit": 0,
    }


def test_trials_that_came_later_are_not_confirmed(storage, confirmed):
    sweep.resume("small", storage=confirmed, trials=4, **HERE)
    notices: list[Any] = []
    train_confirmation("small", storage=confirmed, on_event=notices.append, **HERE)
    assert notices == [
        Notice(
            "study small has 1 trial more than when its confirmation was begun; the best of its "
            "first 3 are confirmed"
        )
    ]


FRONT = [
    (configuration(2, 32), 0.9),
    (configuration(2, 32, optimizer="sgd", momentum=0.5), 0.95),
    (configuration(2, 16), 0.94),
    (configuration(2, 16, optimizer="sgd", momentum=0.5), 0.93),
    (configuration(1, 16), 0.7),
]
"""Configurations and values; trials 1, 2 and 4 are the front."""


def test_the_points_of_the_front_are_confirmed_and_not_the_best_trials(storage):
    write_study(storage, *map(list, zip(*FRONT, strict=True)))
    runs, notices = plan(storage, front=True, seeds=2)
    assert runs.confirms == Confirms("small", (1, 2, 4), 2, 5, "x", front=True, baselines=BOTH)
    assert notices == []
    assert load_space(runs.space).num_trials == 10
    for options in ({}, {"front": True}, {"top": 3}, {"front": True, "top": 9, "seeds": 2}):
        assert plan(storage, **options)[0].confirms == runs.confirms, "it goes on as begun"


def test_top_bounds_the_points_of_the_front_and_the_best_come_first(storage):
    write_study(storage, *map(list, zip(*FRONT, strict=True)))
    runs, notices = plan(storage, front=True, top=2)
    assert runs.confirms == Confirms("small", (1, 2), 5, 5, "x", front=True, baselines=BOTH)
    assert notices == [
        "the front of study small has 3 points, of which the best 2 are confirmed; --top 3 "
        "confirms all"
    ]
    assert "begun with --front --top 2 --seeds 5; give the same options" in refusal(storage, top=3)


def test_a_front_of_fewer_points_than_asked_for_is_said(storage):
    write_study(storage, *map(list, zip(*FRONT, strict=True)))
    _, notices = plan(storage, front=True, top=7)
    assert notices == ["the front of study small has only 3 points to confirm, not 7"]


def test_ten_points_are_confirmed_if_no_number_is_given(storage):
    sizes = range(12, 0, -1)
    parameters = {"layer_size": {"low": 1, "high": 12}, "num_layers": 2, "epochs": 2}
    write_study(
        storage,
        [{"layer_size": size} for size in sizes],
        [0.5 + size / 100 for size in sizes],
        parameters=parameters,
    )
    runs, notices = plan(storage, front=True, seeds=1)
    assert runs.confirms.trials == tuple(range(10))
    assert "has 12 points, of which the best 10 are confirmed; --top 12 confirms all" in notices[0]


def test_a_confirmation_of_the_best_does_not_become_one_of_the_front(confirmed):
    assert (
        "was begun with --top 2 --seeds 2; give the same options, or none: a search is confirmed "
        "once" in refusal(confirmed, front=True)
    )


# ---------------------------------------------------------------- baselines


def test_what_took_no_search_is_trained_on_the_same_seeds(confirmed):
    runs = read_confirmation(confirmed, "small")
    softmax = with_defaults(parameters_of("mlp"), {"num_layers": 1})
    assert softmax["epochs"] == 20, "the default, not what the search had fixed"
    assert [run.params for run in runs.trials[4:]] == [
        *[with_defaults(parameters_of("mlp"), {})] * 2,
        *[softmax] * 2,
    ]
    assert baseline_runs(runs) == {"default": runs.trials[4:6], "softmax": runs.trials[6:]}
    assert [run.order for run in runs.trials[6:]] == [0, 1]


def test_a_baseline_is_no_candidate_however_good_it_is(confirmed):
    runs = read_confirmation(confirmed, "small")
    assert runs.best.number in (4, 5), "a run of the default configuration"
    assert [*candidate_runs(runs)] == [*runs.confirms.trials]
    assert {trial for trial, _ in rank_candidates(runs)} == set(runs.confirms.trials)
    assert chosen_run(runs).number < 4
    found = sweep.confirm("small", storage=confirmed, **HERE)
    assert {reading.trial for reading in read_confirmation(confirmed, "small").test_readings} < {
        *range(4)
    }
    assert [(each.name, len(each.values)) for each in found.baselines] == [
        ("the default configuration", 2),
        ("softmax regression", 2),
    ]
    assert found.baselines[0].beaten is False


def test_a_confirmation_has_not_ended_while_a_baseline_is_missing(confirmed):
    runs = read_confirmation(confirmed, "small")
    assert have_all_ended(runs)
    for num in (4, 7):
        assert not have_all_ended(replace(runs, trials=runs.trials[:num]))


@pytest.mark.parametrize(
    ("given", "baselines"),
    [
        ({"num_layers": 3, "epochs": 20}, ("softmax",)),
        ({"num_layers": 1, "layer_size": 16, "epochs": 20}, ("default",)),
        ({"num_layers": 1, "epochs": 19}, BOTH),
    ],
    ids=["the default", "softmax regression, whatever its width", "another number of epochs"],
)
def test_a_baseline_that_is_a_candidate_is_not_trained_twice(storage, given, baselines):
    parameters = {name: {"choices": [value]} for name, value in given.items()}
    write_study(storage, [given], [0.9], parameters=parameters)
    runs, _ = plan(storage, seeds=2)
    assert runs.confirms.baselines == baselines
    assert len(runs.trials) == 2 + 2 * len(baselines)


def test_softmax_regression_is_a_baseline_of_the_mlp_alone(storage):
    write_study(
        storage, [{"epochs": 2}], [0.9], model="cnn", parameters={"epochs": {"choices": [2]}}
    )
    runs, _ = plan(storage, seeds=1)
    assert runs.confirms.baselines == ("default",)


def test_a_confirmation_without_baselines_goes_on_without(storage):
    write_study(storage, [configuration(2, 16)], [0.9])
    write_study(
        storage,
        [configuration(2, 16)] * 2,
        [0.8, 0.9],
        name="small.confirm",
        confirms=Confirms("small", (0,), 2, 1, "x"),
    )
    runs = train_confirmation("small", storage=storage, **HERE)
    assert len(runs.trials) == 2
    assert have_all_ended(runs)


@pytest.mark.slow
@pytest.mark.usefixtures("words_only")
def test_a_driver_that_died_after_the_last_run_leaves_nothing_undone(confirmed, tmp_path):
    """It could not write any more that the budget is used up, which the report waits for."""
    Store(confirmed, to_write=True).change_study("small.confirm", finished_by=None)
    events: list[Any] = []
    runs = train_confirmation("small", storage=confirmed, **HERE, on_event=events.append)
    assert runs.state is StudyState.FINISHED
    assert not any(isinstance(event, TrialOutcome) for event in events)
    assert sweep.report("small", storage=confirmed, out=tmp_path / "report").notes == ()


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"top": 3},
            "--top 2 --seeds 2; give the same options, or none: a search is confirmed once",
        ),
        (
            {"seeds": 5},
            "--top 2 --seeds 2; give the same options, or none: a search is confirmed once",
        ),
        ({"top": 0}, "top must be at least 1; found 0"),
        ({"seeds": -1}, "seeds must be at least 1; found -1"),
    ],
)
def test_other_numbers_are_refused(confirmed, options, words):
    assert words in refusal(confirmed, **options)


def test_an_unfinished_search_is_refused(storage):
    write_study(storage, [configuration(2, 16)], [0.9], finished=None)
    assert refusal(storage, StoreError) == (
        "study 'small' is interrupted, and only a finished search is confirmed; finish it with "
        f"`sweep resume small --storage {storage}` (--trials N sets another total)"
    )


def test_a_search_without_a_complete_trial_is_refused(storage):
    write_study(storage, [configuration(2, 16)], [math.nan])
    assert "has no COMPLETE trial to confirm" in refusal(storage, StoreError)


def test_a_confirmation_is_not_confirmed_nor_resumed(confirmed):
    command = f"`sweep confirm small --storage {confirmed}`"
    with pytest.raises(InputError, match=f"is itself a confirmation: {command} continues"):
        train_confirmation("small.confirm", storage=confirmed)
    with pytest.raises(InputError, match=f"confirms 'small': continue with {command}"):
        sweep.resume("small.confirm", storage=confirmed, trials=9)


def test_a_confirmation_does_not_go_on_as_a_search(confirmed):
    """Its space is that of a study; another total or fewer weights would make it another."""
    store = Store(confirmed, to_write=False)
    command = f"`sweep confirm small --storage {confirmed}`"
    with pytest.raises(InputError, match=f"confirms 'small': continue with {command}"):
        sweep.run(
            store.read_study("small.confirm").space,
            storage=confirmed,
            trials=5,
            keep_weights=1,
            **HERE,
        )
    runs = read_confirmation(store.url, "small")
    assert len(runs.trials) == runs.keep_weights == 8


def test_a_search_that_is_not_there_is_refused(finished):
    with pytest.raises(StoreError, match=r"no study 'smal' in .*: it has small"):
        train_confirmation("smal", storage=finished)


def test_another_study_of_the_runs_name_is_left_alone(storage):
    write_study(storage, [configuration(2, 16)], [0.9])
    write_study(storage, [configuration(2, 16)], [0.9], name="small.confirm")
    assert refusal(storage, StoreError).startswith(
        "study 'small.confirm' is a search of its own, and confirms nothing; the runs that confirm "
        "'small' need the name 'small.confirm': "
    )
    assert read_confirmation(storage, "small") is None


def test_a_long_name_is_cut(storage):
    name = "x" * 60
    write_study(storage, [configuration(2, 16)], [0.9], name=name)
    with pytest.raises(Interrupted, match="interrupted; "):
        train_confirmation(name, storage=storage, **HERE, stop=lambda: True)
    store = Store(storage, to_write=False)
    assert read_confirmation(store.url, name).name == "x" * 56 + ".confirm"
    longer = "x" * 61
    write_study(storage, [configuration(2, 16)], [0.9], name=longer)
    assert read_confirmation(store.url, longer) is None
    with pytest.raises(
        StoreError, match=r"\.confirm' confirms study 'x{60}'; the runs that confirm 'x{61}' need"
    ):
        train_confirmation(longer, storage=storage)


def test_data_that_have_changed_are_refused(storage, tmp_path):
    file = tmp_path / "mine.npz"
    x = np.random.default_rng(0).normal(size=(60, 3))
    np.savez(file, x=x, y=np.arange(60) % 2)
    space = space_mapping(dataset={"arrays": str(file)}, budget={"trials": 1})
    sweep.run(space, storage=storage, **HERE)
    np.savez(file, x=x, y=np.arange(60) // 30)
    assert "the data have changed since study 'small' was made" in refusal(storage, DataError)
    assert Store(storage, to_write=False).all_names() == ["small"]


def test_too_many_runs_are_refused(storage):
    write_study(storage, [configuration(2, 16)], [0.9])
    words = "1,000 configurations and 10,000 runs, its baselines included; found --top 5 --seeds "
    assert words + "3,334" in refusal(storage, seeds=3334), "of one candidate and two baselines"
    assert len(plan(storage, seeds=3333)[0].trials) == 9999


def test_if_all_runs_fail_there_is_no_winner(storage):
    write_study(storage, [configuration(2, 16)], [0.9])
    write_study(
        storage,
        [configuration(2, 16)] * 2,
        [math.nan] * 2,
        name="small.confirm",
        confirms=Confirms("small", (0,), 2, 1, "x"),
    )
    assert refusal(storage, SweepFailedError) == (
        "all runs that confirm study 'small' failed, the last one with nan: loss became nan in "
        f"epoch 1; `sweep show small.confirm --storage {storage}` shows them"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("confirms", "words"),
    [
        (Confirms("small", (), 2, 1, "x"), "it repeats trials ()"),
        (Confirms("small", (0, 0), 1, 1, "x"), "it repeats trials (0, 0)"),
        (Confirms("small", (-1,), 1, 1, "x"), "it repeats trials (-1,)"),
        (Confirms("small", (0,), 0, 1, "x"), "each 0 times"),
        (Confirms("small", (0,), 1, 1, "x", baselines=("best",)), "its baselines are ('best',)"),
        (Confirms("small", (0,), 1, 1, "x", baselines=("default",) * 2), "there can be"),
        (Confirms("other\n", (0,), 1, 1, "x"), r"it says that it confirms 'other\n'"),
    ],
)
def test_a_confirmation_that_cannot_be_is_damaged(storage, confirms, words):
    write_study(storage, [configuration(2, 16)], [0.9])
    write_study(storage, [configuration(2, 16)], [0.9], name="small.confirm", confirms=confirms)
    line = refusal(storage, StoreError)
    assert "study 'small.confirm' in " in line
    assert words in line


def test_a_confirmation_of_very_many_runs_waits(storage):
    """A stranger's store may promise any number."""
    write_study(storage, [configuration(2, 16)], [0.9])
    confirms = Confirms("small", (0,), 10**30, 1, "x")
    write_study(storage, [configuration(2, 16)], [0.9], name="small.confirm", confirms=confirms)
    runs = read_confirmation(storage, "small")
    assert not have_all_ended(runs)
    assert rank_candidates(runs) == [(0, 0.9)]
