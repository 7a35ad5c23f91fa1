"""Whether a network is right as often as it says. Draws nothing."""

from __future__ import annotations

from dataclasses import dataclass

from sweep.reporting.statistics.intervals import Interval

__all__ = ["Calibration", "ReliabilityBin"]


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Test images to whose predicted class the network gave about the same probability.

    Attributes:
        low: Lower end of the bin, 0 to 1.
        high: Upper end of the bin.
        num_images: How many images; 0 for an empty bin.
        confidence: Their mean probability, or None for an empty bin.
        accuracy: Share of them that is right, or None for an empty bin.
        accuracy_interval: 95 %, Wilson, or None for an empty bin.
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
            weighted by images, 0 to 1.
        bias: Mean confidence minus accuracy; above 0 the network is too sure.
        bins: From probability 0 to 1, of equal width.
    """

    error: float
    bias: float
    bins: tuple[ReliabilityBin, ...]
