"""The probability that a difference is too small to matter."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hand_made import SPACE, make_study, make_trial, opened, study_of_runs, with_values
from scipy import stats

from sweep.records import StudyRecord
from sweep.reporting.candidates import confirmation
from sweep.reporting.statistics import (
    compare_means,
    compare_readings,
    mcnemar,
    p_no_difference,
)
from sweep.reporting.writing import Source, write_report
from sweep.space import SearchSpace, load_space

FIRST, SECOND = [0.950, 0.953, 0.949, 0.955], [0.951, 0.949, 0.950, 0.9515, 0.950]


def test_means_have_students_posterior() -> None:
    test = compare_means(FIRST, SECOND)
    welch = stats.ttest_ind(FIRST, SECOND, equal_var=False)
    difference = np.mean(FIRST) - np.mean(SECOND)
    posterior = stats.t(welch.df, difference, difference / welch.statistic)
    for rope in (0.05, 0.3, 2.0):
        expected = posterior.cdf(rope / 100) - posterior.cdf(-rope / 100)
        assert p_no_difference(test, "accuracy", rope) == pytest.approx(expected)
        assert p_no_difference(test, "loss", rope / 100) == pytest.approx(expected), "nats"


def test_the_edge_of_an_interval_leaves_its_level() -> None:
    """What the posterior says agrees with Welch's interval, which is its middle."""
    test = compare_means(FIRST, SECOND)
    assert test is not None
    middle = replace(test, difference=0.0).at(0.9)
    assert p_no_difference(middle, "loss", middle.interval.high) == pytest.approx(0.9)


def test_networks_have_a_normal_posterior() -> None:
    test = compare_readings(opened(10), opened(3, 8), "accuracy")
    each = [1] * 1 + [-1] * 8 + [0] * 31  # the first alone was right, or the second, or neither
    posterior = stats.norm(np.mean(each), np.std(each) / 40**0.5)
    expected = posterior.cdf(0.1) - posterior.cdf(-0.1)
    assert p_no_difference(test, "accuracy", 10) == pytest.approx(expected)


def test_what_cannot_be_said_is_not_said() -> None:
    test = compare_readings(opened(10), opened(3, 8), "loss")
    assert p_no_difference(test, "loss", 0.1) is None, "the test is of answers, not of nats"
    assert p_no_difference(test, "accuracy", None) is None
    assert p_no_difference(None, "accuracy", 0.1) is None
    alike = compare_readings(opened(4), opened(4), "accuracy")
    assert mcnemar(0, 0) == 1
    assert p_no_difference(alike, "accuracy", 0.1) is None, "nothing varies"


def searched(space: SearchSpace) -> StudyRecord:
    return make_study([make_trial(space, number, 2 + number) for number in range(2)], space)


def test_candidates_and_baselines_are_weighed_against_the_winner() -> None:
    space = load_space(SPACE)
    wrong = [[2, 3, 2, 4], [4, 6, 5, 7], [12, 13, 11, 13]]
    runs = study_of_runs(wrong, [0, 1], baselines=["default"])
    values = [[1 - mistakes / 40 for mistakes in of] for of in wrong]
    found = confirmation(searched(space), runs, rope=5)
    assert found is not None
    winner, other = found.candidates
    assert winner.p_no_difference is None
    welch = compare_means(values[1], values[0])
    assert other.p_no_difference == p_no_difference(welch, "accuracy", 5)
    (default,) = found.baselines
    expected = p_no_difference(compare_means(values[0], values[2]), "accuracy", 5)
    assert default.p_no_difference == expected
    assert 0 < default.p_no_difference < other.p_no_difference < 1
    unasked = confirmation(searched(space), runs)
    assert unasked.candidates[1].p_no_difference is unasked.baselines[0].p_no_difference is None


def test_a_loss_is_weighed_in_nats() -> None:
    space = load_space({**SPACE, "objective": "validation_loss"})
    runs = study_of_runs([[2] * 3, [2] * 3], [0, 1], space=space)
    losses = [0.20, 0.21, 0.19, 0.25, 0.26, 0.22]
    changed = []
    for run, loss in zip(runs.trials, losses, strict=True):
        history = tuple(with_values(each, validation_loss=loss) for each in run.outcome.history)
        changed.append(replace(run, outcome=replace(run.outcome, history=history)))
    found = confirmation(searched(space), replace(runs, trials=tuple(changed)), rope=0.05)
    assert found is not None
    welch = compare_means(losses[3:], losses[:3])
    assert found.candidates[1].p_no_difference == p_no_difference(welch, "loss", 0.05)
    assert 0.5 < found.candidates[1].p_no_difference < 0.9, "not 0.0005 nats"


@pytest.mark.usefixtures("no_png")
def test_the_report_records_what_was_asked(tmp_path: Path, space: SearchSpace) -> None:
    studies = [
        make_study([make_trial(space, 0)], space, name=name, readings=(reading,))
        for name, reading in (("a", opened(10)), ("b", opened(3, 8)))
    ]
    sources = [Source(record, None, ()) for record in studies]
    data = write_report(tmp_path / "asked", sources, top=3, rope=10).data
    (pair,) = data["comparison"]["pairs"]
    test = compare_readings(opened(10), opened(3, 8), "accuracy")
    assert data["rope"] == 10
    assert pair["networks_p_no_difference"] == p_no_difference(test, "accuracy", 10)
    assert pair["means_p_no_difference"] is None
    data = write_report(tmp_path / "unasked", sources, top=3).data
    assert data["rope"] is None
    assert data["comparison"]["pairs"][0]["networks_p_no_difference"] is None


def test_probabilities_that_matter_add_up_to_coverage() -> None:
    """With a flat prior a posterior of 95% is right about 95 times in 100."""
    random = np.random.default_rng(0)
    inside = expected = 0.0
    for true in random.uniform(-0.02, 0.02, 400):
        runs = random.normal(true, 0.01, 6), random.normal(0, 0.01, 6)
        inside += abs(true) < 0.005
        expected += p_no_difference(compare_means(*runs), "loss", 0.005) or 0.0
    assert math.isclose(inside, expected, rel_tol=0.15)
