"""Reports on studies that do not rank by the accuracy, or are of other data than small images."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand_made import (
    DATA,
    LABELS,
    make_reading,
    make_study,
    make_trial,
    metrics_of,
    opened,
    predictions,
    study_of_runs,
)
from pages import Page, page_of, write
from PIL import Image

from sweep.cli.answer_text import answer_text, confirmation_text
from sweep.codec import pack_labels
from sweep.records import StudyRecord, TrialRecord
from sweep.reporting.candidates import confirmation
from sweep.reporting.reported import reported
from sweep.space import SearchSpace, load_space


def ranked_by(metric: str, space: SearchSpace) -> SearchSpace:
    goal = "minimize" if metric == "loss" else "maximize"
    objective = {"metric": f"validation_{metric}", "goal": goal}
    return load_space(space.to_json() | {"objective": objective})


def with_losses(trial: TrialRecord, *losses: float) -> TrialRecord:
    """So many nats for each validation example, over and over."""
    assert trial.outcome is not None
    packed = np.resize(losses, len(LABELS)).astype(np.float32).tobytes()
    return replace(trial, outcome=replace(trial.outcome, validation_losses=packed))


# ---------------------------------------------------------------- what the study ranks by


@pytest.mark.slow
@pytest.mark.usefixtures("no_png")
@pytest.mark.parametrize(
    ("metric", "words"), [("balanced_accuracy", "balanced accuracy"), ("f1_macro", "macro F1")]
)
def test_a_page_leads_with_what_the_study_ranks_by(
    tmp_path: Path, space: SearchSpace, metric: str, words: str
) -> None:
    by_metric = ranked_by(metric, space)
    trials = [make_trial(by_metric, number, wrong) for number, wrong in enumerate((3, 4, 25))]
    search = make_study(trials, by_metric, readings=(opened(7),))
    result = write(tmp_path, search)
    study = result.data["studies"]["hand-made"]
    validated = metrics_of(LABELS, predictions(3))[metric]
    tested = metrics_of(LABELS, predictions(7))
    best = study["best"]
    assert best["validation_value"] == best["value"] == pytest.approx(validated)
    assert best["test_value"] == pytest.approx(tested[metric])
    assert best["test_value_interval"][0] < tested[metric] < best["test_value_interval"][1]
    assert best["test_accuracy"] == pytest.approx(tested["accuracy"])
    assert study["leaderboard"][0]["value_interval"] == best["validation_value_interval"]
    assert study["ties"]["test"] == "paired bootstrap test"
    (promise,) = best["promises"]
    assert promise["difference"] == pytest.approx(validated - tested[metric])
    html = result.html.read_text()
    text = " ".join(Page(html).text.split())
    assert f"ranked by validation {words}" in text
    assert f"{100 * tested[metric]:.2f}% test {words} of one network, 95% interval" in text
    assert "; accuracy 82.50% (" in text
    assert "7 of 40 wrong." in text
    assert f"Paired bootstrap tests of their validation {words} on the same 40 examples" in text
    assert f"be told apart from the best by validation {words}." in text
    assert f"1 − {words} (%)" in html
    assert "McNemar" not in text
    said = " ".join(answer_text(reported(search, by_metric, None)).split())
    assert f"its test {words} {tested[metric]:.2%} (95% interval " in said
    assert (
        f"be told apart from the best by validation_{metric} (paired bootstrap test, Holm)" in said
    )


@pytest.mark.slow
@pytest.mark.usefixtures("words_only")
def test_a_page_on_a_loss(tmp_path: Path, space: SearchSpace) -> None:
    by_loss = ranked_by("loss", space)
    trials = [with_losses(make_trial(by_loss, number), 0.3, 0.6) for number in range(2)]
    search = make_study(trials, by_loss, readings=(opened(7),))
    best = write(tmp_path, search).data["studies"]["hand-made"]["best"]
    assert (best["validation_value"], best["test_value"]) == (0.45, 0.3)
    assert best["test_value_interval"] is None
    assert best["promises"][0]["difference"] == pytest.approx(0.3 - 0.45)
    text = page_of(tmp_path, search, None)
    assert "0.3000 test loss of one network; accuracy 82.50% (" in text
    assert "Paired bootstrap tests of their validation loss on the same 40 examples" in text
    assert "infinitely many resamples" in text

    losses = np.resize([0.2, 0.4], len(LABELS)).astype("<f4").tobytes()
    recorded = make_study(trials, by_loss, readings=(opened(7, losses=losses),))
    best = write(tmp_path, recorded).data["studies"]["hand-made"]["best"]
    half = 1.96 * 0.1 / len(LABELS) ** 0.5
    assert best["test_value_interval"] == pytest.approx([0.3 - half, 0.3 + half])
    assert best["promises"][0]["interval"] is not None


@pytest.mark.slow
@pytest.mark.usefixtures("words_only")
def test_a_confirmation_speaks_of_the_same_metric(tmp_path: Path, space: SearchSpace) -> None:
    by_f1 = ranked_by("f1_macro", space)
    search = make_study([make_trial(by_f1, number, 2 + number) for number in range(2)], by_f1)
    runs = study_of_runs([[4, 6], [3, 1]], [0, 1], space=by_f1)
    readings = tuple(replace(opened(number + 2), trial=number) for number in (2, 3))
    runs = replace(runs, test_readings=readings)
    text = page_of(tmp_path, search, runs)
    values = [metrics_of(LABELS, predictions(num))["f1_macro"] for num in (4, 5)]
    mean = f"{100 * sum(values) / 2:.2f}"
    assert f"{mean}% (" in text or f"{mean} ± " in text
    assert "test macro F1, mean of 2 fresh seeds, 95% interval" in text
    assert "Mean validation macro F1" in text
    found = confirmation(search, runs)
    assert found is not None
    assert f"test macro F1 of trial 1: {mean}%" in confirmation_text("hand-made", found)
    assert "Welch's t-test" in confirmation_text("hand-made", found)


@pytest.mark.slow
@pytest.mark.usefixtures("words_only")
def test_studies_that_rank_by_other_metrics_are_not_held_against_each_other(
    tmp_path: Path, space: SearchSpace
) -> None:
    by_f1 = ranked_by("f1_macro", space)
    trials = [make_trial(space, number, 2 + number) for number in range(2)]
    first = make_study(trials, space, name="first", readings=(opened(7),))
    second = make_study(trials, by_f1, name="second", readings=(opened(7),))
    third = make_study(trials, by_f1, name="third", readings=(opened(9),))
    result = write(tmp_path / "a", first, second, third)
    comparison = result.data["comparison"]
    assert (comparison["metric"], comparison["values"]) == (None, [])
    (pair,) = comparison["pairs"]
    assert (pair["first"], pair["second"]) == ("second", "third")
    assert pair["metric"] == "validation_f1_macro"
    text = " ".join(Page(result.html.read_text()).text.split())
    assert "rank by different metrics (validation accuracy, validation macro F1)" in text
    assert not list((tmp_path / "a").glob("figures/comparison*"))
    same = write(tmp_path / "b", second, third)
    assert same.data["comparison"]["metric"] == "validation_f1_macro"
    text = " ".join(Page(same.html.read_text()).text.split())
    assert "on the same test examples (macro F1: paired bootstrap test)" in text


@pytest.mark.usefixtures("words_only")
def test_losses_are_reached_from_above(tmp_path: Path, space: SearchSpace) -> None:
    by_loss = ranked_by("loss", space)
    studies = [
        make_study([make_trial(by_loss, 0)], by_loss, name=name, readings=(opened(7),))
        for name in "ab"
    ]
    result = write(tmp_path, *studies)
    comparison = result.data["comparison"]
    assert comparison["values"] == [1.5, 1.0, 0.7, 0.5]  # they reached 0.45
    assert comparison["studies"][0]["epochs_to_reach"] == [2, 2, 2, 2]
    text = " ".join(Page(result.html.read_text()).text.split())
    assert "Epochs to 0.5" in text
    assert "the networks are compared by right and wrong answers" in text


# ---------------------------------------------------------------- other data


@pytest.mark.usefixtures("no_png")
def test_mistakes_of_a_table_are_a_table(tmp_path: Path, space: SearchSpace) -> None:
    values = iter((("Private", "<b>39</b>"), ("", "7")))
    mistakes = tuple(replace(m, image=b"", row=next(values)) for m in make_reading(0).mistakes)
    reading = make_reading(0, mistakes=mistakes, image_shape=(), columns=("class of work", "age"))
    study = make_study([make_trial(space, 0)], space, readings=(reading,))
    spec = replace(DATA, kind="table", input_shape=(7,))
    result = write(tmp_path, replace(study, data=replace(study.data, spec=spec)))
    html = result.html.read_text()
    text = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    assert "img" not in Page(html).tags
    heading = "Predicted True class Confidence Test example, from 0 class of work age"
    first, second = "one zero 90.0% 3 Private &lt;b&gt;39&lt;/b&gt;", "zero two 60.0% 5 – 7"
    assert f"{heading} {first} {second}" in text
    shown = result.data["studies"]["hand-made"]["test_mistakes"]
    assert [each["row"]["age"] for each in shown] == ["<b>39</b>", "7"]
    assert "Classify rows with it: sweep predict hand-made ROWS.csv" in text
    assert "IMAGE.png" not in text
    assert "test images" not in text


@pytest.mark.usefixtures("words_only")
@pytest.mark.parametrize(("channels", "are_shown"), [(1, True), (3, True), (4, False)])
def test_mistakes_are_shown_in_colour(
    tmp_path: Path, space: SearchSpace, channels: int, are_shown: bool
) -> None:
    pixels = bytes(range(4 * channels))
    mistakes = tuple(replace(m, image=pixels) for m in make_reading(0).mistakes)
    reading = make_reading(0, mistakes=mistakes, image_shape=(channels, 2, 2))
    study = make_study([make_trial(space, 0)], space, readings=(reading,))
    page = Page(write(tmp_path, study).html.read_text())
    pictures = [r for r in page.references if r.startswith("data:image/png;base64,")]
    assert len(pictures) == 2 * are_shown
    expected = np.frombuffer(pixels, np.uint8).reshape(channels, 2, 2).astype(int)
    for picture in pictures:
        image = Image.open(io.BytesIO(base64.b64decode(picture.partition(",")[2])))
        shown = np.asarray(image).reshape(2, 2, channels).transpose(2, 0, 1)
        assert np.array_equal(shown, expected * 255 // max(pixels))


@pytest.mark.slow
@pytest.mark.usefixtures("no_png")
def test_hundreds_of_classes_with_long_names(tmp_path: Path, space: SearchSpace) -> None:
    by_f1 = ranked_by("f1_macro", space)
    names = tuple(f"{number} {'long ' * 40}" for number in range(300))
    labels = np.arange(900) % 300
    answered = [np.where(np.arange(900) < wrong, (labels + 1) % 300, labels) for wrong in (9, 200)]
    trials = [make_trial(by_f1, number, 2 + 9 * number) for number in range(2)]
    for number, (trial, own) in enumerate(zip(trials, answered, strict=True)):
        assert trial.outcome is not None
        outcome = replace(trial.outcome, validation_predictions=pack_labels(own, 300))
        trials[number] = replace(trial, outcome=outcome)
    cells = np.zeros((300, 300), int)
    np.add.at(cells, (labels, answered[0]), 1)
    packed = pack_labels(labels, 300)
    reading = make_reading(
        0, labels=packed, predictions=pack_labels(answered[0], 300), num_images=900, mistakes=(),
        confusion_matrix=tuple(map(tuple, cells.tolist())),
    )  # fmt: skip
    study = make_study(trials, by_f1, class_names=names, readings=(reading,))
    study = replace(study, data=replace(study.data, validation_labels=packed))
    result = write(tmp_path, study)
    found = result.data["studies"]["hand-made"]
    assert len(found["best"]["test_confusion_matrix"]) == len(found["class_scores"]) == 300
    assert [row["tied_with_best"] for row in found["leaderboard"]] == [None, False]
    assert not list(tmp_path.glob("figures/*matri*"))  # nobody would find a cell
    html = result.html.read_text()
    assert "The 12 classes of 300 with the lowest F1" in html
    assert "Most frequent confusions" in html
    assert len(html) < 500_000


class Later(StrEnum):
    """A state of another version."""

    PAUSED = "PAUSED"


@pytest.mark.slow
@pytest.mark.usefixtures("no_png")
def test_a_trial_that_has_not_ended_and_does_not_run(study: StudyRecord, tmp_path: Path) -> None:
    state: Any = Later.PAUSED
    written = replace(study.trials[9], state=state)
    reported_only = replace(
        study.trials[11], params=written.params, state=state, reports={1: 0.4, 3: 0.5}
    )
    trials = (*study.trials[:9], written, study.trials[10], reported_only)
    shown = write(tmp_path, replace(study, trials=trials)).data["studies"]["hand-made"]
    assert (shown["counts"]["trials"], shown["counts"]["epochs"]) == (12, 22 + 3)
    assert shown["best"]["number"] == 0
