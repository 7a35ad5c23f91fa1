"""What the report says of the data: their form, the baseline, unbalanced and many classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand_made import (
    DATA,
    FAIL,
    SPACE,
    make_reading,
    make_study,
    make_trial,
    metrics_of,
    study_of_runs,
)
from pages import Page, page_of, write

from sweep.cli.answer_text import answer_text
from sweep.codec import pack_labels
from sweep.definitions import OBJECTIVES
from sweep.errors import ContradictionError
from sweep.records import Objective, StudyRecord, TestReading
from sweep.reporting.reported import reported
from sweep.reporting.statistics import baseline
from sweep.space import load_space

pytestmark = pytest.mark.usefixtures("words_only")


def text_of(folder: Path, study: StudyRecord) -> tuple[str, dict[str, Any]]:
    """The page's text with single spaces, and the study's part of the JSON."""
    written = write(folder, study)
    text = " ".join(Page(written.html.read_text()).text.split())
    return text, written.data["studies"][study.name]


def with_validation(study: StudyRecord, counts: Sequence[int]) -> StudyRecord:
    """The study with so many validation examples of each class, which nobody has answered."""
    labels = pack_labels(np.repeat(np.arange(len(counts)), counts), len(counts))
    return replace(study, data=replace(study.data, validation_labels=labels))


@pytest.fixture
def plain(space) -> StudyRecord:
    return make_study([make_trial(space, 0)], space, readings=(make_reading(0),))


# ---------------------------------------------------------------- the baseline


def test_the_baseline_is_the_validations_commonest_class_on_the_test_split(plain, tmp_path):
    """Not the test split's own commonest class, which nobody could know."""
    study = with_validation(plain, [10, 20, 15])
    text, data = text_of(tmp_path, study)
    assert "Always saying “one” gets 30.00%." in text  # 6 of 20
    found = data["best"]["baseline"]
    assert (found["class_name"], found["test_accuracy"]) == ("one", 0.3)
    assert found["validation_accuracy"] == 20 / 45
    shown = answer_text(reported(study, load_space(SPACE), None))
    assert re.search("always saying 'one' +accuracy 30.00% on the test split", shown)


def test_a_network_that_may_be_no_better_than_the_baseline_is_called_so(plain, tmp_path):
    worse = make_reading(0, confusion_matrix=((9, 0, 0), (5, 1, 0), (5, 0, 0)), mistakes=())
    text, _ = text_of(tmp_path, replace(plain, test_readings=(worse,)))
    said = "Always saying “zero” gets 45.00%: the network to use is not shown to be better."
    assert said in text
    text, _ = text_of(tmp_path, plain)
    assert "not shown to be better" not in text


@pytest.mark.parametrize(
    ("default", "verdict"),
    [
        ([20, 21, 22], "beats the default configuration by +46.67 points (9"),
        ([2, 3, 2], "is not shown to be better than the default configuration: +0.00 points (9"),
        ([0, 0, 1], "is worse than the default configuration: −5.00 points (9"),
        ([FAIL, FAIL, FAIL], "was not tested against the default configuration"),
    ],
)
def test_page_and_terminal_say_the_same_of_the_default(space, tmp_path, default, verdict):
    search = make_study([make_trial(space, n, 2 + n) for n in range(2)], space)
    runs = study_of_runs(
        [[2, 3, 2], [9, 10, 9], default], [0, 1], space=space, baselines=("default",)
    )
    assert f"It {verdict}" in page_of(tmp_path, search, runs)
    if default[0] is not FAIL:
        assert f"trial 0 {verdict}" in answer_text(reported(search, space, runs))


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("validation_balanced_accuracy", ("balanced_accuracy", 1 / 3)),
        ("validation_f1_macro", ("f1_macro", 2 * 0.45 / 1.45 / 3)),
        ("validation_loss", ("accuracy", 0.45)),
    ],
)
def test_the_baseline_is_measured_as_the_network_is(plain, metric, expected):
    """Always saying the commonest class is often right, and knows one class of three."""
    reading = make_reading(0, confusion_matrix=((9, 0, 0), (5, 1, 0), (5, 0, 0)), mistakes=())
    found = baseline(replace(plain, objective=Objective(metric, OBJECTIVES[metric].goal)), reading)
    assert found is not None
    assert (found.metric, found.test_value) == (expected[0], pytest.approx(expected[1]))
    assert found.test_accuracy == 0.45


def test_without_a_reading_the_baseline_is_of_the_validation_split_alone(plain):
    found = baseline(replace(plain, test_readings=()), None)
    assert found is not None
    assert (found.class_name, found.validation_accuracy) == ("zero", 16 / 40)
    assert found.test_accuracy is None


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        (pack_labels([0, 1, 3], 4), "classes that do not exist"),
        (b"\xff\xff\xff", "the validation split: 3 bytes are not a whole number of labels"),
    ],
)
def test_labels_that_cannot_be_those_of_the_data_are_refused(plain, labels, why):
    study = replace(plain, data=replace(plain.data, validation_labels=labels))
    with pytest.raises(ContradictionError, match=why):
        baseline(study, None)


def test_without_labels_there_is_no_baseline(plain):
    assert baseline(replace(plain, data=replace(plain.data, validation_labels=b"")), None) is None


# ---------------------------------------------------------------- unbalanced classes


def answered(true: Sequence[int], said: Sequence[int]) -> TestReading:
    cells = np.zeros((3, 3), int)
    np.add.at(cells, (true, said), 1)
    return make_reading(
        0,
        num_images=len(true),
        mistakes=(),
        confusion_matrix=tuple(map(tuple, cells.tolist())),
        labels=pack_labels(true, 3),
        predictions=pack_labels(said, 3),
    )


@pytest.mark.parametrize(("counts", "is_unbalanced"), [([20, 15, 10], False), ([21, 15, 10], True)])
def test_of_unbalanced_classes_all_are_counted_alike_too(plain, tmp_path, counts, is_unbalanced):
    """Unbalanced is: more than twice as many of the commonest class as of the rarest."""
    true = [0] * 60 + [1] * 30 + [2] * 10
    said = [0] * 55 + [1] * 5 + [1] * 20 + [0] * 10 + [2] * 4 + [0] * 6
    study = replace(with_validation(plain, counts), test_readings=(answered(true, said),))
    text, data = text_of(tmp_path, study)
    averages = {each["metric"]: each for each in data["best"]["class_averages"]}
    assert ("They are unbalanced" in text) == bool(averages) == is_unbalanced
    if not is_unbalanced:
        return
    assert "21 validation examples of 'zero', 10 of 'two'." in text
    expected = metrics_of(true, said)
    assert averages.keys() == {"test_balanced_accuracy", "test_f1_macro"}
    for name, each in averages.items():
        assert each["value"] == pytest.approx(expected[name.removeprefix("test_")])
        low, high = each["interval"]
        assert low < each["value"] < high
        assert f"is {each['value']:.2%} ({100 * low:.2f} to {high:.2%})" in text
    shown = answer_text(reported(study, load_space(SPACE), None))
    assert "its test macro F1" in shown


# ---------------------------------------------------------------- form, notes, overlap


def test_the_data_are_described_and_what_was_left_out_is_said(plain, tmp_path):
    spec = replace(DATA, input_shape=(3, 2, 2), num_pool=240)
    data = replace(plain.data, spec=spec, notes=("2 rows <b>were</b> left out",))
    text, found = text_of(tmp_path, replace(plain, data=data, test_readings=()))
    assert "colour images of 2 x 2, 3 classes; 200 for training, 40 for validation, 20 for" in text
    assert "2 rows <b>were</b> left out." in text
    assert found["data"]["notes"] == ["2 rows <b>were</b> left out"]
    assert (found["data"]["num_train"], found["data"]["num_in_training"]) == (200, None)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (None, "What it shares with training was not counted."),
        (0, "No test example stands in the training pool."),
        (1, "The test result may be too good: 5.0% of its examples were seen."),
    ],
)
def test_test_examples_that_stand_in_training_are_said(plain, tmp_path, number, words):
    study = replace(plain, test_readings=(make_reading(0, num_in_training=number),))
    text, found = text_of(tmp_path, study)
    assert words in text
    assert found["data"]["num_in_training"] == number
    assert ("1 of 20 test examples" in answer_text(reported(study, load_space(SPACE), None))) == (
        number == 1
    )


@pytest.mark.parametrize(
    ("dataset", "inputs", "noun"),
    [
        ("digits", "IMAGE.png", "images"),
        ({"folder": "photos"}, "IMAGE.png", "images"),
        ({"arrays": "mine.npz"}, "INPUTS.npy", "images"),
        ({"table": "rows.csv", "target": "kind"}, "ROWS.csv", "rows"),
    ],
)
def test_the_command_that_uses_the_network_fits_the_data(tmp_path, dataset, inputs, noun):
    space = load_space({**SPACE, "dataset": dataset})
    study = make_study([make_trial(space, 0)], space)
    if noun == "rows":
        spec = replace(DATA, kind="table", input_shape=(7,))
        study = replace(study, data=replace(study.data, spec=spec))
    text, _ = text_of(tmp_path, study)
    assert f"Classify {noun} with it: sweep predict hand-made {inputs} --trial 0" in text


# ---------------------------------------------------------------- many classes


@pytest.mark.parametrize(("count", "rest"), [(12, 0), (47, 35), (100, 88)])
def test_of_many_classes_the_worst_come_first_and_the_rest_can_be_opened(
    space, tmp_path, count, rest
):
    """Class number n is right n times and wrong once."""
    cells = np.diag(np.arange(count))
    cells[np.arange(count), (np.arange(count) + 1) % count] = 1
    names = tuple(f"class {index}." for index in range(count))
    matrix = tuple(map(tuple, cells.tolist()))
    reading = make_reading(0, num_images=int(cells.sum()), confusion_matrix=matrix, mistakes=())
    trial = make_trial(space, 0)
    assert trial.outcome is not None
    trial = replace(trial, outcome=replace(trial.outcome, validation_predictions=None))
    study = make_study([trial], space, readings=(reading,))
    spec = replace(DATA, class_names=names)
    study = replace(study, data=replace(study.data, spec=spec, validation_labels=b""))
    written = write(tmp_path, study)
    html = written.html.read_text()
    assert len(written.data["studies"]["hand-made"]["class_scores"]) == count
    table = html[html.index('aria-label="Scores of ') :]
    table = table[: table.index("<summary><h3")]
    assert table.count('<th scope="row"') == count
    opened = "<summary>The other"
    assert (opened in table) == bool(rest)
    if rest:
        first, others = table.split(opened)
        assert others.startswith(f" {rest} classes")
        assert first.count('<th scope="row"') == 12
        assert ">class 0.<" in first
        assert f">class {count - 1}.<" in others
