"""How well each class is recognised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sweep.records import ConfusionMatrix
from sweep.reporting.statistics.intervals import Interval, wilson_interval

__all__ = ["ClassScore", "Score", "class_scores"]


@dataclass(frozen=True, slots=True)
class Score:
    """A share with its 95% interval; both None for a share of nothing."""

    value: float | None
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Precision, recall and F1 of one class."""

    name: str
    num_true: int
    num_predicted: int
    precision: Score
    recall: Score
    f1: Score


def class_scores(matrix: ConfusionMatrix, names: Sequence[str]) -> tuple[ClassScore, ...]:
    """Precision, recall and F1 of each class with their 95% intervals.

    Precision and recall are shares of examples and have Wilson's interval (Wilson 1927). F1 is not,
    but it rises with the Jaccard index J, which is: F1 = 2 J / (1 + J). So the ends of its interval
    follow from those of J's.
    """
    # As objects: sums of a stranger's counts may not fit into 64 bits.
    counts = np.array(matrix, dtype=object).reshape(len(names), len(names))
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


def _score(num_right: int, num_all: int) -> Score:
    if num_all == 0:
        return Score(None, None)
    return Score(num_right / num_all, wilson_interval(num_right, num_all))


def _f1(jaccard: Score) -> Score:
    if jaccard.value is None or jaccard.interval is None:
        return jaccard
    low, high = (2 * share / (1 + share) for share in (jaccard.interval.low, jaccard.interval.high))
    return Score(2 * jaccard.value / (1 + jaccard.value), Interval(low, high))
