from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hand_made import make_reading

from sweep.records import CalibrationBin, TestReading
from sweep.reporting.statistics import calibration, wilson_interval


def reading_of(*bins: CalibrationBin, **changes: Any) -> TestReading:
    """A reading with these bins, and as many images as they say."""
    num_images = sum(found.num_images for found in bins)
    num_right = sum(found.num_correct for found in bins)
    facts: dict[str, Any] = {
        "calibration": bins,
        "num_images": num_images,
        "confusion_matrix": ((num_right, num_images - num_right), (0, 0)),
    }
    return make_reading(0, **(facts | changes))


def reading_from(confidence: np.ndarray, right: np.ndarray, num_bins: int = 15) -> TestReading:
    index = np.minimum((confidence * num_bins).astype(int), num_bins - 1)
    return reading_of(
        *(
            CalibrationBin(
                int((index == place).sum()),
                int(right[index == place].sum()),
                float(confidence[index == place].sum()),
            )
            for place in range(num_bins)
        )
    )


EMPTY = CalibrationBin(0, 0, 0.0)


def test_bins_by_hand() -> None:
    # Four of ten right at 0.45 on average, then nine of ten at 0.8.
    found = calibration(reading_of(CalibrationBin(10, 4, 4.5), CalibrationBin(10, 9, 8.0)))
    assert found is not None
    assert found.error == pytest.approx((0.05 + 0.1) / 2)
    assert found.bias == pytest.approx((0.05 - 0.1) / 2)
    first, second = found.bins
    assert (first.low, first.high, first.num_images) == (0.0, 0.5, 10)
    assert (first.confidence, first.accuracy) == pytest.approx((0.45, 0.4))
    assert first.accuracy_interval == wilson_interval(4, 10)
    assert (second.low, second.high) == (0.5, 1.0)
    assert (second.confidence, second.accuracy) == pytest.approx((0.8, 0.9))


def test_the_bias_is_as_uncertain_as_the_accuracy() -> None:
    # 13 of 20 right at 0.625 on average: too modest by 0.025, which 20 images do not show.
    found = calibration(reading_of(CalibrationBin(10, 4, 4.5), CalibrationBin(10, 9, 8.0)))
    assert found is not None
    accuracy = wilson_interval(13, 20)
    assert found.bias_interval.low == pytest.approx(0.625 - accuracy.high)
    assert found.bias_interval.high == pytest.approx(0.625 - accuracy.low)
    assert found.bias_interval.low < found.bias < 0 < found.bias_interval.high


def test_a_network_that_is_right_as_often_as_it_says_is_seldom_called_otherwise() -> None:
    random = np.random.default_rng(0)
    said = 0
    for _ in range(100):
        confidence = random.beta(12, 0.5, 360)
        found = calibration(reading_from(confidence, random.random(360) < confidence))
        assert found is not None
        said += not found.bias_interval.low <= 0 <= found.bias_interval.high
        assert found.error > 0
    assert said <= 5


def test_always_sure_and_often_wrong() -> None:
    right = np.arange(1000) % 10 < 6
    found = calibration(reading_from(np.full(1000, 0.9), right))
    assert found is not None
    assert found.error == pytest.approx(0.3)
    assert found.bias == pytest.approx(0.3)
    assert found.bias_interval.low > 0.2
    assert [bool(one.num_images) for one in found.bins] == [False] * 13 + [True, False]
    empty = found.bins[0]
    assert empty.confidence is empty.accuracy is empty.accuracy_interval is None


def test_right_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    confidence = random.uniform(0.1, 1, 40_000)
    found = calibration(reading_from(confidence, random.random(40_000) < confidence))
    assert found is not None
    assert found.error < 0.01
    assert abs(found.bias) < 0.005
    assert sum(one.num_images for one in found.bins) == 40_000


def test_never_sure_enough() -> None:
    found = calibration(reading_from(np.full(100, 0.5), np.ones(100, bool)))
    assert found is not None
    assert found.error == pytest.approx(0.5)
    assert found.bias == pytest.approx(-0.5)


def test_the_error_is_that_of_the_definition() -> None:
    random = np.random.default_rng(1)
    confidence, right = random.uniform(0.1, 1, 500), random.random(500) < 0.7
    edges = np.linspace(0, 1, 16)
    places = np.digitize(confidence, edges[1:-1])
    expected = sum(
        abs(confidence[places == place].mean() - right[places == place].mean())
        * (places == place).mean()
        for place in np.unique(places)
    )
    found = calibration(reading_from(confidence, right))
    assert found is not None
    assert found.error == pytest.approx(expected)
    assert found.bias == pytest.approx(confidence.mean() - right.mean())


def test_a_reading_without_bins_or_images_has_no_calibration() -> None:
    assert calibration(make_reading(0)) is None
    assert calibration(reading_of(EMPTY, EMPTY)) is None


@pytest.mark.parametrize(
    ("bins", "changes", "message"),
    [
        ([CalibrationBin(-1, 0, 0.0), EMPTY], {}, "0 of -1 images right"),
        ([CalibrationBin(3, 4, 1.0), EMPTY], {}, "4 of 3 images right"),
        ([CalibrationBin(3, -1, 1.0), EMPTY], {}, "-1 of 3 images right"),
        ([CalibrationBin(0, 0, 1.0), EMPTY], {}, "without images has a sum"),
        ([CalibrationBin(0, 0, math.nan), EMPTY], {}, "without images has a sum"),
        ([CalibrationBin(4, 2, 2.8), EMPTY], {}, "from 0 to 0.5 has a mean probability of 0.7"),
        ([EMPTY, CalibrationBin(4, 2, 4.8)], {}, "from 0.5 to 1 has a mean probability of 1.2"),
        ([CalibrationBin(4, 2, -1.0), EMPTY], {}, "mean probability of -0.25"),
        ([CalibrationBin(4, 2, math.nan), EMPTY], {}, "mean probability of nan"),
        ([CalibrationBin(4, 2, math.inf), EMPTY], {}, "mean probability of inf"),
        ([CalibrationBin(4, 2, 1.0)], {"num_images": 5}, "hold 4 images, 2 of them right, but"),
        ([CalibrationBin(4, 2, 1.0)], {"confusion_matrix": ((3, 1), (0, 0))}, "has 4, 3 of them"),
    ],
)
def test_bins_that_cannot_be_are_refused(
    bins: list[CalibrationBin], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        calibration(reading_of(*bins, **changes))
