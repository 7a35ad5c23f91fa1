"""Budgets in epochs, of a target and of a plateau: what ends a study, and what goes on with it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers import HERE, make_metrics, space_mapping, sqlite_url

import sweep
from sweep.cli.study_text import headline, nothing_to_do, study_rows
from sweep.codec import pack_labels
from sweep.errors import Interrupted, SearchSpaceError, StoreError
from sweep.records import (
    DataFacts,
    DataSpec,
    Epoch,
    Failure,
    FailureKind,
    Objective,
    StudyRecord,
    StudyState,
    TrialOutcome,
    TrialRecord,
    TrialState,
)
from sweep.runner import spending
from sweep.runner.spending import Spending, standard_error
from sweep.space import load_space
from sweep.store import Store

LABELS = [0] * 80 + [1] * 20
DATA = DataFacts(DataSpec("image", (1, 2, 2), ("a", "b"), 300, 20), "", pack_labels(LABELS, 2))
ACCURACY = Objective("validation_accuracy", "maximize")


def trial(
    number: int,
    value: float | None,
    epochs: int = 10,
    *,
    known: int | None = None,
    state: TrialState = TrialState.COMPLETE,
    copy_of: int | None = None,
) -> TrialRecord:
    """A trial of a study in which `known` epochs had ended with it: all up to its own if None."""
    is_trained = value is not None
    history = (make_metrics(number, epochs, value),) if is_trained else ()
    outcome = TrialOutcome(number, state, history, best_epoch=epochs if is_trained else None)
    reports = {epochs: value} if is_trained else {}
    has_ended = state not in (TrialState.RUNNING, TrialState.PAUSED)
    return TrialRecord(
        number,
        state,
        {"epochs": epochs},
        reports,
        outcome if has_ended else None,
        copy_of=copy_of,
        study_epochs=epochs * (number + 1) if known is None else known,
    )


def study(trials: Sequence[TrialRecord], num_trials: int | None = 100, **limits: Any) -> Spending:
    return Spending(
        StudyRecord(
            name="made",
            state=StudyState.RUNNING,
            space={"budget": limits},
            objective=ACCURACY,
            num_trials=num_trials,
            timeout_seconds=None,
            data=DATA,
            trials=tuple(trials),
            test_readings=(),
        )
    )


# ---------------------------------------------------------------- what ends a study

FOUR = [trial(number, value) for number, value in enumerate((0.5, 0.7, 0.71, 0.6))]


@pytest.mark.parametrize(
    ("limits", "ended_by"),
    [
        ({}, None),
        ({"num_trials": 5}, None),
        ({"num_trials": 4}, "trials"),
        ({"num_trials": None}, None),
        ({"epochs": 41}, None),
        ({"epochs": 40}, "epochs"),
        ({"target": 0.711}, None),
        ({"target": 0.71}, "target"),
        ({"plateau": 21}, None),
        ({"plateau": 20}, "plateau"),  # 0.71 is better than 0.7 by less than the noise
        ({"num_trials": 4, "target": 0.7}, "target"),
        ({"num_trials": 4, "epochs": 40}, "epochs"),
        ({"num_trials": 4, "plateau": 20}, "plateau"),
        ({"num_trials": 4, "target": 0.8}, "trials"),
        ({"epochs": 40, "target": 0.7}, "target"),
        ({"epochs": 40, "target": 0.8}, "epochs"),
        ({"epochs": 40, "plateau": 20}, "epochs"),
        ({"epochs": 50, "plateau": 20}, "plateau"),
        ({"target": 0.7, "plateau": 20}, "target"),
        ({"target": 0.8, "plateau": 30}, None),
    ],
)
def test_whichever_comes_first_ends_a_study(limits, ended_by):
    assert study(FOUR, **limits).used_up() == ended_by


def test_what_is_counted_is_what_is_recorded():
    counted = study([])
    for each in FOUR:
        counted.start(each.number)
        counted.advance(each.number, 10)
        assert counted.end(each.outcome) == each.study_epochs
    read = study(FOUR)
    names = ("num_started", "epochs", "best", "plateau")
    for found in (counted, read):
        assert [getattr(found, name) for name in names] == [4, 40, 0.71, 20]


def test_epochs_that_are_trained_again_count_once():
    found = study([])
    found.start(0)
    for epoch in (1, 2, 3, 2, 3, 4):
        found.advance(0, epoch)
    assert found.epochs == 4


def test_trials_under_way_count_as_epochs_and_not_towards_a_plateau():
    under_way = trial(4, 0.4, state=TrialState.RUNNING)
    paused = trial(5, 0.4, state=TrialState.PAUSED)
    assert (study([*FOUR, under_way]).epochs, study([*FOUR, under_way]).plateau) == (50, 20)
    assert (study([*FOUR, paused]).epochs, study([*FOUR, paused]).plateau) == (50, 30)


def test_a_trial_that_ended_late_improves_when_it_ended():
    late = [*FOUR, trial(4, 0.9, known=80)]
    late[0] = trial(0, 0.95, known=90)  # paused early, and promoted last
    assert study(late).plateau == 0  # 50 epochs in all: everything after 90 is new


def test_small_steps_add_up_until_they_are_beyond_noise():
    error = math.sqrt(0.7 * 0.3 / 100)
    values = [0.7 + share * error for share in (0, 0.4, 0.8, 1.2, 1.6)]
    found = study([trial(number, value) for number, value in enumerate(values)])
    assert found.plateau == 10, "the fourth is beyond the first, the fifth not beyond the fourth"


def test_copies_are_no_improvement_and_take_no_epochs():
    copied = replace(trial(4, None), copy_of=2)
    found = study([*FOUR, copied])
    assert (found.num_started, found.epochs, found.plateau) == (5, 40, 20)


def test_copies_alone_end_only_a_study_without_a_number_of_trials(monkeypatch):
    monkeypatch.setattr(spending, "_MOST_COPIES", 2)
    copied = [trial(number, None, copy_of=2) for number in (4, 5)]
    assert study([*FOUR, *copied], num_trials=None).used_up() == "copies"
    assert study([*FOUR, *copied], num_trials=7).used_up() is None
    assert study([*FOUR, *copied, trial(6, 0.1)], num_trials=None).used_up() is None


# ---------------------------------------------------------------- noise


def errors_of(metric: str, value: float, **changes: Any) -> float:
    goal = "minimize" if metric == "validation_loss" else "maximize"
    metrics = make_metrics(0, 1, value)
    metrics = replace(metrics, values={**metrics.values, metric: value})
    outcome = TrialOutcome(0, TrialState.COMPLETE, (metrics,), best_epoch=1, **changes)
    return standard_error(Objective(metric, goal), outcome, DATA)


def test_the_error_of_an_accuracy_is_binomial():
    assert errors_of("validation_accuracy", 0.9) == pytest.approx(math.sqrt(0.9 * 0.1 / 100))
    assert errors_of("validation_accuracy", 1.0) == 0


def test_the_error_of_a_loss_is_that_of_a_mean():
    losses = np.random.default_rng(0).exponential(size=100).astype("<f4")
    found = errors_of("validation_loss", float(losses.mean()), validation_losses=losses.tobytes())
    assert found == pytest.approx(losses.std(ddof=1) / 10, rel=1e-5)
    assert errors_of("validation_loss", 0.5) == 0, "without losses"


@pytest.mark.parametrize("metric", ["validation_balanced_accuracy", "validation_f1_macro"])
def test_the_error_of_a_mean_over_classes_is_that_of_their_recalls(metric):
    generator = np.random.default_rng(0)
    recalls = [generator.binomial(n, 0.9, 20_000) / n for n in (80, 20)]
    expected = np.mean(recalls, axis=0).std()
    assert errors_of(metric, 0.9) == pytest.approx(expected, rel=0.03)


# ---------------------------------------------------------------- whole studies


def run(storage: str, **budget: Any) -> StudyRecord:
    options, pruner = budget.pop("options", {}), budget.pop("pruner", {"type": "none"})
    space = space_mapping(budget=budget, pruner=pruner)
    return sweep.run(space, storage=storage, **HERE, **options)


def ending(found: StudyRecord) -> tuple[str | None, int]:
    return found.finished_by, len(found.trials)


@pytest.mark.parametrize(
    ("first", "ended", "second", "then"),
    [
        ({"epochs": 5}, ("epochs", 2), {"epochs": 9}, ("epochs", 3)),
        ({"epochs": 5}, ("epochs", 2), {"epochs": 8}, ("epochs", 2)),
        ({"epochs": 5}, ("epochs", 2), {"trials": 3}, ("trials", 3)),
        ({"epochs": 5}, ("epochs", 2), {"trials": 2, "epochs": 99}, ("trials", 2)),
        ({"trials": 1, "epochs": 5}, ("trials", 1), {"trials": 3, "epochs": 5}, ("epochs", 2)),
        ({"target": 0.1}, ("target", 1), {"trials": 2, "target": 1.0}, ("trials", 2)),
        ({"target": 0.1}, ("target", 1), {"epochs": 9, "target": 0.2}, ("target", 1)),
        ({"target": 0.1}, ("target", 1), {"epochs": 8}, ("epochs", 2)),
        ({"plateau": 4}, ("plateau", None), {"target": 0.1}, ("target", None)),
    ],
)  # fmt: skip
def test_another_budget_goes_on_where_it_leaves_anything(storage, first, ended, second, then):
    one = run(storage, **first)
    assert one.state is StudyState.FINISHED
    assert one.finished_by == ended[0]
    assert ended[1] in (None, len(one.trials))
    for again in (run(storage, **first), sweep.resume("small", storage=storage, **HERE)):
        assert ending(again) == ending(one), "the same budget is used up"
    other = run(storage, **second)
    assert ending(other) == (then[0], then[1] or len(one.trials))
    assert ending(sweep.resume("small", storage=storage, **HERE)) == ending(other)


def test_more_trials_do_not_go_beyond_another_limit(storage):
    one = run(storage, target=0.1)
    more = sweep.resume("small", storage=storage, trials=9, **HERE)
    assert ending(more) == ending(one) == ("target", 1)
    assert "there is nothing to do; another budget.target" in nothing_to_do(
        more, "", names_model=True
    )


def test_it_is_said_what_ended_a_study(storage):
    found = run(storage, epochs=5)
    assert "finished by its budget of epochs, 2 trials (2 complete)" in headline(found)
    assert "finished by its budget of epochs" in study_rows([found])


def test_interrupted_a_study_ends_where_it_would_have_ended(tmp_path):
    folders = [tmp_path / name for name in ("whole", "half")]
    for folder in folders:
        folder.mkdir()
    whole = run(sqlite_url(folders[0]), epochs=9)
    for most in (2, 7):
        seen: list[Any] = []
        options = {"on_event": seen.append, "stop": lambda m=most, s=seen: epochs_of(s) >= m}
        with pytest.raises(Interrupted, match="continues"):
            run(sqlite_url(folders[1]), epochs=9, options=options)
    half = sweep.resume("small", storage=sqlite_url(folders[1]), **HERE)
    assert ending(half) == ending(whole) == ("epochs", 3)
    assert [t.reports for t in half.trials] == [t.reports for t in whole.trials]
    assert [t.study_epochs for t in half.trials] == [t.study_epochs for t in whole.trials]


def epochs_of(events: Sequence[Any]) -> int:
    return sum(isinstance(event, Epoch) for event in events)


@pytest.mark.parametrize("budget", [{"epochs": 2}, {"epochs": 3}, {"plateau": 3}])
def test_what_is_paused_is_pruned_where_no_promotion_may_start(storage, budget):
    asha = {"type": "asha", "rungs": [0.25, 0.5], "reduction_factors": [2, 2]}
    found = run(storage, trials=9, pruner=asha, **budget)
    assert found.finished_by in budget
    assert len(found.trials) < 9
    assert {t.state for t in found.trials} == {TrialState.PRUNED}
    if budget == {"epochs": 2}:
        assert [t.epochs_run for t in found.trials] == [1, 1], "the better one is not promoted"
    more = run(storage, trials=len(found.trials) + 1, pruner=asha)
    assert [t.epochs_run for t in more.trials[:-1]] == [t.epochs_run for t in found.trials]


def test_failed_trials_are_not_run_again_after_the_end(storage, monkeypatch):
    failure = Failure(FailureKind.NAN, "made up")
    monkeypatch.setattr(
        "sweep.runner.loop.Loop._close",
        lambda _loop, outcome, real=sweep.runner.loop.Loop._close: replace(
            real(_loop, outcome),
            **({"state": TrialState.FAIL, "failure": failure, "best_epoch": None, "weights": None}
               if outcome.trial == 0 else {}),
        ),
    )  # fmt: skip
    assert ending(run(storage, epochs=5)) == ("epochs", 2)
    before = Store(storage, to_write=False).read_study("small")
    with pytest.raises(StoreError, match=r"has ended by its epochs.*change budget\.epochs"):
        sweep.resume("small", storage=storage, retry_failed=True, **HERE)
    assert Store(storage, to_write=False).read_study("small") == before


# ---------------------------------------------------------------- search spaces


@pytest.mark.parametrize(
    ("objective", "budget", "said"),
    [
        ("validation_accuracy", {"target": 98}, r"at most 1, as .* for 98% write 0\.98"),
        ("validation_accuracy", {"target": 0}, r"budget\.target: must be above 0"),
        ("validation_loss", {"target": -1}, r"budget\.target: must not be below 0"),
        ("validation_loss", {"epochs": 0}, r"budget\.epochs"),
        ("validation_loss", {"plateau": 1.5}, r"budget\.plateau"),
    ],
)  # fmt: skip
def test_a_budget_that_cannot_be_meant_is_refused(objective, budget, said):
    with pytest.raises(SearchSpaceError, match=said):
        load_space(space_mapping(objective=objective, budget=budget))


@pytest.mark.parametrize(
    ("budget", "trials", "expected"),
    [
        ({}, 50, 50),
        ({"target": 0.9}, 50, 50),  # it may never be reached
        ({"epochs": 81}, None, 21),
        ({"plateau": 10}, None, None),
        ({"trials": 7, "epochs": 81}, 7, 7),
        ({"trials": 70, "epochs": 81}, 70, 21),
    ],
)
def test_the_number_of_trials_follows_from_the_budget(budget, trials, expected):
    space = load_space(space_mapping(budget=budget))
    assert (space.num_trials, space.expected_trials) == (trials, expected)


def test_audits_need_a_number_of_trials():
    with pytest.raises(SearchSpaceError, match="found epochs without trials"):
        load_space(space_mapping(pruner="median", budget={"epochs": 9, "audit": 1}))
