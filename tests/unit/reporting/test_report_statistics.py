from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hand_made import (
    DATA,
    LABELS,
    make_reading,
    make_study,
    make_trial,
    opened,
    packed,
)
from helpers import make_metrics
from scipy.stats import binom, binomtest, norm, ttest_1samp, ttest_ind
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests

from sweep.records import DataFacts, StudyRecord, TestReading
from sweep.reporting.statistics import (
    SIGNIFICANCE,
    PairedTest,
    compare_readings,
    compare_with_best,
    difference_interval,
    half_width,
    holm,
    mcnemar,
    mean_interval,
    reading_interval,
    wilson_interval,
)
from sweep.space import SearchSpace, used_parameters


def test_wilson_interval_of_a_textbook_example() -> None:
    # Newcombe (1998), table I: 81 of 263 and 0 of 20.
    interval = wilson_interval(81, 263)
    assert (interval.low, interval.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0, 20).high == pytest.approx(0.1611, abs=5e-5)
    assert wilson_interval(0, 20).low == pytest.approx(0, abs=1e-12)


def test_wilson_interval_at_the_upper_end() -> None:
    assert wilson_interval(20, 20).high == pytest.approx(1)
    assert wilson_interval(20, 20).low == pytest.approx(1 - 0.1611, abs=5e-5)


def test_difference_interval_of_a_textbook_example() -> None:
    # Newcombe (1998), example (a), method 10: 56 of 70 and 48 of 80.
    interval = difference_interval(56, 70, 48, 80)
    assert (interval.low, interval.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_mean_interval_agrees_with_scipy() -> None:
    values = [0.981, 0.984, 0.979, 0.983, 0.982]
    mean = mean_interval(values)
    expected = ttest_1samp(values, 0).confidence_interval(0.95)
    assert mean.interval is not None
    assert (mean.interval.low, mean.interval.high) == pytest.approx(tuple(expected))
    assert mean.value == pytest.approx(0.9818)
    assert mean_interval([0.98]).interval is None


def test_an_interval_of_means_ends_where_no_value_can_be() -> None:
    whole = mean_interval([0.95, 0.96])
    cut = mean_interval([0.95, 0.96], highest=1.0)
    assert whole.interval is not None
    assert cut.interval is not None
    assert whole.interval.high > 1
    assert (cut.interval.low, cut.interval.high) == (whole.interval.low, 1.0)
    assert half_width(cut.value, cut.interval.low, cut.interval.high) is None
    half = half_width(whole.value, whole.interval.low, whole.interval.high)
    assert half == pytest.approx(whole.interval.high - 0.955)
    loss = mean_interval([0.01, 0.2])
    assert loss.interval is not None
    assert loss.interval.low == 0.0
    assert loss.interval.high > 1


def test_runs_that_are_all_alike_have_no_interval() -> None:
    mean = mean_interval([0.1, 0.1, 0.1])
    assert (mean.interval, mean.deviation, mean.num_runs) == (None, 0.0, 3)


def test_mcnemar_by_hand() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(0, 5) == pytest.approx(2 / 32)  # 2 * P(no head in 5 tosses)
    assert mcnemar(1, 5) == pytest.approx(2 * (1 + 6) / 64)
    assert mcnemar(3, 3) == pytest.approx(1)


@pytest.mark.parametrize(("first", "second"), [(0, 1), (2, 9), (9, 2), (4, 4), (30, 55)])
def test_mcnemar_agrees_with_statsmodels(first: int, second: int) -> None:
    expected = statsmodels_mcnemar([[50, first], [second, 7]], exact=True).pvalue
    assert mcnemar(first, second) == pytest.approx(expected)


def test_mcnemar_is_the_binomial_test() -> None:
    random = np.random.default_rng(0)
    for first, second in random.integers(0, 60, (60, 2)).tolist():
        if first + second:
            expected = binomtest(first, first + second, 0.5).pvalue
            assert mcnemar(first, second) == pytest.approx(expected)
    assert mcnemar(3000, 3001) == 1.0
    assert mcnemar(3000, 3400) == pytest.approx(binomtest(3000, 6400, 0.5).pvalue)


def test_equal_classifiers_are_seldom_called_different() -> None:
    # By enumeration: the test's size for every number of images on which two classifiers differ.
    for num_differing in range(1, 60):
        p_values = [mcnemar(first, num_differing - first) for first in range(num_differing + 1)]
        chances = binom.pmf(np.arange(num_differing + 1), num_differing, 0.5)
        size = sum(c for c, p in zip(chances, p_values, strict=True) if p < SIGNIFICANCE)
        assert size <= 0.05


def test_holm_is_statsmodels_on_all_complete_trials(space: SearchSpace) -> None:
    study = make_study(
        [make_trial(space, n, 2 + n % 23, first_wrong=5 * (n % 3)) for n in range(60)], space
    )
    found = compare_with_best(study)
    assert len(found) == 59
    p_values = []
    for comparison in found.values():
        table = [[0, comparison.test.only_first], [comparison.test.only_second, 0]]
        p_values.append(statsmodels_mcnemar(table, exact=True).pvalue)
    # Any of the 60 could have been the best: the pairs that were not tested count as 1.
    num_pairs = 60 * 59 // 2
    every_pair = [*p_values, *[1.0] * (num_pairs - 59)]
    expected = multipletests(every_pair, method="holm")[1][:59]
    assert [c.test.p_value for c in found.values()] == pytest.approx(p_values)
    assert [c.p_value_holm for c in found.values()] == pytest.approx(expected)
    assert [c.tied for c in found.values()] == [bool(p >= SIGNIFICANCE) for p in expected]
    assert {c.tied for c in found.values()} == {True, False}


def test_holm_by_hand() -> None:
    assert holm([]) == []
    # Sorted 0.01, 0.03, 0.04 times 3, 2, 1; never below the one before.
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    # Of a family of six: times 6, 5, 4.
    assert holm([0.04, 0.01, 0.03], 6) == pytest.approx([0.16, 0.06, 0.15])


@pytest.mark.slow
def test_tests_that_were_not_made_make_none_of_the_others_bolder() -> None:
    random = np.random.default_rng(0)
    for _ in range(8):
        p_values = random.beta(0.3, 2, 15).tolist()
        assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])
        all_of_them = holm(p_values)
        some = random.permutation(15)[:4]
        corrected = holm([p_values[index] for index in some], 15)
        for index, found in zip(some, corrected, strict=True):
            assert found >= all_of_them[index] - 1e-12


def equal_networks(random: np.random.Generator, space: SearchSpace) -> StudyRecord:
    """20 trials whose networks err equally often on 2,000 images, some of which are harder."""
    hardness = random.beta(0.02, 0.6, 2000)
    wrong = random.random((20, 2000)) < hardness
    trials = [make_trial(space, number) for number in range(20)]
    for trial, errs in zip(trials, wrong, strict=True):
        assert trial.outcome is not None
        first = make_metrics(trial.number, 1, 0.0)
        outcome = replace(
            trial.outcome,
            history=(first, make_metrics(trial.number, 2, 1 - float(errs.mean()))),
            validation_predictions=packed(errs.astype(int)),
        )
        trials[trial.number] = replace(trial, outcome=outcome)
    study = make_study(trials, space)
    return replace(study, data=replace(study.data, validation_labels=packed(np.zeros(2000, int))))


def test_the_best_of_equal_networks_is_seldom_called_different(space: SearchSpace) -> None:
    random = np.random.default_rng(0)
    said = naive = 0
    for _ in range(200):
        comparisons = compare_with_best(equal_networks(random, space)).values()
        assert len(comparisons) == 19
        said += any(not comparison.tied for comparison in comparisons)
        naive += min(holm([comparison.test.p_value for comparison in comparisons])) < SIGNIFICANCE
    assert said <= 0.05 * 200
    assert naive > 0.1 * 200, "to correct for the tests that were made alone is not enough"


def test_comparisons_are_paired_and_corrected(study: StudyRecord) -> None:
    comparisons = compare_with_best(study)
    assert sorted(comparisons) == [1, 2, 3, 4, 5, 6, 7, 8]  # COMPLETE, without the best
    assert comparisons[1].test.p_value == 1.0  # the very same mistake
    worst = comparisons[8]
    assert (worst.test.only_first, worst.test.only_second) == (19, 0)
    assert worst.test.p_value == pytest.approx(2 / 2**19)
    # Nine trials are 36 pairs.
    assert worst.p_value_holm == pytest.approx(36 * 2 / 2**19)
    assert not worst.tied
    assert comparisons[2].tied
    # 9 against 0 is "significant" alone (p 0.004), but not among so many.
    assert comparisons[6].p_value_holm == pytest.approx(34 * 2 / 2**9)
    assert comparisons[6].tied


def test_equal_accuracies_with_other_mistakes_are_tied(space: SearchSpace) -> None:
    study = make_study([make_trial(space, 0, 5), make_trial(space, 1, 5, first_wrong=20)], space)
    (comparison,) = compare_with_best(study).values()
    assert (comparison.test.only_first, comparison.test.only_second) == (5, 5)
    assert comparison.tied


def test_no_comparison_without_labels(study: StudyRecord) -> None:
    unknown = replace(study, data=DataFacts(DATA, "", b""))
    assert compare_with_best(unknown) == {}


def test_a_trial_without_predictions_is_not_compared(space: SearchSpace) -> None:
    trials = [make_trial(space, number, 2 + number) for number in range(3)]
    assert trials[2].outcome is not None
    trials[2] = replace(trials[2], outcome=replace(trials[2].outcome, validation_predictions=None))
    assert list(compare_with_best(make_study(trials, space))) == [1]


# ---------------------------------------------------------------- readings


def by_mcnemar(only_first: int, only_second: int) -> PairedTest:
    p_value = mcnemar(only_first, only_second)
    difference = (only_first - only_second) / 40
    # The paired differences of the 40 images: 1, -1 or 0 each.
    each = [1] * only_first + [-1] * only_second + [0] * (40 - only_first - only_second)
    return PairedTest(
        "exact McNemar test",
        "accuracy",
        difference,
        p_value,
        pytest.approx(np.std(each) / 40**0.5),
        only_first,
        only_second,
        num_examples=40,
    )


def test_readings_of_the_same_images_are_compared() -> None:
    # Wrong on images 0 to 9, and on 8 to 10.
    found = compare_readings(opened(10), opened(3, 8), "accuracy")
    assert found == by_mcnemar(1, 8)
    reverse = compare_readings(opened(3, 8), opened(10), "loss")
    assert reverse == by_mcnemar(8, 1)  # losses of single test examples were not recorded
    assert compare_readings(opened(4), opened(4), "accuracy") == by_mcnemar(0, 0)


def with_losses(reading: TestReading, losses: Any) -> TestReading:
    return replace(reading, losses=np.asarray(losses, "<f4").tobytes(), loss=float(np.mean(losses)))


def test_losses_of_the_same_examples_are_compared_in_pairs() -> None:
    random = np.random.default_rng(0)
    hard = random.exponential(1.0, 40)  # what both networks find hard
    first, second = hard + random.normal(0.2, 0.1, 40), hard + random.normal(0.1, 0.1, 40)
    found = compare_readings(with_losses(opened(4), first), with_losses(opened(4), second), "loss")
    assert found is not None
    assert (found.metric, found.only_first) == ("loss", None)
    error = np.std(first - second) / 40**0.5
    assert found.difference == pytest.approx(np.mean(first - second), rel=1e-5)
    assert found.error == pytest.approx(error, rel=1e-4)
    assert found.p_value == pytest.approx(2 * norm.sf(abs(found.difference) / error), rel=1e-3)
    assert found.p_value < 1e-3 < ttest_ind(first, second).pvalue, "the pairs tell them apart"


@pytest.mark.parametrize("losses", [(), [0.5] * 39 + [np.inf], [0.5] * 39])
def test_without_losses_of_both_their_answers_are_compared(losses: Any) -> None:
    known, unknown = with_losses(opened(10), [0.5] * 40), opened(3, 8)
    if len(losses):
        unknown = with_losses(unknown, losses)
    assert compare_readings(known, unknown, "loss") == by_mcnemar(1, 8)
    assert compare_readings(unknown, known, "loss") == by_mcnemar(8, 1)


def test_the_interval_of_a_loss_is_that_of_its_examples() -> None:
    losses = np.random.default_rng(1).exponential(1.0, 40)
    half = 1.96 * np.std(losses) / 40**0.5
    found = reading_interval(with_losses(opened(4), losses), "loss")
    expected = (losses.mean() - half, losses.mean() + half)
    assert found == pytest.approx(expected, rel=1e-5)
    assert reading_interval(opened(4), "loss") is None


@pytest.mark.parametrize(
    "changes",
    [
        {"fingerprint": "ef" * 32},
        {"labels": packed(LABELS[::-1])},
        {"labels": b"", "predictions": b""},
        {"predictions": b""},
        {"predictions": packed(LABELS[1:])},
    ],
)
def test_readings_of_other_images_are_not_compared(changes: dict[str, Any]) -> None:
    assert compare_readings(opened(4), opened(4, **changes), "accuracy") is None
    assert compare_readings(opened(4, **changes), opened(4), "accuracy") is None


def test_readings_that_recorded_little_are_not_compared() -> None:
    old = make_reading(0)
    assert compare_readings(old, old, "accuracy") is None
    unknown = opened(4, fingerprint="")
    assert compare_readings(unknown, unknown, "accuracy") is None


def test_used_parameters_follow_conditions(space: SearchSpace) -> None:
    adamw = make_trial(space, 1).params
    sgd = make_trial(space, 0).params
    assert "momentum" not in used_parameters(space, adamw)
    assert "momentum" in used_parameters(space, sgd)
    assert used_parameters(space, {}) == set()
