"""What the page says in a sentence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hand_made import make_reading, make_study, make_trial, study_of_runs
from pages import Page, page_of

from sweep.records import StudyState, TrialState
from sweep.reporting import sentences
from sweep.reporting.answer import Promise
from sweep.reporting.comparison import StudyComparison, StudyPair, StudySummary
from sweep.reporting.findings import Findings, Places, findings
from sweep.reporting.reported import reported
from sweep.reporting.series import StudyTest
from sweep.reporting.statistics import Interval
from sweep.reporting.writing import Source, write_report
from sweep.space import SearchSpace

# ---------------------------------------------------------------- several studies


def compared(
    values: dict[str, float | None],
    tied: dict[str, bool | None],
    metric: str = "validation_accuracy",
    epochs: dict[str, tuple[int | None, ...]] | None = None,
) -> StudyComparison:
    """Studies with these test values; `tied` by `first second` says which pairs are."""
    studies = tuple(
        StudySummary(
            name, "mnist", "gp", "asha", 9, 99, 9.0, 0, metric, 0.9,
            None if value is None else StudyTest(name, value, None, True, 5),
            (epochs or {}).get(name, (None,)),
        )
        for name, value in values.items()
    )  # fmt: skip
    pairs = tuple(
        StudyPair(*pair.split(), metric, None, None, verdict, None, None, None, None, None)  # type: ignore[arg-type]
        for pair, verdict in tied.items()
    )
    return StudyComparison(metric, (0.97,), studies, pairs)


@pytest.mark.parametrize(
    ("values", "tied", "words"),
    [
        (
            {"article": 0.96, "mnist": 0.985, "random": 0.984},
            {"article mnist": False, "article random": False, "mnist random": True},
            "mnist and random cannot be told apart; both beat article.",
        ),
        ({"a": 0.9, "b": 0.8}, {"a b": False}, "a beats b."),
        ({"a": 0.8, "b": 0.9}, {"a b": True}, "b and a cannot be told apart."),
        (
            {"a": 0.9, "b": 0.89, "c": 0.88},
            {"a b": True, "a c": False, "b c": True},
            "a and b cannot be told apart; a beats c.",
        ),
        (
            {"a": 0.9, "b": 0.89, "c": 0.88, "d": 0.8},
            {"a b": True, "a c": True, "a d": False, "b d": False, "c d": False},
            "a, b and c cannot be told apart; all of them beat d.",
        ),
        ({"a": 0.9, "b": 0.8}, {"a b": None}, "whether a differs from b is not known."),
        ({"a": 0.9, "b": None}, {}, "They cannot be compared: see below."),
    ],
)
def test_the_verdict_on_several_studies(values, tied, words):
    assert sentences.comparison_sentence(compared(values, tied)) == words


def test_of_losses_the_lowest_is_the_best():
    found = compared({"a": 0.2, "b": 0.1}, {"a b": False}, "validation_loss")
    assert sentences.comparison_sentence(found) == "b beats a."
    assert sentences.best_study(found) == 1


@pytest.mark.parametrize(
    ("epochs", "words"),
    [
        ({"a": (300,), "b": (40,)}, "b reached 97% after 40 epochs; a after 300."),
        ({"a": (20,), "b": (20,)}, "a and b reached 97% after 20 epochs."),
        ({"a": (20,)}, "No value that is worth a comparison was reached"),
    ],
)
def test_what_the_search_saved(epochs, words):
    found = compared({"a": 0.9, "b": 0.8}, {"a b": False}, epochs=epochs)
    assert sentences.saving_sentence(found).startswith(words)


# ---------------------------------------------------------------- one study


def found_in(space: SearchSpace, wrong: list[int], **changes: object) -> Findings:
    trials = [make_trial(space, number, count) for number, count in enumerate(wrong)]
    return findings(reported(replace(make_study(trials, space), **changes), space, None), top=5)  # type: ignore[arg-type]


def test_the_cheapest_of_what_ties_is_named(space):
    trials = [make_trial(space, number, 2 + number) for number in range(3)]
    sizes = (9000, 3000, 1000)
    trials = [
        replace(t, outcome=replace(t.outcome, num_parameters=size))
        for t, size in zip(trials, sizes, strict=True)
    ]
    found = findings(reported(make_study(trials, space), space, None), top=5)
    assert sentences.leaderboard_sentence(found) == (
        "None of the other 2 complete trials can be told apart from the best by validation "
        "accuracy; the cheapest of them, trial 2, has about 1/9 of its parameters."
    )


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        (None, "not tested"),
        (Interval(0.01, 0.02), "too good"),
        (Interval(-0.01, 0.02), "includes zero: none is shown"),
        (Interval(-0.02, -0.01), "too bad"),
    ],
)
def test_optimism_that_may_be_none_is_marked(interval, words):
    promise = Promise("validation_accuracy", "a", "b", 0.01, interval)
    assert sentences.promise_verdict(promise) == words


def test_what_to_do_next(space):
    def step(found: Findings) -> str:
        return sentences.next_step(found).command

    under_way = found_in(space, [1, 2], finished_by=None, state=StudyState.INTERRUPTED)
    assert step(under_way) == "sweep resume hand-made"
    assert step(found_in(space, [1, 2])) == "sweep confirm hand-made"
    search = make_study([make_trial(space, number, 2 + number) for number in range(2)], space)
    runs = study_of_runs([[2, 3], [4, 5]], [0, 1], space=space)
    part = replace(runs, trials=runs.trials[:2])
    study = reported(search, space, part)
    assert step(findings(study, top=5)) == "sweep confirm hand-made"
    confirmed = findings(reported(search, space, runs), top=5)
    assert step(confirmed) == "sweep export hand-made.confirm --trial 0"


def test_commands_work_from_any_folder(space, tmp_path):
    places = Places("sqlite:////home/me/my studies.db", "/data")
    study = reported(make_study([make_trial(space, 0)], space), space, None)
    found = findings(study, top=5, places=places)
    store = "--storage 'sqlite:////home/me/my studies.db'"
    assert found.commands["reproduce"] == f"sweep reproduce hand-made 0 --data-dir /data {store}"
    assert found.commands["report"] == f"sweep report hand-made --data-dir /data {store}"


@pytest.mark.usefixtures("words_only")
def test_a_search_under_way_has_a_page(space, tmp_path: Path):
    states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING, TrialState.WAITING)
    trials = [make_trial(space, n, 2 + n, state=state) for n, state in enumerate(states)]
    study = replace(make_study(trials, space), finished_by=None, state=StudyState.RUNNING)
    text = page_of(tmp_path, replace(study, num_trials=12), None)
    assert "Under way. This search is running: 2 of 12 trials have ended" in text
    assert "the test split is sealed" in text
    assert "sweep report hand-made refreshes this page" in text
    assert "Next: finish the search: sweep resume hand-made" in text
    finished = replace(study, finished_by="trials", state=StudyState.FINISHED)
    assert "Under way" not in page_of(tmp_path, finished, None)


@pytest.mark.usefixtures("words_only")
def test_a_run_is_not_called_a_trial(space, tmp_path: Path):
    search = make_study([make_trial(space, number, 2 + number) for number in range(2)], space)
    runs = study_of_runs([[2, 3], [4, 5]], [0, 1], space=space)
    runs = replace(runs, test_readings=(make_reading(0), make_reading(1)))
    html = write_report(tmp_path, [Source(search, runs, ())], top=3).html.read_text()
    text = " ".join(Page(html).text.split())
    assert "Run 0 of hand-made.confirm is the network to use" in text
    assert "the configuration of trial 0." in text
    assert "Trial 0 of hand-made.confirm" not in text


@pytest.mark.usefixtures("words_only")
def test_what_was_decided_after_an_opening_is_said(space, tmp_path: Path):
    trials = [make_trial(space, number, 2 + number) for number in range(3)]
    early = make_reading(0, num_trials=1)
    study = make_study(trials, space, readings=(early,))
    text = page_of(tmp_path, study, None)
    assert "2 trials ended after the test split had been opened: its result may have" in text
    again = replace(early, opened_at="2026-02-01T00:00:00+00:00", num_trials=3)
    text = page_of(tmp_path, replace(study, test_readings=(early, again)), None)
    assert "The test split was opened 2 times (see Provenance)." in text
    on = replace(study, finished_by=None, state=StudyState.INTERRUPTED)
    text = page_of(tmp_path, on, None)
    assert "the test split was opened before it went on" in text
    assert "is sealed" not in text
    once = make_study(trials, space, readings=(replace(early, num_trials=3),))
    assert "had been opened" not in page_of(tmp_path, once, None)
