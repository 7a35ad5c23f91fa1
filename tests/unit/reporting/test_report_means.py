from __future__ import annotations

import math

import pytest
from scipy import stats
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from sweep.reporting.statistics import compare_means


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([0.981, 0.983, 0.982, 0.984, 0.980], [0.979, 0.978, 0.982, 0.977, 0.980]),
        ([0.97, 0.99], [0.960, 0.961, 0.9605, 0.9603]),
        ([0.5, 0.9, 0.1], [0.5, 0.5000001, 0.5000002]),
    ],
)
def test_welchs_test_is_that_of_statsmodels(first: list[float], second: list[float]) -> None:
    expected = CompareMeans(DescrStatsW(first), DescrStatsW(second))
    found = compare_means(first, second)
    assert found is not None
    assert found.p_value == pytest.approx(expected.ttest_ind(usevar="unequal")[1])
    assert found.interval == pytest.approx(expected.tconfint_diff(usevar="unequal"))
    assert found.difference == pytest.approx(sum(first) / len(first) - sum(second) / len(second))


def test_one_group_that_does_not_vary_is_judged_by_the_other() -> None:
    found = compare_means([0.98, 0.98, 0.98], [0.95, 0.96, 0.97])
    assert found is not None
    one_sample = stats.ttest_1samp([0.95, 0.96, 0.97], 0.98)
    assert found.p_value == pytest.approx(one_sample.pvalue)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([], []),
        ([0.9], [0.8, 0.7]),
        ([0.9, 0.8], [0.7]),
        ([0.98] * 3, [0.98] * 3),
        ([0.98] * 3, [0.97] * 3),
        ([0.98, math.nan], [0.97, 0.96]),
        ([0.98, math.inf], [0.97, 0.96]),
        ([1e308, -1e308], [1e308, -1e308]),
    ],
)
def test_means_that_cannot_be_compared_are_not(first: list[float], second: list[float]) -> None:
    assert compare_means(first, second) is None
