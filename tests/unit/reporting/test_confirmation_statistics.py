"""Means over seeds, Welch's test against the winner, who survived: against SciPy and by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hand_made import (
    FAIL,
    LABELS,
    SPACE,
    make_reading,
    make_study,
    make_trial,
    study_of_runs,
    with_values,
)
from scipy import stats

from sweep.cli.answer_text import confirmation_text
from sweep.errors import StoreError
from sweep.records import StudyRecord, TrialState, chosen_run, have_all_ended, rank_candidates
from sweep.reporting.candidates import confirmation
from sweep.reporting.statistics import SIGNIFICANCE, holm
from sweep.space import load_space

SPACE_OF_ALL = load_space(SPACE)


def search(space=SPACE_OF_ALL) -> StudyRecord:
    return make_study([make_trial(space, number, 2 + number) for number in range(3)], space)


def accuracies(wrong: Sequence[int]) -> list[float]:
    return [1 - mistakes / len(LABELS) for mistakes in wrong]


WRONG = [[4, 6, 5, 7], [2, 3, 2, 4], [9, 12, 8, 11]]


def test_a_search_without_runs_has_no_confirmation():
    assert confirmation(search(), None) is None
    assert confirmation(search(), search()) is None


def test_means_tests_and_order_agree_with_scipy():
    found = confirmation(search(), study_of_runs(WRONG, [0, 1, 2]))
    assert found is not None
    assert found.metric == "validation_accuracy"
    assert [c.trial for c in found.candidates] == [1, 0, 2]
    assert [c.rank for c in found.candidates] == [1, 2, 3]
    assert [c.search_rank for c in found.candidates] == [2, 1, 3]
    assert [c.search_value for c in found.candidates] == pytest.approx(accuracies([3, 2, 4]))
    assert (found.winner, found.survived, found.finished) == (1, False, True)

    p_values = []
    winner = accuracies(WRONG[1])
    for candidate, wrong in zip(found.candidates, [WRONG[1], WRONG[0], WRONG[2]], strict=True):
        values = accuracies(wrong)
        assert candidate.values == pytest.approx(values)
        assert candidate.mean is not None
        interval = stats.t.interval(0.95, 3, sum(values) / 4, stats.sem(values))
        assert candidate.mean.interval is not None
        assert (candidate.mean.interval.low, candidate.mean.interval.high) == pytest.approx(
            interval
        )
        if candidate.trial == 1:
            assert candidate.difference is candidate.p_value_holm is candidate.tied is None
            continue
        welch = stats.ttest_ind(values, winner, equal_var=False)
        assert candidate.difference == pytest.approx(sum(values) / 4 - sum(winner) / 4)
        # Of three pairs: the first step was passed, and the second one was not.
        level = {0: 1 - 0.05 / 2, 2: 1 - 0.05 / 3}[candidate.trial]
        assert candidate.difference_level == pytest.approx(level)
        expected = tuple(welch.confidence_interval(level))
        assert candidate.difference_interval == pytest.approx(expected)
        assert (expected[0] <= 0 <= expected[1]) == candidate.tied
        p_values.append((float(welch.pvalue), candidate))
    # Holm, by hand, for all three pairs of candidates, any of which could have been the best.
    (small, first), (large, second) = sorted(p_values, key=lambda pair: pair[0])
    assert first.p_value_holm == pytest.approx(min(1, 3 * small))
    assert second.p_value_holm == pytest.approx(min(1, max(3 * small, 2 * large)))
    assert (first.trial, first.tied) == (2, False)
    assert (second.trial, second.tied) == (0, second.p_value_holm >= 0.05)


def test_welch_by_hand():
    """Two runs each: 36 and 38 of 40 right against 30 and 34."""
    found = confirmation(search(), study_of_runs([[4, 2], [10, 6]], [0, 2]))
    assert found is not None
    other = found.candidates[1]
    # Variances 2/1600 and 8/1600; t = -0.125 / sqrt(5/1600); df = 25 / (1 + 16) by Welch.
    t, df = -0.125 / (5 / 1600) ** 0.5, 25 / 17
    assert other.p_value_holm == pytest.approx(2 * stats.t.sf(-t, df))
    half = stats.t.ppf(0.975, df) * (5 / 1600) ** 0.5
    assert other.difference_interval is not None
    assert other.difference_interval.high == pytest.approx(-0.125 + half)
    assert (found.winner, found.survived, other.tied) == (0, True, True)


@pytest.mark.parametrize(
    "wrong",
    [[[2, 2], [2, 2]], [[2, 2], [4, 4]], [[2], [4]]],
    ids=["alike", "different", "one run"],
)
def test_without_spread_there_is_nothing_to_measure_with(wrong):
    found = confirmation(search(), study_of_runs(wrong, [0, 1]))
    assert found is not None
    other = found.candidates[1]
    assert (other.p_value_holm, other.tied, other.difference_interval) == (None, None, None)
    assert found.winner == 0, "of equals the search's best"


def test_one_without_spread_can_be_tested():
    found = confirmation(search(), study_of_runs([[2, 2, 2], [9, 9, 10]], [0, 1]))
    assert found is not None
    # Then Welch's is Student's test of one sample.
    expected = stats.ttest_1samp(accuracies([9, 9, 10]), accuracies([2])[0])
    assert found.candidates[1].p_value_holm == pytest.approx(expected.pvalue)
    assert found.candidates[1].tied is False


def test_failed_runs_do_not_count_and_none_left_cannot_win():
    wrong = [[FAIL, FAIL, FAIL], [9, FAIL, 8], [3, 4, 5]]
    found = confirmation(search(), study_of_runs(wrong, [0, 1, 2]))
    assert found is not None
    assert [(c.trial, c.num_failed, len(c.values)) for c in found.candidates] == [
        (2, 0, 3),
        (1, 1, 2),
        (0, 3, 0),
    ]
    assert found.candidates[2].mean is None
    assert found.candidates[2].tied is None
    assert found.survived is False
    nothing = confirmation(search(), study_of_runs([[FAIL], [FAIL]], [0, 1]))
    assert nothing is not None
    assert (nothing.finished, nothing.winner, nothing.survived) == (False, None, None)
    assert (found.failed, nothing.failed) == (False, True)


def test_equal_means_are_ranked_by_loss_then_size_then_the_order_of_the_search():
    runs = study_of_runs([[4, 6], [5, 5], [3, 7], [6, 4], [8, 9]], [11, 22, 33, 44, 55])
    losses = [0.4, 0.3, 0.2, 0.5, 0.3, 0.3, 0.2, 0.4, 0.1, 0.1]
    sizes = [9, 9, 9, 9, 7, 7, 6, 6, 1, 1]
    changed = []
    for run, loss, size in zip(runs.trials, losses, sizes, strict=True):
        first, last = run.outcome.history
        history = (first, with_values(last, validation_loss=loss))
        outcome = replace(run.outcome, history=history, num_parameters=size)
        changed.append(replace(run, outcome=outcome))
    runs = replace(runs, trials=tuple(changed))
    assert [trial for trial, _ in rank_candidates(runs)] == [44, 33, 11, 22, 55]
    assert chosen_run(runs).number == 7  # the better of its two values
    searched = make_study(
        [make_trial(SPACE_OF_ALL, number, 3) for number in range(56)], SPACE_OF_ALL
    )
    found = confirmation(searched, runs)
    assert (found.winner, found.num_best, found.num_best_means) == (44, 56, 4)
    text = confirmation_text("x", found)
    assert "in the search 56 trials share the best validation accuracy; they are ranked by" in text
    assert "4 configurations share the best mean validation accuracy; they are ranked by" in text


def test_one_lucky_run_does_not_win():
    wrong = [[3, 4, 5], [FAIL, 1, FAIL], [5, 6, 4], [1, FAIL, 1]]
    runs = study_of_runs(wrong, [2, 0, 1, 3])
    trials = [make_trial(SPACE_OF_ALL, number, 2 + number) for number in range(4)]
    found = confirmation(make_study(trials, SPACE_OF_ALL), runs)
    assert found is not None
    assert [(c.trial, c.num_failed) for c in found.candidates] == [(2, 0), (1, 0), (3, 1), (0, 2)]
    assert found.winner == 2
    chosen = chosen_run(runs)
    assert chosen is not None
    assert chosen.number == 0, "the winner's best run: 3 mistakes"


@pytest.mark.slow
def test_equal_configurations_are_seldom_called_different():
    """Five candidates of five runs each; any could have had the best mean."""
    random = np.random.default_rng(0)
    said = naive = 0
    for _ in range(300):
        searched = make_study([make_trial(SPACE_OF_ALL, n) for n in range(5)], SPACE_OF_ALL)
        found = confirmation(searched, random_runs(random, 5, ()))
        assert found is not None
        winner, *others = found.candidates
        said += any(other.tied is False for other in others)
        p_values = [
            stats.ttest_ind(other.values, winner.values, equal_var=False).pvalue for other in others
        ]
        naive += min(holm(p_values)) < SIGNIFICANCE
    assert said <= 0.05 * 300
    assert naive > 1.5 * said


def random_runs(random, num_candidates: int, baselines: Sequence[str]) -> StudyRecord:
    """Runs of equally good configurations, five of each."""
    wrong = [[1] * 5] * (num_candidates + len(baselines))
    runs = study_of_runs(wrong, range(num_candidates), baselines=baselines)
    values = random.normal(0.9, 0.01, len(runs.trials))
    return with_accuracies(runs, values)


def with_accuracies(runs: StudyRecord, values: Sequence[float]) -> StudyRecord:
    trials = []
    for run, value in zip(runs.trials, values, strict=True):
        first, last = run.outcome.history
        history = (first, with_values(last, validation_accuracy=float(value)))
        trials.append(replace(run, outcome=replace(run.outcome, history=history)))
    return replace(runs, trials=tuple(trials))


BOTH = ("default", "softmax")


def test_the_winner_is_tested_against_what_took_no_search():
    wrong = [[4, 6, 5, 7], [2, 3, 2, 4], [3, 3, 4, 4], [12, 13, 11, 13]]
    found = confirmation(search(), study_of_runs(wrong, [0, 1], baselines=BOTH))
    assert found is not None
    assert [c.trial for c in found.candidates] == [1, 0], "a baseline is no candidate"
    default, softmax = found.baselines
    assert (default.name, softmax.name) == ("the default configuration", "softmax regression")
    assert default.params["num_layers"] == 3
    assert softmax.params == {**default.params, "num_layers": 1}
    assert softmax.values == pytest.approx(accuracies(wrong[3]))
    assert softmax.mean is not None
    assert softmax.mean.value == pytest.approx(sum(accuracies(wrong[3])) / 4)

    winner = accuracies(wrong[1])
    first, second = (
        stats.ttest_ind(winner, accuracies(each), equal_var=False) for each in wrong[2:]
    )
    assert default.difference == pytest.approx(0.01875)
    # By hand: two candidates, either of which could have won, times two baselines.
    assert softmax.p_value_holm == pytest.approx(4 * second.pvalue)
    assert default.p_value_holm == pytest.approx(min(1, 3 * first.pvalue))
    assert (default.tied, default.beaten) == (True, False)
    assert (softmax.tied, softmax.beaten) == (False, True)
    assert softmax.difference_level == pytest.approx(1 - 0.05 / 4)
    assert default.difference_level == pytest.approx(1 - 0.05 / 3)
    expected = tuple(second.confidence_interval(1 - 0.05 / 4))
    assert softmax.difference_interval == pytest.approx(expected)


def test_a_baseline_that_is_better_is_not_beaten_and_does_not_win():
    wrong = [[12, 13, 12, 14], [14, 15, 14, 16], [2, 3, 2, 3]]
    runs = study_of_runs(wrong, [0, 1], baselines=["default"])
    found = confirmation(search(), runs)
    assert found is not None
    assert found.winner == 0
    assert chosen_run(runs).number == 0
    (default,) = found.baselines
    assert default.difference is not None
    assert default.difference < 0
    assert default.p_value_holm < SIGNIFICANCE
    assert (default.tied, default.beaten) == (False, False)


def test_baselines_wait_for_the_end_and_may_fail():
    wrong = [[2, 3], [4, 5], [FAIL, FAIL], [9, FAIL]]
    runs = study_of_runs(wrong, [0, 1], baselines=BOTH)
    cut = replace(runs, trials=runs.trials[:7])
    assert not have_all_ended(cut)
    found = confirmation(search(), cut)
    assert found is not None
    assert found.winner is None
    assert all(each.p_value_holm is each.beaten is None for each in found.baselines)
    default, softmax = confirmation(search(), runs).baselines
    assert (default.mean, default.num_failed, default.beaten) == (None, 2, None)
    assert (len(softmax.values), softmax.num_failed, softmax.beaten) == (1, 1, None)


def test_of_losses_the_lower_one_beats():
    space = load_space({**SPACE, "objective": "validation_loss"})
    runs = study_of_runs([[2] * 3, [2] * 3], [0], space=space, baselines=["default"])
    losses = [0.20, 0.21, 0.19, 0.40, 0.41, 0.42]
    changed = tuple(
        replace(
            run,
            outcome=replace(
                run.outcome,
                history=tuple(with_values(m, validation_loss=loss) for m in run.outcome.history),
            ),
        )
        for run, loss in zip(runs.trials, losses, strict=True)
    )
    (default,) = confirmation(search(space), replace(runs, trials=changed)).baselines
    assert default.difference == pytest.approx(-0.21)
    assert default.beaten is True


@pytest.mark.slow
def test_a_search_that_found_nothing_seldom_beats_a_baseline():
    """The winner is the best of five: that alone must not make it better than the defaults."""
    random = np.random.default_rng(0)
    searched = make_study([make_trial(SPACE_OF_ALL, n) for n in range(5)], SPACE_OF_ALL)
    beaten = naive = 0
    for _ in range(300):
        found = confirmation(searched, random_runs(random, 5, BOTH))
        assert found is not None
        beaten += any(each.beaten for each in found.baselines)
        winner = found.candidates[0].values
        p_values = [
            stats.ttest_ind(winner, each.values, equal_var=False).pvalue for each in found.baselines
        ]
        naive += min(holm(p_values)) < SIGNIFICANCE
    assert beaten <= 0.05 * 300
    assert naive > 0.05 * 300


def test_a_low_loss_wins():
    space = load_space({**SPACE, "objective": "validation_loss"})
    runs = study_of_runs([[9, 9], [1, 1]], [0, 1], space=space)
    cheaper = [
        replace(
            run,
            outcome=replace(
                run.outcome,
                history=tuple(
                    with_values(m, validation_loss=0.1 + 0.01 * run.number)
                    for m in run.outcome.history
                ),
            ),
        )
        for run in runs.trials[:2]
    ]
    runs = replace(runs, trials=(*cheaper, *runs.trials[2:]))
    found = confirmation(search(space), runs)
    assert found is not None
    assert (found.metric, found.winner) == ("validation_loss", 0)
    assert found.candidates[0].mean is not None
    assert found.candidates[0].mean.value == pytest.approx(0.105)
    assert found.candidates[1].values == pytest.approx([0.45, 0.45])


def test_runs_that_wait_leave_it_open():
    runs = study_of_runs(WRONG, [0, 1, 2])
    waiting = make_trial(SPACE_OF_ALL, 11, state=TrialState.WAITING)
    for trials in ((*runs.trials[:11], waiting), runs.trials[:11], ()):
        cut = replace(runs, trials=trials)
        assert not have_all_ended(cut)
        found = confirmation(search(), cut)
        assert found is not None
        assert (found.finished, found.winner, found.survived) == (False, None, None)
        assert len(found.candidates) == 3
        assert all(candidate.tied is None for candidate in found.candidates)


def test_test_accuracies_are_shown_once_all_are_there():
    opened = [make_reading(4), make_reading(5, confusion_matrix=((9, 0, 0), (0, 6, 0), (0, 0, 5)))]
    opened += [make_reading(6), make_reading(7, confusion_matrix=None)]
    sealed = confirmation(search(), study_of_runs(WRONG, [0, 1, 2], opened))
    assert sealed is not None
    assert (sealed.test_values, sealed.test_mean) == ((), None)
    found = confirmation(search(), study_of_runs(WRONG, [0, 1, 2], [*opened, make_reading(7)]))
    assert found is not None
    assert found.test_values == pytest.approx((0.9, 1.0, 0.9, 0.9))
    assert found.test_mean is not None
    assert found.test_mean.interval is not None
    assert found.test_mean.value == pytest.approx(0.925)
    # Student: t(3) = 3.182, deviation 0.05, four runs.
    assert found.test_mean.interval.low == pytest.approx(0.925 - 3.18245 * 0.05 / 2, abs=1e-5)
    assert found.test_mean.interval.high == 1.0, "not 1.0046, which no accuracy can be"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e308])
def test_what_no_training_gives_does_not_count(value):
    runs = study_of_runs([[2, 3], [4, 5]], [0, 1])
    (first, *others) = runs.trials
    history = tuple(with_values(m, validation_accuracy=value) for m in first.outcome.history)
    strange = replace(first, outcome=replace(first.outcome, history=history))
    found = confirmation(search(), replace(runs, trials=(strange, *others)))
    assert found is not None
    assert [candidate.values for candidate in found.candidates] == [
        pytest.approx(accuracies([3])),
        pytest.approx(accuracies([4, 5])),
    ]


def test_studies_that_contradict_each_other_are_refused():
    runs = study_of_runs(WRONG, [0, 1, 77])
    with pytest.raises(StoreError, match="confirms trial 77 of study 'hand-made', which has no"):
        confirmation(search(), runs)
