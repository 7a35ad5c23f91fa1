from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hand_made import FAIL, LABELS, make_reading, make_study, make_trial, study_of_runs, with_values

from sweep.cli.answer_text import answer_text
from sweep.cli.json_output import answer_json
from sweep.records import StudyRecord
from sweep.reporting.answer import answer
from sweep.reporting.reported import reported
from sweep.reporting.statistics import difference_interval, mean_interval
from sweep.space import SearchSpace, load_space


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
    assert found.validation_value == pytest.approx(1 - 1 / len(LABELS))
    assert found.test_accuracy == pytest.approx(0.9)
    search_minus_mean, validation_minus_test = found.promises
    # Of the search's best, not of the winner, whose runs were chosen: 2 mistakes in the search, 5
    # on average over fresh seeds.
    assert search_minus_mean.difference == pytest.approx(3 / len(LABELS))
    assert search_minus_mean.promised == "the value of the best of the search (trial 0)"
    mean = mean_interval([1 - 4 / len(LABELS), 1 - 6 / len(LABELS)], highest=1.0).interval
    assert mean is not None
    assert search_minus_mean.interval is not None
    assert search_minus_mean.interval.low == pytest.approx(1 - 2 / len(LABELS) - mean.high)
    assert search_minus_mean.interval.high == pytest.approx(1 - 2 / len(LABELS) - mean.low)
    assert validation_minus_test.difference == pytest.approx(1 - 1 / len(LABELS) - 0.9)
    assert validation_minus_test.interval == difference_interval(39, 40, 18, 20)


def words_of(search: StudyRecord, runs: StudyRecord | None, space: SearchSpace) -> str:
    """What the terminal says, with single spaces."""
    lines = answer_text(reported(search, space, runs)).splitlines()
    return "\n".join(" ".join(line.split()) for line in lines)


def test_too_much_of_a_loss_is_above_zero(space: SearchSpace) -> None:
    by_loss = load_space(space.to_json() | {"objective": {"metric": "validation_loss"}})
    search = make_study([make_trial(by_loss, 0)], by_loss)  # 0.45 in the search
    runs = study_of_runs([[4, 4, 4]], [0], space=by_loss)
    trials = []
    for run, loss in zip(runs.trials, (0.5, 0.55, 0.6), strict=True):
        assert run.outcome is not None
        first, last = run.outcome.history
        history = (with_values(first, validation_loss=1.0), with_values(last, validation_loss=loss))
        trials.append(replace(run, outcome=replace(run.outcome, history=history)))
    runs = replace(runs, trials=tuple(trials))
    found = answer(reported(search, by_loss, runs))
    assert found is not None
    (promise,) = found.promises
    assert promise.difference == pytest.approx(0.1)
    mean = mean_interval([0.5, 0.55, 0.6]).interval
    assert promise.interval is not None
    assert mean is not None
    assert promise.interval.low == pytest.approx(mean.low - 0.45)
    assert promise.interval.high == pytest.approx(mean.high - 0.45)
    expected = "optimism +0.1000 (95% interval −0.0242 to +0.2242): the value of the bes"
    assert expected in words_of(search, runs, by_loss)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            [[4], [6]],
            "(1 run); trial 0, the best of the search, is the best on fresh seeds, too; "
            "one run each proves little",
        ),
        (
            [[6], [4]],
            "(1 run); trial 0, the best of the search, is number 2 on fresh seeds, "
            "behind trial 1: not tested against it",
        ),
        (
            [[1, FAIL], [4, 6]],
            "; trial 0, the best of the search, is number 2 on fresh seeds, "
            "behind trial 1: 1 of its 2 runs failed\nfailed 1 of 2 runs",
        ),
        ([[4, 6], [1, FAIL]], "\nfailed 1 of 2 runs of trial 1: fewer failures count for more"),
        ([[FAIL, 4], [FAIL, FAIL]], "failed 1 of 2 runs of trial 0, 2 of 2 runs of trial 1:"),
        ([[6], [4]], "(trial 0) against its run on a fresh seed"),
        ([[FAIL, FAIL], [FAIL, FAIL]], "on fresh seeds not confirmed: all runs failed; `sweep sho"),
    ],
)
def test_what_fresh_seeds_do_not_say(
    space: SearchSpace, wrong: list[list[int]], words: str
) -> None:
    search = make_study([make_trial(space, number, 2 + number) for number in range(2)], space)
    text = words_of(search, study_of_runs(wrong, [0, 1], space=space), space)
    assert words in text
    assert ("the best on validation examples" in text) == ("all runs failed" in words)


def test_a_configuration_is_shown_to_be_copied(space: SearchSpace) -> None:
    search = make_study([make_trial(space, 0, weight_decay=1.2345678901234567e-05)], space)
    assert "weight_decay 1.2345678901234568e-05" in words_of(search, None, space)


def test_the_leaderboard_shows_no_value_that_had_no_effect(space: SearchSpace) -> None:
    """Softmax regression has no activation, whatever was sampled."""
    trials = [
        make_trial(space, 0, 1, num_layers=1, activation="tanh"),
        make_trial(space, 1, 4, num_layers=2, activation="tanh"),
        make_trial(space, 2, 5, num_layers=2, activation="relu"),
    ]
    lines = answer_text(reported(make_study(trials, space), space, None)).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("rank"))
    column = lines[start].index("activation")
    shown = [line[column:].split()[0] for line in lines[start + 1 : start + 4]]
    assert shown == ["–", "tanh", "relu"]


def test_networks_that_differ_are_still_single_networks(
    study: StudyRecord, space: SearchSpace
) -> None:
    warning = "these are single networks: another seed may turn a difference round"
    assert warning in words_of(study, None, space)
    assert warning not in words_of(replace(study, trials=study.trials[:4]), None, space)


def test_runs_under_way_choose_nothing(
    confirmed: tuple[StudyRecord, StudyRecord], space: SearchSpace
) -> None:
    search, runs = confirmed
    found = answer(reported(search, space, replace(runs, trials=runs.trials[:5])))
    assert found is not None
    assert not found.confirmed
    assert (found.trial.number, found.network_study) == (0, search.name)
    text = words_of(search, replace(runs, trials=runs.trials[:5]), space)
    assert "on fresh seeds not confirmed yet: `sweep confirm hand-made` continues" in text


def test_the_terminal_says_the_same(
    confirmed: tuple[StudyRecord, StudyRecord], space: SearchSpace
) -> None:
    search, runs = confirmed
    lines = answer_text(reported(search, space, runs)).splitlines()
    assert "use the configuration of trial 1, the best on fresh seeds:" in lines
    text = "\n".join(" ".join(line.split()) for line in lines)
    assert "on fresh seeds validation_accuracy 95.00% (63.23 to 100.00%; 2 runs), mean and" in text
    assert "behind trial 1: tied with it" in text
    assert "the network trial 3 of hand-made.confirm" in text
    assert "its test accuracy 90.00% (95% interval 69.90 to 97.21%)" in text
    assert (
        "optimism +7.50 points (95% interval −5.00 to +39.27): the value of the "
        "best of the search (trial 0) against its mean over fresh seeds"
    ) in text
    assert "\non the test split +7.50 points (95% interval " in text
    assert text.count("optimism") == 1
    assert (
        "none of the other 2 complete trials can be told apart from the best by "
        "validation_accuracy (exact McNemar test, Holm)"
    ) in text
    data = json.loads(json.dumps(answer_json(reported(search, space, runs)), allow_nan=False))
    assert (data["answer"]["number"], data["answer"]["network_trial"]) == (1, 3)
    assert data["answer"]["test_accuracy"] == pytest.approx(0.9)
    assert data["confirmation"]["winner"] == 1
    unconfirmed = answer_text(reported(search, space, None))
    assert "use the configuration of trial 0, the best on validation examples:" in unconfirmed
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
