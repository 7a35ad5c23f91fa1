"""How well each class is recognised. Draws nothing."""

from __future__ import annotations

from dataclasses import dataclass

from sweep.reporting.statistics.intervals import Interval

__all__ = ["ClassScore", "Score"]


@dataclass(frozen=True, slots=True)
class Score:
    """A share with its 95 % interval; both None where there is nothing to share."""

    value: float | None
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Precision, recall and F1 of one class on one split.

    Attributes:
        name: The class.
        num_true: Images of the class.
        num_predicted: Images that were taken for the class.
        precision: Of the images taken for the class, the share that is.
        recall: Of the images of the class, the share that was recognised.
        f1: Harmonic mean of the two.
    """

    name: str
    num_true: int
    num_predicted: int
    precision: Score
    recall: Score
    f1: Score
