"""Which trials the data cannot tell apart: paired tests on the same images. Draws nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests

from sweep.records import StudyRecord, TrialRecord

__all__ = ["SIGNIFICANCE", "Comparison", "compare_with_best", "holm", "mcnemar"]

SIGNIFICANCE = 0.05
"""Below this Holm-corrected p-value two trials count as different."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One trial against the best, on the same validation images.

    Attributes:
        only_best: Images that only the best trial classified rightly.
        only_other: Images that only the other trial classified rightly.
        p_value: Exact McNemar test, two-sided.
        p_value_holm: The same, corrected for all comparisons of the study.
        tied: Whether the data cannot tell the two apart.
    """

    only_best: int
    only_other: int
    p_value: float
    p_value_holm: float
    tied: bool


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided McNemar test (McNemar 1947): do two classifiers err equally often?

    Args:
        only_first: Images that only the first classified rightly.
        only_second: Images that only the second classified rightly.

    Returns:
        The p-value; 1 if the two never differ.
    """
    num_differing = only_first + only_second
    if num_differing == 0:
        return 1.0
    return float(binomtest(only_first, num_differing, 0.5).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's correction for several tests at once (Holm 1979)."""
    if not p_values:
        return []
    return [float(p) for p in multipletests(p_values, method="holm")[1]]


def compare_with_best(record: StudyRecord) -> dict[int, Comparison]:
    """Test every COMPLETE trial against the best, corrected for the number of tests.

    Returns:
        A comparison by trial number; without the best itself, and without trials whose
        predictions are not recorded.
    """
    best = record.best
    labels = np.frombuffer(record.data.validation_labels, np.uint8)
    right_of_best = _right_answers(best, labels) if best else None
    if best is None or right_of_best is None:
        return {}
    counts: dict[int, tuple[int, int]] = {}
    for trial in record.ranked():
        right = _right_answers(trial, labels)
        if trial.number != best.number and right is not None:
            counts[trial.number] = (
                int((right_of_best & ~right).sum()),
                int((right & ~right_of_best).sum()),
            )
    p_values = [mcnemar(*pair) for pair in counts.values()]
    return {
        number: Comparison(*pair, p_value, corrected, corrected >= SIGNIFICANCE)
        for (number, pair), p_value, corrected in zip(
            counts.items(), p_values, holm(p_values), strict=True
        )
    }


def _right_answers(trial: TrialRecord, labels: np.ndarray) -> np.ndarray | None:
    predictions = trial.outcome.validation_predictions if trial.outcome else None
    if not len(labels) or predictions is None or len(predictions) != len(labels):
        return None
    right: np.ndarray = np.frombuffer(predictions, np.uint8) == labels
    return right
