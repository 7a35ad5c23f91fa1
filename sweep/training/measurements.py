"""The metrics of one epoch of each trial of a group.

Shape legend: K lanes, N validation examples, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sweep.definitions import class_metrics
from sweep.training.batches import Batches

__all__ = ["Measurement", "measure"]


@dataclass(frozen=True, slots=True)
class Measurement:
    """The metrics of one epoch of one trial.

    Attributes:
        values: By name, as in `EpochMetrics`.
        predictions: Class of each validation example, int64, on the device, shape (N,).
        losses: Cross-entropy of each validation example in nats, shape (N,); None if not needed.
        learning_rate: At the epoch's last step.
    """

    values: Mapping[str, float]
    predictions: Tensor
    losses: Tensor | None
    learning_rate: float


def measure(
    batches: Batches,
    *,
    sums: Tensor,
    validation_losses: Tensor,
    predictions: Tensor,
    losses: Tensor | None,
    rates: Tensor,
) -> list[Measurement]:
    """The measurement of each lane, with the metrics that follow from its predictions.

    Args:
        batches: The data that were trained and validated on.
        sums: Losses and hits, summed over the training examples, float64, shape (2, K).
        validation_losses: Sums over the validation examples, float64, shape (K,).
        predictions: Predicted classes, int64, shape (K, N).
        losses: Of each validation example, shape (K, N), or None.
        rates: Learning rates of the last step, shape (K,).
    """
    labels, num_classes = batches.validation.labels, batches.spec.num_classes
    # The one time in an epoch that the host waits for a GPU.
    numbers = torch.stack(
        [*(sums / len(batches.train)), validation_losses / len(labels), rates.to(sums.dtype)]
    ).tolist()
    counts = _class_counts(predictions, labels, num_classes)
    shares = {name: values.tolist() for name, values in class_metrics(*counts).items()}
    measured: list[Measurement] = []
    for lane, (train_loss, train_accuracy, loss, rate) in enumerate(zip(*numbers, strict=True)):
        values = {"train_loss": train_loss, "train_accuracy": train_accuracy}
        values["validation_loss"] = loss
        values |= {f"validation_{name}": share[lane] for name, share in shares.items()}
        own_losses = None if losses is None else losses[lane]
        measured.append(Measurement(values, predictions[lane], own_losses, rate))
    return measured


def _class_counts(
    predictions: Tensor, labels: Tensor, num_classes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How often each class was predicted rightly, present, and predicted; shape (K, C) each."""
    num_lanes = len(predictions)
    offsets = torch.arange(num_lanes, device=labels.device).unsqueeze(1) * num_classes
    size = num_lanes * num_classes

    def count(cells: Tensor) -> np.ndarray:
        counts = torch.bincount(cells.flatten(), minlength=size).cpu().numpy()
        return counts.reshape(num_lanes, num_classes).astype(np.float64)

    true = (labels + offsets).expand(num_lanes, -1)
    return count(true[predictions == labels]), count(true), count(predictions + offsets)
