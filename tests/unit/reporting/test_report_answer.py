from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hand_made import LABELS, make_reading, make_study, make_trial, study_of_runs

from sweep.cli.answer import answer_json, answer_text
from sweep.records import StudyRecord
from sweep.reporting.answer import answer
from sweep.reporting.reported import reported
from sweep.reporting.statistics import difference_interval
from sweep.space import SearchSpace


def test_the_answer_joins_validation_and_test(study: StudyRecord, space: SearchSpace) -> None:
    found = answer(reported(study, space, None))
    assert found is not None
    assert (found.trial.number, found.network.number) == (0, 0)
    assert found.network_study == study.name
    assert not found.confirmed
    assert found.test_accuracy == pytest.approx(18 / 20)
    assert found.test_errors == 2
    (promise,) = found.promises
    assert promise.difference == pytest.approx(39 / 40 - 18 / 20)
    assert promise.interval == difference_interval(39, 40, 18, 20)


def test_an_unfinished_reading_is_no_result(study: StudyRecord, space: SearchSpace) -> None:
    opened = replace(study, test_readings=(make_reading(0, confusion_matrix=None, num_images=0),))
    found = answer(reported(opened, space, None))
    assert found is not None
    assert found.test_accuracy is None
    assert found.promises == ()


def test_without_a_complete_trial_there_is_no_answer(
    study: StudyRecord, space: SearchSpace
) -> None:
    assert answer(reported(replace(study, trials=study.trials[9:]), space, None)) is None


@pytest.fixture
def confirmed(space: SearchSpace) -> tuple[StudyRecord, StudyRecord]:
    """A search whose second-best trial wins on fresh seeds, and the runs that say so."""
    search = make_study([make_trial(space, number, 2 + number) for number in range(3)], space)
    runs = study_of_runs([[4, 6], [3, 1], [9, 12]], [0, 1, 2], space=space)
    readings = (make_reading(2), make_reading(3))
    return search, replace(runs, test_readings=readings)


def test_the_winner_on_fresh_seeds_is_the_answer(
    confirmed: tuple[StudyRecord, StudyRecord], space: SearchSpace
) -> None:
    search, runs = confirmed
    study = reported(search, space, runs)
    found = answer(study)
    assert found is not None
    assert found.confirmed
    assert found.trial.number == 1
    assert (found.network_study, found.network.number) == (runs.name, 3)  # one mistake
    assert found.network.validation_accuracy == pytest.approx(1 - 1 / len(LABELS))
    assert found.test_accuracy == pytest.approx(0.9)
    search_minus_mean, validation_minus_test = found.promises
    # 3 mistakes in the search, 2 on average over fresh seeds.
    assert search_minus_mean.difference == pytest.approx(-1 / len(LABELS))
    assert validation_minus_test.difference == pytest.approx(1 - 1 / len(LABELS) - 0.9)
    assert validation_minus_test.interval == difference_interval(39, 40, 18, 20)


def test_runs_under_way_choose_nothing(
    confirmed: tuple[StudyRecord, StudyRecord], space: SearchSpace
) -> None:
    search, runs = confirmed
    found = answer(reported(search, space, replace(runs, trials=runs.trials[:5])))
    assert found is not None
    assert not found.confirmed
    assert (found.trial.number, found.network_study) == (0, search.name)


def test_the_terminal_says_the_same(
    confirmed: tuple[StudyRecord, StudyRecord], space: SearchSpace
) -> None:
    search, runs = confirmed
    lines = answer_text(reported(search, space, runs)).splitlines()
    assert "use the configuration of trial 1, the best on fresh seeds:" in lines
    text = "\n".join(" ".join(line.split()) for line in lines)
    assert "on fresh seeds validation_accuracy 95.00% (mean over 2 fresh seeds" in text
    assert "the search's best, trial 0, cannot be told from it" in text
    assert "the network trial 3 of hand-made.confirm" in text
    assert "its test accuracy 90.00% (95 % interval 69.90 to 97.21)" in text
    assert "promised too much -2.50 points" in text
    data = json.loads(json.dumps(answer_json(reported(search, space, runs)), allow_nan=False))
    assert (data["answer"]["number"], data["answer"]["network_trial"]) == (1, 3)
    assert data["answer"]["test_accuracy"] == pytest.approx(0.9)
    assert data["confirmation"]["winner"] == 1
    unconfirmed = answer_text(reported(search, space, None))
    assert "use the configuration of trial 0, the best on validation images:" in unconfirmed
    assert "not read yet: `sweep report hand-made` reads it once" in unconfirmed
    assert "indistinguishable" in unconfirmed


def test_a_confirmation_itself_recommends_no_run(space: SearchSpace) -> None:
    """A mean chooses the configuration, and the test split is not opened for a single run."""
    runs = study_of_runs([[4, 6], [3, 1]], [0, 1], space=space)
    text = answer_text(reported(runs, space, None))
    assert runs.confirms is not None
    assert f"see `sweep show {runs.confirms.study}`" in text
    assert "use the configuration" not in text
    assert "sweep report" not in text
