from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hand_made import (
    DATA,
    FAIL,
    LABELS,
    SPACE,
    make_reading,
    make_study,
    make_trial,
    metrics_of,
    predictions,
    study_of_runs,
    with_values,
)
from pages import Page, page_of, write

import sweep.reporting.findings as findings_module
import sweep.reporting.writing as writing
from sweep.cli.answer_text import answer_text, confirmation_text
from sweep.errors import DataError, InputError, StoreError, SweepFailedError
from sweep.records import (
    CalibrationBin,
    DataFacts,
    StudyRecord,
    StudyState,
    TestReading,
    TrialState,
)
from sweep.reporting import Report, report
from sweep.reporting.candidates import confirmation
from sweep.reporting.reported import reported
from sweep.reporting.statistics import Effect, Importances, Interval
from sweep.reporting.writing import Source, write_report
from sweep.space import SearchSpace, load_space

F1 = metrics_of(LABELS, predictions(1))["f1_macro"]
HOSTILE = "<script>alert('$1')</script>"


class FakeStore:
    """A store that holds what a test gives it."""

    studies: ClassVar[dict[str, StudyRecord]] = {}

    def __init__(self, url: str, *, to_write: bool) -> None:
        assert not to_write

    def require_study(self, name: str) -> None:
        if name not in self.studies:
            raise StoreError(f"no study {name!r} in 'fake.db': it has none")

    def read_study(self, name: str) -> StudyRecord:
        return self.studies[name]

    def read_confirmation(self, search: StudyRecord) -> tuple[StudyRecord | None, str | None]:
        return self.studies.get(f"{search.name}.confirm"), None


@pytest.fixture
def fake_store(monkeypatch: pytest.MonkeyPatch, study: StudyRecord) -> dict[str, StudyRecord]:
    studies = {study.name: study}
    monkeypatch.setattr(FakeStore, "studies", studies)
    monkeypatch.setattr(writing, "Store", FakeStore)
    return studies


# ---------------------------------------------------------------- the whole report


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A report on two studies, the first with hostile names."""
    space = load_space(SPACE)
    wrong = [1, 1, 2, 2, 3, 4, 10, 14, 20, 7, 8]
    trials = [
        make_trial(space, number, count, activation="relu" if count < 4 else "tanh")
        for number, count in enumerate(wrong)
    ]
    trials.append(make_trial(space, 11, 12, state=TrialState.PRUNED))
    trials.append(make_trial(space, 12, state=TrialState.FAIL))
    first = make_study(
        trials, space, name=HOSTILE, class_names=("<b>zero</b>", "$\\frac{", "two & 三"),
        readings=(make_reading(0, confusion_matrix=None, num_images=0), make_reading(0)),
    )  # fmt: skip
    second = make_study(trials[:2], space, name="second")
    folder = tmp_path_factory.mktemp("report")
    sources = [Source(first, None, ("<i>a note</i>",)), Source(second, None, ())]
    return write_report(folder, sources, top=4)


def test_files(written: Report) -> None:
    names = sorted(p.name for p in written.folder.iterdir())
    assert names == ["epochs.csv", "figures", "report.html", "report.json", "trials.csv"]
    figures = sorted(p.name for p in (written.folder / "figures").iterdir())
    assert "comparison-best-so-far.png" in figures
    assert "second-learning-curves.png" in figures
    assert "_script_alert___1____script_-test-confusion-matrix.png" in figures
    for figure in (written.folder / "figures").iterdir():
        assert figure.read_bytes().startswith(b"\x89PNG")


def test_report_json_keeps_its_contract(written: Report) -> None:
    data = json.loads((written.folder / "report.json").read_text())
    assert data == json.loads(json.dumps(written.data))
    study = data["studies"][HOSTILE]
    best = study["best"]
    assert best["number"] == 0
    assert best["params"]["optimizer"] == "sgd"
    assert best["validation_accuracy"] == pytest.approx(39 / 40)
    assert best["test_accuracy"] == pytest.approx(18 / 20)
    low, high = best["test_accuracy_interval"]
    assert low < 18 / 20 < high
    assert best["test_confusion_matrix"] == [[8, 1, 0], [0, 6, 0], [1, 0, 4]]
    assert sum(study["importances"].values()) == pytest.approx(1)
    assert [row["tied_with_best"] for row in study["leaderboard"]] == [None, True, True, True]
    assert [reading["finished"] for reading in study["test_readings"]] == [False, True]
    assert study["failures"][0]["reason"] == "nan: loss became nan in epoch 3"
    untested = data["studies"]["second"]
    assert untested["best"]["test_accuracy"] is None
    assert untested["best"]["test_accuracy_interval"] is None
    assert untested["best"]["test_confusion_matrix"] is None
    assert untested["importances"] is None
    assert "Too few trials to say" in untested["importances_note"]


def test_trials_csv_has_every_trial(written: Report) -> None:
    with (written.folder / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 13 + 2
    assert rows[0]["study"] == HOSTILE
    assert rows[1]["momentum"] == ""  # adamw does not use it
    assert float(rows[0]["value"]) == pytest.approx(39 / 40)
    assert float(rows[0]["validation_f1_macro"]) == pytest.approx(F1)
    assert float(rows[0]["validation_loss"]) == 0.45
    assert "validation_balanced_accuracy" in rows[0]
    assert rows[12]["reason"] == "nan: loss became nan in epoch 3"


def test_epochs_csv_has_every_epoch(written: Report) -> None:
    with (written.folder / "epochs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * (13 + 2)
    assert rows[1]["epoch"] == "2"
    assert float(rows[1]["validation_accuracy"]) == pytest.approx(39 / 40)
    assert float(rows[1]["train_loss"]) == pytest.approx(0.5)
    assert float(rows[1]["train_accuracy"]) == pytest.approx(39 / 40)
    assert float(rows[1]["validation_f1_macro"]) == pytest.approx(F1)


def test_the_page_needs_nothing_else(written: Report) -> None:
    html = written.html.read_text()
    page = Page(html)
    assert page.references
    assert all(r.startswith(("#", "data:image/png;base64,")) for r in page.references)
    assert not re.search(r"https?://|@import|url\((?!#)", html)
    assert not {"link", "iframe", "object", "embed", "form"} & set(page.tags)


def test_identifiers_are_unique_and_lead_somewhere(written: Report) -> None:
    page = Page(written.html.read_text())
    assert len(page.identifiers) == len(set(page.identifiers))
    targets = {reference[1:] for reference in page.references if reference.startswith("#")}
    assert targets <= set(page.identifiers)


def test_hostile_names_stay_text(written: Report) -> None:
    html = written.html.read_text()
    page = Page(html)
    assert page.tags.count("script") == 1
    assert "i" not in page.tags
    assert HOSTILE in page.text
    assert "<b>zero" not in html


def test_the_page_says_what_matters(written: Report) -> None:
    text = " ".join(Page(written.html.read_text()).text.split())
    assert "90.00%" in text
    assert "Optimistic: it was chosen for it." in text  # the second, whose test split is sealed
    assert "indistinguishable" in text
    assert "opened, but the reading was never finished" in text
    assert "Too few trials to say: 2 have a value" in text
    assert "All use the same split" in text
    assert "Validation accuracy of the best trial" in text
    assert "Best validation accuracy" not in text  # a study by loss has a better one
    assert "No trial failed." in text


def test_what_is_counted_in_epochs_is_in_the_order_of_the_trials_numbers(written: Report) -> None:
    """The clock is not believed: which trial ended first is not known."""
    text = " ".join(Page(written.html.read_text()).text.split())
    assert "reached it on validation data, the trials taken in the order of their numbers" in text
    assert "failed ones included, the trials taken in the order of their numbers" in text
    assert "may belong to another" not in text  # one data set, one split


@pytest.mark.usefixtures("words_only")
def test_an_accuracy_to_reach_may_belong_to_another_data_set(
    tmp_path: Path, space: SearchSpace
) -> None:
    easy = make_study([make_trial(space, 0, 2)], space, name="easy")
    hard = make_study([make_trial(space, 0, 12)], space, name="hard")
    other = replace(hard, data=replace(hard.data, fingerprint="cd" * 32))
    text = " ".join(Page(write(tmp_path, easy, other).html.read_text()).text.split())
    assert "chosen for each split: a column’s may belong to another than a row’s" in text


@pytest.mark.slow
@pytest.mark.usefixtures("words_only")
@pytest.mark.parametrize(
    ("changes", "heading"),
    [
        ({"finished_by": "timeout"}, "finished by its timeout"),
        ({"finished_by": "trials"}, "finished"),
        ({"finished_by": "timeout", "state": StudyState.RUNNING}, "running"),
    ],
)
def test_the_heading_says_that_a_timeout_ended_the_study(
    tmp_path: Path, study: StudyRecord, changes: dict[str, Any], heading: str
) -> None:
    html = write(tmp_path, replace(study, **changes)).html.read_text()
    assert f">{heading}</span></h2>" in html


@pytest.mark.slow
def test_the_same_study_gives_the_same_page(tmp_path: Path, space: SearchSpace) -> None:
    study = make_study([make_trial(space, 0)], space, readings=(make_reading(0),))
    first, second = write(tmp_path / "a", study), write(tmp_path / "b", study)
    assert first.html.read_bytes() == second.html.read_bytes()
    for figure in (first.folder / "figures").iterdir():
        assert figure.read_bytes() == (second.folder / "figures" / figure.name).read_bytes()


# ---------------------------------------------------------------- studies with little in them


@pytest.mark.slow
@pytest.mark.usefixtures("no_png")
def test_a_confirmed_study(tmp_path: Path, space: SearchSpace) -> None:
    search = make_study([make_trial(space, number, 2 + number) for number in range(3)], space)
    runs = study_of_runs([[4, 6], [3, 1], [9, FAIL]], [0, 1, 2], space=space)
    runs = replace(runs, test_readings=(make_reading(2), make_reading(3)))
    result = write_report(tmp_path, [Source(search, runs, ())], top=10)
    study = result.data["studies"]["hand-made"]
    best = study["best"]
    assert (best["number"], best["network_study"], best["network_trial"]) == (1, runs.name, 3)
    assert best["test_confusion_matrix"] == [[8, 1, 0], [0, 6, 0], [1, 0, 4]]
    assert best["search_validation_accuracy"] == pytest.approx(37 / 40)
    assert best["validation_accuracy"] == pytest.approx(39 / 40)
    assert study["confirmation"]["winner"] == 1
    assert study["confirmation"]["test_mean"]["value"] == pytest.approx(0.9)
    assert [reading["study"] for reading in study["test_readings"]] == [runs.name] * 2
    assert study["commands"]["reproduce"] == "sweep reproduce hand-made.confirm 3"
    text = " ".join(Page(result.html.read_text()).text.split())
    assert study["confirmation_counts"]["epochs"] == sum(run.epochs_run for run in runs.trials)
    assert (
        "Trial 0 was the best of the search; on 2 fresh seeds trial 1 has the best mean, but the "
        "two cannot be told apart; 1 of the other 2 configurations cannot be told apart from the "
        "winner." in text
    )
    assert (
        "None of the other 2 complete trials can be told apart from the best by validation" in text
    )
    assert "The test split was opened for the winner alone." in text
    assert (
        "each trained again 2 times with other initial weights, other dropout and another order of "
        "the examples for each seed, which the candidates share" in text
    )
    assert (
        "they cover what differs between the runs, which each confirmation names. Intervals of one "
        in text
    )
    assert "1, 1 failed" in text
    assert "90.00% test accuracy, mean of 2 fresh seeds." in text
    # 95 ± 31.77% reaches beyond what an accuracy can be.
    assert study["confirmation"]["candidates"][0]["mean"]["interval"][1] == 1.0
    assert "63.23 to 100.00%" in text
    with (tmp_path / "epochs.csv").open(newline="") as file:
        shown = [row for row in csv.DictReader(file) if row["study"] == runs.name]
    assert [row["number"] for row in shown if row["number"] == "3"] == ["3", "3"]
    assert (tmp_path / "figures" / "hand-made-confirmation.png").exists()
    with (tmp_path / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["study"] for row in rows] == ["hand-made"] * 3 + [runs.name] * 6
    assert [row["value"] for row in rows if row["study"] == runs.name][3] == str(39 / 40)
    assert rows[-1]["state"] == "FAIL"


@pytest.mark.usefixtures("words_only")
def test_a_confirmation_under_way(tmp_path: Path, space: SearchSpace) -> None:
    search = make_study([make_trial(space, number, 2 + number) for number in range(3)], space)
    runs = study_of_runs([[4, 6], [3, 1]], [0, 1], space=space)
    runs = replace(runs, trials=runs.trials[:3])
    result = write_report(tmp_path, [Source(search, runs, ("going on",))], top=10)
    study = result.data["studies"]["hand-made"]
    assert study["confirmation"]["winner"] is None
    assert study["best"]["number"] == 0
    assert "Not finished: the runs below are those that have ended." in result.html.read_text()


@pytest.mark.usefixtures("words_only")
def test_a_confirmation_that_failed_altogether(tmp_path: Path, space: SearchSpace) -> None:
    search = make_study([make_trial(space, number, 2 + number) for number in range(2)], space)
    text = page_of(tmp_path, search, study_of_runs([[FAIL] * 2] * 2, [0, 1], space=space))
    assert "All runs on fresh seeds failed: nothing confirms the best of the search." in text
    assert "see why all runs on fresh seeds failed: sweep show hand-made.confirm" in text
    assert "All runs failed, so that there is no winner" in text
    assert "continues" not in text


@pytest.mark.slow
@pytest.mark.parametrize("failed", [False, True])
@pytest.mark.usefixtures("no_png")
def test_what_led_the_search_then_is_not_called_its_best(
    tmp_path: Path, space: SearchSpace, failed: bool
) -> None:
    """Trial 3 came after the confirmation was begun, and leads the search now."""
    wrong = (2, 3, 4, 1)
    search = make_study([make_trial(space, number, wrong[number]) for number in range(4)], space)
    runs = study_of_runs([[4, FAIL if failed else 6], [3, 1]], [0, 1], space=space)
    runs = replace(runs, test_readings=(make_reading(2), make_reading(3)))
    text = page_of(tmp_path, search, runs)
    then = "the search’s first 3 trials"
    if failed:
        assert f"Trial 0, the best of {then}, did not survive: on 2 fresh seeds 1 of" in text
    else:
        assert f"Trial 0 was the best of {then}; on 2 fresh seeds trial 1" in text
    assert f"The 2 best configurations of {then}, each trained again" in text
    assert f"Rank in {then}" in text
    assert f"The value of the best of {then} (trial 0) against" in text
    said = " ".join(answer_text(reported(search, space, runs)).split())
    assert "; trial 0, the best of the search's first 3 trials, is number 2 on fresh seeds" in said
    assert "the value of the best of the search's first 3 trials (trial 0) against" in said
    found = confirmation(search, runs)
    assert found is not None
    last = confirmation_text("hand-made", found).splitlines()[-1]
    assert last.startswith("trial 0, the best of the search's first 3 trials, is number 2")


@pytest.mark.usefixtures("words_only")
def test_failed_runs_are_said_in_the_answer(tmp_path: Path, space: SearchSpace) -> None:
    search = make_study([make_trial(space, number, 2 + number) for number in range(2)], space)
    runs = study_of_runs([[1, FAIL, FAIL], [4, 6, FAIL]], [0, 1], space=space)
    text = page_of(tmp_path, search, runs)
    assert (
        "Trial 0, the best of the search, did not survive: on 3 fresh seeds 2 of its 3 runs failed."
    ) in text
    assert (
        "Failed: 1 of 3 runs of trial 1, 2 of 3 runs of trial 0. Fewer failures count for more "
        "than a better mean."
    ) in text
    assert "on fresh seeds; those with fewer failed runs come first" in text


@pytest.mark.usefixtures("words_only")
def test_one_seed_each_proves_little(tmp_path: Path, space: SearchSpace) -> None:
    search = make_study([make_trial(space, number, 2 + number) for number in range(2)], space)
    runs = study_of_runs([[4], [6]], [0, 1], space=space)
    text = page_of(tmp_path, search, replace(runs, test_readings=(make_reading(0),)))
    assert "also has the best mean of 2 on 1 fresh seed, which proves little." in text
    assert "test accuracy, mean of 1 fresh seed." in text
    assert "interval –" not in text


@pytest.mark.slow
@pytest.mark.usefixtures("words_only")
@pytest.mark.parametrize(
    ("right_at_90", "words"),
    [
        (30, "the network is overconfident"),
        (36, "it is consistent with a network that is right on average as often as it says"),
        (40, "the network is underconfident"),
    ],
)
def test_too_sure_is_said_only_of_what_is(
    tmp_path: Path, space: SearchSpace, right_at_90: int, words: str
) -> None:
    bins = (CalibrationBin(0, 0, 0.0), CalibrationBin(40, right_at_90, 36.0))
    matrix = ((right_at_90, 40 - right_at_90, 0), (0, 0, 0), (0, 0, 0))
    reading = make_reading(0, num_images=40, confusion_matrix=matrix, calibration=bins)
    search = make_study([make_trial(space, 0)], space, readings=(reading,))
    result = write_report(tmp_path, [Source(search, None, ())], top=10)
    said = {
        "the network is overconfident",
        "the network is underconfident",
        "it is consistent with a network that is right on average as often as it says",
    }
    text = " ".join(Page(result.html.read_text()).text.split())
    assert {one for one in said if one in text} == {words}
    low, high = result.data["studies"]["hand-made"]["calibration"]["bias_interval"]
    assert low <= 0.9 - right_at_90 / 40 + 1e-9
    assert high > 0.9 - right_at_90 / 40


@pytest.mark.usefixtures("words_only")
def test_no_pair_of_classes_is_named_of_two_as_frequent(tmp_path: Path, space: SearchSpace) -> None:
    trial = make_trial(space, 0)
    even = make_study([trial], space, readings=(make_reading(0),))  # one mistake of two kinds
    assert "2 of 20 test examples are wrong." in page_of(tmp_path / "even", even, None)
    reading = make_reading(0, confusion_matrix=((7, 2, 0), (0, 6, 0), (1, 0, 4)))
    one = make_study([trial], space, readings=(reading,))
    expected = "3 of 20 test examples are wrong, most often zero mistaken for one (2)."
    assert expected in page_of(tmp_path / "one", one, None)


@pytest.mark.usefixtures("words_only")
def test_what_mattered_is_ordered_only_if_it_can_be(
    tmp_path: Path, space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = make_study([make_trial(space, 0)], space)
    shares = {"weight_decay": 0.7, "num_layers": 0.3}
    intervals = {"weight_decay": Interval(0.1, 0.9), "num_layers": Interval(0.1, 0.9)}
    effects = {
        name: Effect((), (), (), (), best) for name, best in zip(shares, ("lower", ""), strict=True)
    }
    for ahead in (True, False):
        found = Importances(shares, "a note", intervals, ahead, effects)
        monkeypatch.setattr(findings_module, "importances", lambda *_, found=found: found)
        text = page_of(tmp_path, search, None)
        assert "weight_decay 70% (10 to 90%), lower was better; num_layers 30% (10 to 90%)" in text
        assert ("; which of them mattered most is not known." in text) == (not ahead)


@pytest.mark.usefixtures("words_only")
def test_exact_values_can_be_copied(tmp_path: Path, space: SearchSpace) -> None:
    search = make_study([make_trial(space, 0, weight_decay=1.2345678901234567e-05)], space)
    assert "weight_decay1.2345678901234568e-05searched" in page_of(tmp_path, search, None)


@pytest.mark.slow
@pytest.mark.usefixtures("no_png")
def test_ranked_by_loss_and_confirmed(tmp_path: Path, space: SearchSpace) -> None:
    by_loss = load_space(space.to_json() | {"objective": {"metric": "validation_loss"}})
    search = make_study([make_trial(by_loss, number, 2) for number in range(2)], by_loss)
    runs = study_of_runs([[4, 6], [3, 1]], [0, 1], space=by_loss)
    result = write_report(tmp_path, [Source(search, runs, ())], top=10)
    text = " ".join(Page(result.html.read_text()).text.split())
    assert "Mean validation loss" in text
    assert "Validation loss of 2 configurations on 2 fresh seeds" in result.html.read_text()
    assert "Validation accuracy of 2" not in result.html.read_text()
    assert "0.4500" in text


@pytest.mark.usefixtures("no_png")
def test_no_complete_trial(tmp_path: Path, space: SearchSpace) -> None:
    states = (TrialState.FAIL, TrialState.RUNNING, TrialState.WAITING)
    trials = [make_trial(space, number, state=state) for number, state in enumerate(states)]
    study = replace(make_study(trials, space), state=StudyState.RUNNING)
    result = write(tmp_path, study)
    assert result.data["studies"]["hand-made"]["best"] is None
    assert "nan: loss became nan" in result.html.read_text()


def test_no_trial_at_all(tmp_path: Path, space: SearchSpace) -> None:
    result = write(tmp_path, make_study([], space))
    assert result.data["studies"]["hand-made"]["counts"]["trials"] == 0


@pytest.mark.usefixtures("no_png")
def test_a_single_trial_with_everything_fixed(tmp_path: Path) -> None:
    fixed = load_space({"name": "article", "dataset": "digits", "budget": {"trials": 1}})
    result = write(tmp_path, make_study([make_trial(fixed, 0)], fixed))
    html = result.html.read_text()
    assert "What the hyperparameters did" not in html
    assert "indistinguishable from the best" not in html


@pytest.mark.usefixtures("words_only")
@pytest.mark.parametrize(
    ("pruner", "epochs", "is_said"),
    [
        ("hyperband", {"low": 2, "high": 9}, True),
        ("median", {"choices": [3, 9]}, True),
        ("median", 2, False),
        ("none", {"low": 2, "high": 9}, False),
    ],
)
def test_a_pruner_of_trials_of_different_lengths_is_said(
    tmp_path: Path, pruner: str, epochs: Any, is_said: bool
) -> None:
    space = load_space({**SPACE, "pruner": pruner, "parameters": {"epochs": epochs}})
    trials = [make_trial(space, 0), make_trial(space, 1, 9, state=TrialState.PRUNED)]
    text = page_of(tmp_path, make_study(trials, space), None)
    words = f"Epochs is searched, and the {pruner} pruner favours trials with few"
    assert text.count(words) == is_said
    assert text.count("fix epochs at the most (epochs: 9)") == is_said


@pytest.mark.usefixtures("words_only")
def test_ranked_by_loss(tmp_path: Path, space: SearchSpace) -> None:
    by_loss = load_space(space.to_json() | {"objective": {"metric": "validation_loss"}})
    trials = [make_trial(by_loss, number, 3 + number) for number in range(2)]
    text = Page(write(tmp_path, make_study(trials, by_loss)).html.read_text()).text
    assert "ranked by validation loss" in text
    assert "The losses on the validation split are not recorded" in text


@pytest.mark.slow
@pytest.mark.usefixtures("no_png")
def test_many_classes_and_unknown_labels(tmp_path: Path, space: SearchSpace) -> None:
    matrix = tuple(tuple(9 if row == column else 0 for column in range(47)) for row in range(47))
    study = make_study(
        [make_trial(space, 0), make_trial(space, 1, state=TrialState.FAIL)], space,
        readings=(make_reading(0, confusion_matrix=matrix, num_images=423, mistakes=()),),
    )  # fmt: skip
    result = write(tmp_path, replace(study, data=DataFacts(DATA, "", b"")))
    best = result.data["studies"]["hand-made"]["best"]
    assert best["num_validation_images"] is None
    assert best["test_errors"] == 0
    assert result.html.stat().st_size < 1_000_000


@pytest.mark.usefixtures("no_png")
def test_numbers_that_are_none_become_null(tmp_path: Path, space: SearchSpace) -> None:
    trial = make_trial(space, 0)
    assert trial.outcome is not None
    history = tuple(with_values(m, train_loss=float("inf")) for m in trial.outcome.history)
    history = (with_values(history[0], validation_loss=float("nan")), *history[1:])
    trial = replace(trial, outcome=replace(trial.outcome, history=history))
    result = write(tmp_path, make_study([trial], space))
    text = (tmp_path / "report.json").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    assert "inf" not in (tmp_path / "epochs.csv").read_text()
    assert result.data["studies"]["hand-made"]["best"]["validation_loss"] is not None


def test_file_names_keep_apart(tmp_path: Path, space: SearchSpace) -> None:
    names = ["a/b", "a:b", "A_B", ".."]
    assert writing._prefixes(names) == ["a_b", "a_b-2", "A_B-3", "study"]


# ---------------------------------------------------------------- the request


@pytest.mark.slow
@pytest.mark.usefixtures("words_only")
def test_the_test_split_is_read_once_if_it_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_store: dict[str, StudyRecord]
) -> None:
    calls: list[Any] = []

    def read(storage: str, name: str, data_dir: object, sources: object) -> TestReading:
        calls.append((storage, name, data_dir))
        return make_reading(0)

    monkeypatch.setattr("sweep.evaluation.read_test_split", read)
    study = fake_store["hand-made"]
    fake_store["hand-made"] = replace(study, trials=study.trials[:1])
    report("hand-made", storage="sqlite:///x.db", out=tmp_path / "tested")
    assert calls == []  # the store has a reading already
    fake_store["hand-made"] = replace(study, trials=study.trials[:1], test_readings=())
    result = report(["hand-made"], storage="sqlite:///x.db", out=tmp_path / "new", data_dir="d")
    assert calls == [("sqlite:///x.db", "hand-made", "d")]
    assert result.data["studies"]["hand-made"]["best"]["test_accuracy"] == pytest.approx(0.9)
    assert result.notes == ()


@pytest.mark.slow
@pytest.mark.usefixtures("words_only")
def test_a_confirmation_decides_what_is_opened(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fake_store: dict[str, StudyRecord],
    space: SearchSpace,
) -> None:
    opened: list[str] = []

    def read(storage: str, name: str, data_dir: object, sources: object) -> StudyRecord:
        opened.append(name)
        runs = fake_store["hand-made.confirm"]
        readings = (make_reading(2), make_reading(3))
        fake_store["hand-made.confirm"] = replace(runs, test_readings=readings)
        return fake_store["hand-made.confirm"]

    monkeypatch.setattr("sweep.evaluation.read_test_split", read)
    monkeypatch.setattr("sweep.evaluation.read_test_split_of_winner", read)
    search = make_study([make_trial(space, number, 2 + number) for number in range(2)], space)
    runs = study_of_runs([[4, 6], [3, 1]], [0, 1], space=space)
    under_way = replace(runs, trials=runs.trials[:3], state=StudyState.INTERRUPTED)
    fake_store |= {"hand-made": search, "hand-made.confirm": under_way}
    result = report("hand-made", out=tmp_path)
    assert "Until then the test split stays sealed." in result.notes[0]
    fake_store["hand-made"] = replace(search, test_readings=(make_reading(0),))
    result = report("hand-made", out=tmp_path)
    assert "Until then the test split is not opened again." in result.notes[0]
    assert "sealed" not in result.html.read_text()
    fake_store["hand-made"] = search
    assert opened == []
    fake_store["hand-made.confirm"] = runs
    result = report("hand-made", out=tmp_path)
    assert opened == ["hand-made"]
    assert result.data["studies"]["hand-made"]["best"]["network_trial"] == 3
    assert result.data["studies"]["hand-made"]["best"]["test_accuracy"] == pytest.approx(0.9)
    report("hand-made", out=tmp_path)
    assert opened == ["hand-made"]
    with pytest.raises(InputError, match="the search that it confirms: `sweep report hand-made`"):
        report("hand-made.confirm", out=tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("words_only")
def test_trials_that_no_confirmation_saw_are_said(
    tmp_path: Path, fake_store: dict[str, StudyRecord], space: SearchSpace
) -> None:
    """The leaderboard may have a better one by now, and the answer is the winner all the same."""
    search = make_study([make_trial(space, number, 2 + number) for number in range(4)], space)
    runs = study_of_runs([[4, 6], [3, 1]], [0, 1], space=space)
    runs = replace(runs, test_readings=(make_reading(2), make_reading(3)))
    expected = "ended after its confirmation began: none of them was a candidate"
    for later in range(3):
        confirms = replace(runs.confirms, num_trials=4 - later)
        fake_store["hand-made.confirm"] = replace(runs, confirms=confirms)
        fake_store["hand-made"] = search
        result = report("hand-made", out=tmp_path)
        counted = [f"hand-made: {later} trial{'s' if later > 1 else ''} of the search {expected}"]
        assert [note.split(",")[0] for note in result.notes] == (counted if later else [])
        assert (expected in result.html.read_text()) == (later > 0)
        assert result.data["studies"]["hand-made"]["confirmation"]["num_later"] == later
        # How many trials there were when the confirmation opened the test split is not recorded.
        assert result.data["studies"]["hand-made"]["trials_after_opening"] == 0


@pytest.mark.usefixtures("no_png")
def test_what_could_not_be_read_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_store: dict[str, StudyRecord]
) -> None:
    def read(*_: object) -> TestReading:
        raise DataError("the weights of trial 0 are gone")

    monkeypatch.setattr("sweep.evaluation.read_test_split", read)
    study = fake_store["hand-made"]
    fake_store["hand-made"] = replace(study, trials=study.trials[:1], test_readings=())
    result = report("hand-made", out=tmp_path)
    expected = "Test split not read: the weights of trial 0 are gone"
    assert result.notes == (f"hand-made: {expected}",)
    assert expected in result.html.read_text()
    assert not (tmp_path / "figures" / "hand-made-test-confusion-matrix.png").exists()


@pytest.mark.usefixtures("words_only")
def test_a_search_under_way_stays_sealed_and_its_commands_work_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_store: dict[str, StudyRecord]
) -> None:
    def read(*_: object) -> TestReading:
        raise AssertionError("the test split must stay sealed")

    monkeypatch.setattr("sweep.evaluation.read_test_split", read)
    monkeypatch.chdir(tmp_path)
    study = fake_store["hand-made"]
    fake_store["hand-made"] = replace(
        study, test_readings=(), finished_by=None, state=StudyState.INTERRUPTED
    )
    result = report("hand-made", storage="sqlite:///x.db", out="out", data_dir="data")
    assert "the test split is sealed" in result.notes[0]
    places = f"--data-dir {tmp_path}/data --storage sqlite:///{tmp_path}/x.db"
    commands = result.data["studies"]["hand-made"]["commands"]
    assert commands["resume"] == f"sweep resume hand-made {places}"
    assert "the test split is sealed" in result.html.read_text()


def test_no_complete_trial_is_said(tmp_path: Path, fake_store: dict[str, StudyRecord]) -> None:
    fake_store["hand-made"] = replace(fake_store["hand-made"], trials=())
    result = report("hand-made", out=tmp_path)
    assert "No trial is COMPLETE" in result.notes[0]


@pytest.mark.usefixtures("fake_store")
def test_bad_requests_write_nothing(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(StoreError, match="no study 'absent'"):
        report(["hand-made", "absent"], out=tmp_path / "out")
    with pytest.raises(InputError, match="top must be at least 1; found 0"):
        report("hand-made", out=tmp_path / "out", top=0)
    with pytest.raises(InputError, match="file' is a file; name a folder"):
        report("hand-made", out=file)
    with pytest.raises(InputError, match="file' is a file; name a folder"):
        report("hand-made", out=file / "below")
    with pytest.raises(InputError, match=r"cannot be written to 'x+': File name too long; name"):
        report("hand-made", out="x" * 300)
    with pytest.raises(InputError, match="at least one study"):
        report([], out=tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert file.read_text() == "mine"


def test_a_folder_in_the_way_is_said(tmp_path: Path, space: SearchSpace) -> None:
    (tmp_path / "figures").write_text("in the way")
    with pytest.raises(InputError, match="cannot be written to"):
        write(tmp_path, make_study([], space))


def test_a_full_disk_is_a_failure_that_says_what_is_there(
    tmp_path: Path, space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bytes = Path.write_bytes

    def fill(path: Path, content: bytes) -> int:
        if path.name == "report.json":
            write_bytes(path, content[:10])
            raise OSError(28, "No space left on device", str(path))
        return write_bytes(path, content)

    monkeypatch.setattr(Path, "write_bytes", fill)
    said = (
        r"No space left on device \(.*report.json\); written: (\d+ figures?, )?trials.csv, "
        r"epochs.csv; not written: report.json, report.html; make room"
    )
    with pytest.raises(SweepFailedError, match=said):
        write(tmp_path, make_study([], space))
    assert {path.name for path in tmp_path.iterdir()} == {"figures", "trials.csv", "epochs.csv"}


def test_importing_the_room_is_light() -> None:
    heavy = "{'matplotlib', 'pandas', 'torch'}"
    code = f"import sys, sweep.reporting; print({heavy} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"
