"""An interval beside a corrected verdict says what the verdict says."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sweep.reporting.statistics import (
    SIGNIFICANCE,
    Comparison,
    MeanDifference,
    PairedTest,
    compare_means,
    corrected,
    decisive_levels,
    holm,
    mcnemar,
)

RUNS = st.lists(st.integers(900, 999).map(lambda value: value / 1000), min_size=2, max_size=6)
P_VALUES = st.lists(st.floats(0, 0.1) | st.floats(0, 1), min_size=1, max_size=12)


def excludes_zero(test: MeanDifference | PairedTest) -> bool:
    assert test.interval is not None
    return not test.interval.low <= 0 <= test.interval.high


def require_agreement(found: list[Comparison[Any] | None]) -> None:
    for each in found:
        if each is not None and each.test.interval is not None:
            assert excludes_zero(each.test) is not each.tied
            low, high = each.test.interval
            assert low <= each.test.difference <= high


@given(winner=RUNS, others=st.lists(RUNS, min_size=1, max_size=6), more=st.integers(0, 20))
def test_means(winner, others, more):
    tests = [compare_means(other, winner) for other in others]
    require_agreement(corrected(tests, len(tests) + more))


COUNTS = st.tuples(st.integers(0, 40), st.integers(0, 40))


@given(counts=st.lists(COUNTS, min_size=1, max_size=6), more=st.integers(0, 20))
def test_answers(counts, more):
    tests = [
        PairedTest("", "accuracy", (a - b) / 100, mcnemar(a, b), 0.1, a, b, num_examples=100)
        for a, b in counts
    ]
    found = corrected(tests, len(tests) + more)
    require_agreement(found)
    for each, (a, b) in zip(found, counts, strict=True):
        assert (each.test.interval is None) == (a == b == 0)


@given(
    differences=st.lists(st.floats(-5, 5), min_size=1, max_size=8),
    more=st.integers(0, 20),
)
def test_other_metrics(differences, more):
    tests = [
        PairedTest("", "f1_macro", each, math.erfc(abs(each) / math.sqrt(2)), error=1.0)
        for each in differences
    ]
    require_agreement(corrected(tests, len(tests) + more))


@given(p_values=P_VALUES, more=st.integers(0, 50))
def test_a_p_value_is_below_what_its_level_leaves_if_it_is_passed(p_values, more):
    size = len(p_values) + more
    levels = decisive_levels(p_values, size)
    for p_value, corrected_p, level in zip(p_values, holm(p_values, size), levels, strict=True):
        left = 1 - level
        if not math.isclose(p_value, left, rel_tol=1e-9):
            assert (p_value < left) == (corrected_p < SIGNIFICANCE)
        assert SIGNIFICANCE / size <= left * (1 + 1e-9)
