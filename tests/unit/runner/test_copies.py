"""Trials that would repeat a complete one: not trained, marked, and left out of the statistics."""

from __future__ import annotations

import dataclasses
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from forging import forge
from helpers import HERE, space_mapping, sqlite_url

import sweep
from sweep.cli.json_output import trial_json
from sweep.cli.study_text import headline, trial_text
from sweep.errors import InputError, Interrupted, StoreError
from sweep.records import (
    Copied,
    Failure,
    FailureKind,
    StudyRecord,
    TrialOutcome,
    TrialStarted,
    TrialState,
)
from sweep.reporting.frames import trials_frame
from sweep.reporting.series import best_so_far
from sweep.reporting.statistics import compare_with_best
from sweep.reporting.tables import counts
from sweep.runner import spending
from sweep.runner.loop import Loop
from sweep.space import stored_space
from sweep.store import Store

FIXED: dict[str, Any] = {"num_layers": 1, "learning_rate": 0.01, "epochs": 2, "batch_size": 64}
RATES = {**FIXED, "learning_rate": {"choices": [0.01, 0.02]}}
ENQUEUED = [{"learning_rate": rate} for rate in (0.01, 0.02, 0.01, 0.01, 0.02)]


def run(storage: str, parameters: dict[str, Any], **options: Any) -> StudyRecord:
    enqueue = options.pop("enqueue", [])
    budget = options.pop("budget", {"trials": max(4, len(enqueue))})
    space = space_mapping(parameters=parameters, enqueue=enqueue, budget=budget)
    return sweep.run(space, storage=storage, **HERE, **options)


def copies(study: StudyRecord) -> dict[int, int]:
    return {t.number: t.copy_of for t in study.trials if t.copy_of is not None}


@pytest.fixture(scope="module")
def events() -> list[Any]:
    return []


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, events: list[Any]) -> tuple[str, StudyRecord]:
    storage = sqlite_url(tmp_path_factory.mktemp("copies"))
    return storage, run(storage, RATES, enqueue=ENQUEUED, on_event=events.append)


def test_what_repeats_a_complete_trial_is_not_trained(made):
    _, study = made
    assert copies(study) == {2: 0, 3: 0, 4: 1}
    assert study.finished_by == "trials"
    for number, original in copies(study).items():
        trial = study.trials[number]
        assert trial.state is TrialState.COMPLETE
        assert trial.params == study.trials[original].params
        assert study.value(trial) == study.value(study.trials[original])
        assert (trial.epochs_run, trial.outcome.seconds, trial.reports) == (0, 0.0, {})


def test_the_sampler_is_told_the_value_of_the_original(made):
    storage, study = made
    told = optuna.load_study(study_name="small", storage=storage).trials
    assert [trial.value for trial in told] == [study.value(trial) for trial in study.trials]


@pytest.mark.usefixtures("made")
def test_each_is_told_once(events):
    told = [event for event in events if isinstance(event, Copied)]
    assert told == [Copied(2, 0), Copied(3, 0), Copied(4, 1)]
    named = [e.config.number for e in events if isinstance(e, TrialStarted)]
    named += [e.trial for e in events if isinstance(e, TrialOutcome)]
    assert sorted(named) == [0, 0, 1, 1]


def test_parameters_without_effect_do_not_make_a_trial_another(storage):
    sizes = {**FIXED, "layer_size": {"choices": [16, 32]}}
    enqueue = [{"layer_size": size} for size in (16, 32)]
    assert copies(run(storage, sizes, enqueue=enqueue, budget={"trials": 2})) == {1: 0}


def test_one_configuration_is_trained_once(storage):
    study = run(storage, FIXED)
    assert copies(study) == {1: 0, 2: 0, 3: 0}
    assert study.finished_by == "trials"


def test_without_a_number_of_trials_copies_alone_end_a_study(storage, monkeypatch):
    monkeypatch.setattr(spending, "_MOST_COPIES", 5)
    study = run(storage, FIXED, budget={"epochs": 1000})
    assert (study.finished_by, len(study.trials)) == ("copies", 6)
    assert sweep.resume("small", storage=storage, **HERE) == study
    more = sweep.resume("small", storage=storage, trials=8, **HERE)
    assert (more.finished_by, len(more.trials), more.num_copies) == ("trials", 8, 7)


def test_a_new_configuration_between_copies_starts_their_count_again(storage, monkeypatch):
    monkeypatch.setattr(spending, "_MOST_COPIES", 2)
    enqueue = [{"learning_rate": rate} for rate in (0.01, 0.01, 0.02)]
    study = run(storage, RATES, enqueue=enqueue, budget={"epochs": 1000})
    assert copies(study).keys() == {1, 3, 4}


def test_a_failed_trial_is_run_again_though_its_configuration_is_complete(storage, monkeypatch):
    finish = Loop._finish

    def fail_first(loop: Loop, outcome: TrialOutcome) -> None:
        if outcome.trial == 0:
            failure = Failure(FailureKind.NAN, "made up")
            changes: dict[str, Any] = {"state": TrialState.FAIL, "failure": failure}
            changes |= {"best_epoch": None, "weights": None}
            outcome = dataclasses.replace(outcome, **changes)
        finish(loop, outcome)

    monkeypatch.setattr(Loop, "_finish", fail_first)
    study = run(storage, FIXED, budget={"trials": 3})
    assert copies(study) == {2: 1}, "a failed trial is no original"
    again = sweep.resume("small", storage=storage, retry_failed=True, **HERE)
    assert (again.trials[3].retry_of, again.trials[3].copy_of) == (0, None)
    assert again.trials[3].epochs_run == 2


def test_runs_of_a_confirmation_are_no_copies(storage):
    run(storage, FIXED)
    sweep.confirm("small", storage=storage, seeds=3, **HERE)
    runs = Store(storage, to_write=False).read_study("small.confirm")
    assert [trial.epochs_run for trial in runs.trials] == [2] * 3 + [20] * 6


def test_interrupted_it_ends_as_if_nothing_had_happened(storage, made):
    _, whole = made
    seen: list[Any] = []
    for num_copies in (1, 3):
        with pytest.raises(Interrupted, match="continues"):
            run(
                storage,
                RATES,
                enqueue=ENQUEUED,
                on_event=seen.append,
                stop=lambda most=num_copies: sum(isinstance(e, Copied) for e in seen) >= most,
            )
    study = sweep.resume("small", storage=storage, **HERE)
    assert copies(study) == copies(whole)
    assert [study.value(t) for t in study.trials] == [whole.value(t) for t in whole.trials]


# ---------------------------------------------------------------- what becomes of them


def test_no_statistic_takes_them_for_trials_of_their_own(made):
    _, study = made
    assert {trial.number for trial in study.ranked()} == {0, 1}
    assert study.best.number in (0, 1)
    assert study.num_best == 1
    assert study.with_weights == {0, 1}
    assert len(compare_with_best(study)) == 1
    assert (counts(study).complete, counts(study).copies, counts(study).epochs) == (2, 3, 4)
    assert len(best_so_far(study).values) == 2


def test_they_are_marked_wherever_they_are_shown(made):
    _, study = made
    reason = "the same configuration as trial 1: not trained again"
    assert "(2 complete, 3 copies)" in headline(study)
    assert reason in trial_text(study, study.trials[4], has_weights=False)
    assert trial_json(study, study.trials[4])["copy_of"] == 1
    assert trial_json(study, study.trials[1])["copy_of"] is None
    frame = trials_frame([(study, stored_space(study))])
    assert frame["copy_of"].tolist() == [None, None, 0, 0, 1]
    assert frame["reason"].tolist()[4] == reason
    assert study.to_dataframe()["copy_of"].dropna().tolist() == [0, 0, 1]


@pytest.mark.parametrize("function", ["reproduce", "predict"])
def test_a_copy_has_no_network_of_its_own(made, function, tmp_path):
    storage, _ = made
    options: dict[str, Any] = {"trial": 4, "storage": storage}
    if function == "predict":
        options["inputs"] = str(tmp_path)
    with pytest.raises(InputError, match=r"trial 4 .* the same configuration as trial 1: .* 1$"):
        getattr(sweep, function)("small", **options)


@pytest.fixture
def copied(made: tuple[str, StudyRecord], tmp_path: Path) -> Store:
    """A copy of the store."""
    folder = Path(made[0].removeprefix("sqlite:///")).parent
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return Store(sqlite_url(tmp_path), to_write=False)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE trial_values SET value = 0.125 WHERE trial_id = 5",
        "DELETE FROM trial_values WHERE trial_id = 5",
    ],
)
def test_a_copy_whose_value_is_not_its_originals_is_damage(copied, statement):
    with closing(sqlite3.connect(copied.path)) as database, database:
        assert database.execute(statement).rowcount == 1
    with pytest.raises(StoreError, match=r"its values \(trial 4\) differ"):
        copied.read_study("small")


@pytest.mark.parametrize("original", [3, 4, 7])
def test_a_copy_of_what_is_no_original_is_damage(copied, original):
    forge(
        copied.path.parent,
        trial=lambda number, plain: {**plain, "copy_of": original} if number == 4 else plain,
    )
    with pytest.raises(StoreError, match=f"it copies trial {original}, which is no original"):
        copied.read_study("small")
