"""The metrics of an epoch: each can be a study's objective, measured on the validation split.

Shape legend: C classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["METRICS", "OBJECTIVES", "Metric", "class_metrics", "is_share"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: `goal` is `maximize` or `minimize`, a share is between 0 and 1."""

    name: str
    goal: str
    meaning: str
    is_share: bool = True


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "maximize", "share of the examples that are right"),
        Metric("loss", "minimize", "mean cross-entropy in nats", is_share=False),
        Metric("balanced_accuracy", "maximize", "mean over the classes of the share that is right"),
        Metric("f1_macro", "maximize", "mean over the classes of the F1 score"),
    )
}
"""Metrics by name."""

OBJECTIVES: dict[str, Metric] = {f"validation_{name}": metric for name, metric in METRICS.items()}
"""Metrics by the names under which a study can rank by them."""


def is_share(value_name: str) -> bool:
    """Whether a value of an epoch (`train_accuracy`, `validation_loss`) is between 0 and 1.

    False for an unknown metric, as a store of another version may have.
    """
    metric = METRICS.get(value_name.partition("_")[2])
    return metric is not None and metric.is_share


def class_metrics(
    num_right: NDArray[np.float64],
    num_true: NDArray[np.float64],
    num_predicted: NDArray[np.float64],
) -> dict[str, NDArray[np.float64]]:
    """The metrics that follow from how often each class was right, there, and predicted.

    Balanced accuracy is the mean recall of the classes that occur (Brodersen et al. 2010); the F1
    score of a class is the harmonic mean of precision and recall, 0 for a class that is never
    right, and its mean is over the classes that occur or are predicted. Both are scikit-learn's
    `balanced_accuracy_score` and `f1_score(average="macro")`.

    Args:
        num_right: Examples of each class that are predicted as it, shape (..., C).
        num_true: Examples of each class, shape (..., C).
        num_predicted: Examples that are predicted as each class, shape (..., C).

    Returns:
        `accuracy`, `balanced_accuracy` and `f1_macro`, each of shape (...).
    """
    either = num_true + num_predicted
    recall = num_right / np.maximum(num_true, 1)
    f1 = 2 * num_right / np.maximum(either, 1)
    return {
        "accuracy": num_right.sum(-1) / num_true.sum(-1),
        "balanced_accuracy": recall.sum(-1) / (num_true > 0).sum(-1),
        "f1_macro": f1.sum(-1) / (either > 0).sum(-1),
    }
