"""The metrics of an epoch; a study's objective is one of them on the validation split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["METRICS", "OBJECTIVES", "Metric", "class_metrics", "is_share"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric; `goal` is `maximize` or `minimize`, and a share lies between 0 and 1."""

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
OBJECTIVES: dict[str, Metric] = {f"validation_{name}": metric for name, metric in METRICS.items()}
"""Metrics by the names of the objectives that rank by them."""


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
    """`accuracy`, `balanced_accuracy` and `f1_macro`, each of shape (...).

    The counts are of each class's examples, all of shape (..., classes): those predicted correctly,
    all of them, and all examples predicted as that class.

    Balanced accuracy is the mean recall of the classes that occur (Brodersen et al. 2010), as in
    scikit-learn's `balanced_accuracy_score`. Macro F1 is the mean over the classes that occur or
    are predicted, as in `f1_score(average="macro")`; F1 is 0 for a class that is never right.
    """
    either = num_true + num_predicted
    recall = num_right / np.maximum(num_true, 1)
    f1 = 2 * num_right / np.maximum(either, 1)
    return {
        "accuracy": num_right.sum(-1) / num_true.sum(-1),
        "balanced_accuracy": recall.sum(-1) / (num_true > 0).sum(-1),
        "f1_macro": f1.sum(-1) / (either > 0).sum(-1),
    }
