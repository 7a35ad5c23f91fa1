"""How well each class is recognised. Draws nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sweep.errors import ContradictionError
from sweep.records import ConfusionMatrix
from sweep.reporting.statistics.intervals import Interval, wilson_interval

__all__ = ["ClassScore", "Score", "class_scores"]


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


def class_scores(matrix: ConfusionMatrix, names: Sequence[str]) -> tuple[ClassScore, ...]:
    """Precision, recall and F1 of each class with their 95 % intervals.

    Precision and recall are shares of images and have Wilson's interval (Wilson 1927). F1 is none,
    but it rises with the Jaccard index J, F1 = 2 J / (1 + J), and J is one: of the images that
    are of the class or were taken for it, the share for which both holds. So the ends of its
    interval are those of J's.

    Args:
        matrix: Counts, true classes in rows, predicted classes in columns.
        names: The classes in the order of their labels.

    Raises:
        ContradictionError: the matrix is not square, has counts below 0 or does not fit the names.
    """
    counts = _counts(matrix)
    if len(names) != len(counts):
        raise ContradictionError(
            f"a confusion matrix of {len(counts)} classes has {len(names)} names"
        )
    true, predicted, right = counts.sum(axis=1), counts.sum(axis=0), counts.diagonal()
    return tuple(
        ClassScore(
            name=name,
            num_true=int(num_true),
            num_predicted=int(num_predicted),
            precision=_score(int(num_right), int(num_predicted)),
            recall=_score(int(num_right), int(num_true)),
            f1=_f1(_score(int(num_right), int(num_true + num_predicted - num_right))),
        )
        for name, num_true, num_predicted, num_right in zip(
            names, true, predicted, right, strict=True
        )
    )


def _counts(matrix: ConfusionMatrix) -> np.ndarray:
    if any(len(row) != len(matrix) for row in matrix):
        raise ContradictionError("a confusion matrix is not square")
    counts = np.array(matrix, dtype=object).reshape(len(matrix), len(matrix))
    if (counts < 0).any():
        raise ContradictionError(f"a confusion matrix has the count {counts.min()}")
    return counts


def _score(num_right: int, num_all: int) -> Score:
    if num_all == 0:
        return Score(None, None)
    return Score(num_right / num_all, wilson_interval(num_right, num_all))


def _f1(jaccard: Score) -> Score:
    if jaccard.value is None or jaccard.interval is None:
        return jaccard
    low, high = (2 * share / (1 + share) for share in (jaccard.interval.low, jaccard.interval.high))
    return Score(2 * jaccard.value / (1 + jaccard.value), Interval(low, high))
