"""Whether a network is right as often as it says."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sweep.errors import ContradictionError
from sweep.records import CalibrationBin, TestReading
from sweep.reporting.statistics.intervals import Interval, wilson_interval

__all__ = ["Calibration", "ReliabilityBin", "calibration"]

_ROUNDING = 1e-4  # of a probability: they were added up in single precision


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Test examples whose predicted class got a probability from `low` to `high`.

    `confidence` is their mean probability, the interval Wilson's 95%; None for an empty bin.
    """

    low: float
    high: float
    num_images: int
    confidence: float | None
    accuracy: float | None
    accuracy_interval: Interval | None


@dataclass(frozen=True, slots=True)
class Calibration:
    """Confidence against accuracy on the test split.

    Attributes:
        error: Expected calibration error: mean distance of confidence and accuracy over the bins,
            weighted by examples. Chance alone puts it above 0.
        bias: Mean confidence minus accuracy; above 0 the network is overconfident.
        bias_interval: 95%: mean confidence minus the ends of the accuracy's Wilson interval.
        bins: From probability 0 to 1, of equal width.
    """

    error: float
    bias: float
    bias_interval: Interval
    bins: tuple[ReliabilityBin, ...]


def calibration(reading: TestReading) -> Calibration | None:
    """Expected calibration error of one reading of the test split.

    Naeini, Cooper & Hauskrecht (AAAI 2015), with the bins of Guo et al. (ICML 2017).

    None if the reading holds no bins or no examples.

    Raises:
        ContradictionError: the bins contradict themselves or the reading.
    """
    if not reading.calibration:
        return None
    num_bins = len(reading.calibration)
    bins = tuple(
        _reliability(found, index / num_bins, (index + 1) / num_bins)
        for index, found in enumerate(reading.calibration)
    )
    num_images = sum(found.num_images for found in bins)
    num_correct = sum(found.num_correct for found in reading.calibration)
    if num_images != reading.num_images or num_correct != reading.num_correct:
        raise ContradictionError(
            f"the calibration's bins hold {num_images} images, {num_correct} of them right, but "
            f"the reading of trial {reading.trial} has {reading.num_images}, "
            f"{reading.num_correct} of them right"
        )
    if num_images == 0:
        return None
    gaps = [
        found.num_images / num_images * (found.confidence - found.accuracy)
        for found in bins
        if found.confidence is not None and found.accuracy is not None
    ]
    confidence = sum(found.confidence_sum for found in reading.calibration) / num_images
    accuracy = wilson_interval(num_correct, num_images)
    return Calibration(
        error=sum(map(abs, gaps)),
        bias=sum(gaps),
        bias_interval=Interval(confidence - accuracy.high, confidence - accuracy.low),
        bins=bins,
    )


def _reliability(found: CalibrationBin, low: float, high: float) -> ReliabilityBin:
    """One bin, checked against contradictions."""
    if not 0 <= found.num_correct <= found.num_images:
        raise ContradictionError(
            f"a calibration bin has {found.num_correct} of {found.num_images} images right"
        )
    if found.num_images == 0:
        if found.confidence_sum != 0:
            raise ContradictionError("a calibration bin without images has a sum of probabilities")
        return ReliabilityBin(low, high, 0, None, None, None)
    confidence = found.confidence_sum / found.num_images
    if not (math.isfinite(confidence) and low - _ROUNDING <= confidence <= high + _ROUNDING):
        raise ContradictionError(
            f"the calibration bin from {low:g} to {high:g} has a mean probability of {confidence:g}"
        )
    return ReliabilityBin(
        low=low,
        high=high,
        num_images=found.num_images,
        confidence=confidence,
        accuracy=found.num_correct / found.num_images,
        accuracy_interval=wilson_interval(found.num_correct, found.num_images),
    )
