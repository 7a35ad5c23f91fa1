from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from sweep.reporting.statistics import Score, class_scores, wilson_interval

MATRIX = ((50, 3, 0), (2, 40, 8), (0, 5, 12))


def scores(values: Score) -> tuple[float, float, float]:
    assert values.value is not None
    assert values.interval is not None
    return values.interval.low, values.value, values.interval.high


@pytest.mark.parametrize("seed", range(4))
def test_scores_are_scikit_learns(seed: int) -> None:
    random = np.random.default_rng(seed)
    true = random.integers(0, 10, 500)
    predicted = np.where(random.random(500) < 0.7, true, random.integers(0, 10, 500))
    matrix = np.zeros((10, 10), int)
    np.add.at(matrix, (true, predicted), 1)
    expected = precision_recall_fscore_support(true, predicted)
    found = class_scores(tuple(map(tuple, matrix.tolist())), [str(label) for label in range(10)])
    for label, score in enumerate(found):
        assert score.name == str(label)
        assert score.precision.value == pytest.approx(expected[0][label])
        assert score.recall.value == pytest.approx(expected[1][label])
        assert score.f1.value == pytest.approx(expected[2][label])
        assert score.num_true == expected[3][label]
        assert score.num_predicted == (predicted == label).sum()


def test_precision_and_recall_have_wilsons_interval() -> None:
    second = class_scores(MATRIX, "abc")[1]
    expected = wilson_interval(40, 48)
    assert scores(second.precision) == pytest.approx((expected.low, 40 / 48, expected.high))
    expected = wilson_interval(40, 50)
    assert scores(second.recall) == pytest.approx((expected.low, 40 / 50, expected.high))


def test_the_interval_of_f1_is_that_of_the_jaccard_index() -> None:
    # 40 are of the class and taken for it, 10 only the one, 8 only the other.
    low, value, high = scores(class_scores(MATRIX, "abc")[1].f1)
    jaccard = wilson_interval(40, 58)
    assert value == pytest.approx(80 / (80 + 10 + 8))
    assert low == pytest.approx(2 * jaccard.low / (1 + jaccard.low))
    assert high == pytest.approx(2 * jaccard.high / (1 + jaccard.high))


@pytest.mark.slow
def test_the_interval_of_f1_covers_as_often_as_it_says() -> None:
    # Images are of the class, taken for it, both or neither, independently of each other.
    random = np.random.default_rng(0)
    chances = (0.09, 0.02, 0.01, 0.88)  # both, only of the class, only taken for it, neither
    expected = 2 * 0.09 / (2 * 0.09 + 0.02 + 0.01)
    covered = 0
    for both, only_true, only_predicted, neither in random.multinomial(500, chances, 400).tolist():
        low, _, high = scores(
            class_scores(((both, only_true), (only_predicted, neither)), "ab")[0].f1
        )
        covered += low <= expected <= high
    assert covered / 400 == pytest.approx(0.95, abs=0.03)


def test_what_never_occurs_has_no_score() -> None:
    nothing = Score(None, None)
    first, second, third = class_scores(((9, 0, 1), (0, 0, 0), (0, 0, 0)), "abc")
    assert second.precision == second.recall == second.f1 == nothing
    assert (second.num_true, second.num_predicted) == (0, 0)
    assert third.recall == nothing  # taken for it once, never rightly
    assert third.precision.value == third.f1.value == 0.0
    assert first.precision.value == 1.0
    assert first.precision.interval is not None
    assert first.precision.interval.low < 1


def test_no_classes_have_no_scores() -> None:
    assert class_scores((), ()) == ()
