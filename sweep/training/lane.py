"""The record of one trial while it is trained, whatever trains it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from sweep.records import (
    ConfusionMatrix,
    EpochMetrics,
    Failure,
    FailureKind,
    Objective,
    TrialConfig,
    TrialOutcome,
    TrialState,
)

__all__ = ["Lane", "Measurement"]


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one epoch of one trial gave.

    Attributes:
        train_loss: Mean cross-entropy of the epoch's steps, in nats.
        validation_loss: Mean cross-entropy on the validation split, in nats.
        predictions: Predicted class of each validation image, int64, on the device.
        num_correct: How many of them are right.
        learning_rate: The rate at the epoch's last step.
    """

    train_loss: float
    validation_loss: float
    predictions: Tensor
    num_correct: int
    learning_rate: float


@dataclass(slots=True)
class _Best:
    """The best epoch so far."""

    epoch: int
    value: float
    predictions: Tensor
    weights: dict[str, Tensor]


class Lane:
    """History and best epoch of one trial.

    Attributes:
        config: What is trained.
        epoch: Epochs that were trained since its training last began.
        awaits_decision: Whether the driver has yet to say if it goes on.
    """

    def __init__(self, config: TrialConfig, objective: Objective) -> None:
        self.config = config
        self.epoch = 0
        self.awaits_decision = False
        self.num_parameters = 0
        self._objective = objective
        self._history: list[EpochMetrics] = []
        self._best: _Best | None = None
        self._started = time.perf_counter()

    def restart(self) -> None:
        """Train again from the start; epochs that are known already are not recorded again."""
        self.epoch = 0

    def record(
        self, measured: Measurement, seconds: float, weights: Callable[[], dict[str, Tensor]]
    ) -> EpochMetrics | Failure | None:
        """Take in one epoch.

        Args:
            measured: What it gave.
            seconds: What it cost.
            weights: Gives a copy of the network's weights; called if they are the best so far.

        Returns:
            What to report, a failure if a loss is not a number, or None if the epoch was
            reported before a restart.
        """
        self.epoch += 1
        if self.epoch <= len(self._history):
            return None
        losses = (measured.train_loss, measured.validation_loss)
        if not np.isfinite(losses).all():
            reason = f"epoch {self.epoch}: training loss {losses[0]}, validation loss {losses[1]}"
            return Failure(FailureKind.NAN, reason)
        metrics = EpochMetrics(
            trial=self.config.number,
            epoch=self.epoch,
            train_loss=measured.train_loss,
            validation_loss=measured.validation_loss,
            validation_accuracy=measured.num_correct / len(measured.predictions),
            learning_rate=measured.learning_rate,
            seconds=seconds,
        )
        value = self._objective.value(metrics)
        if self._best is None or self._objective.is_better(value, self._best.value):
            self._best = _Best(self.epoch, value, measured.predictions, weights())
        self._history.append(metrics)
        self.awaits_decision = True
        return metrics

    @property
    def has_ended(self) -> bool:
        """Whether its epochs are used up."""
        return self.epoch >= self.config.epochs

    def outcome(
        self,
        state: TrialState,
        *,
        labels: Tensor,
        num_classes: int,
        failure: Failure | None = None,
    ) -> TrialOutcome:
        """How the trial ended, but for what it shares with others of its engine.

        Args:
            state: COMPLETE, PRUNED or FAIL.
            labels: Classes of the validation images, int64.
            num_classes: How many classes there are.
            failure: Why it failed, if it did.
        """
        outcome = TrialOutcome(
            trial=self.config.number,
            state=state,
            history=tuple(self._history),
            seconds=time.perf_counter() - self._started,
            num_parameters=self.num_parameters,
            failure=failure,
        )
        best = self._best
        if best is None:
            return outcome
        weights = None
        if state is TrialState.COMPLETE:
            weights = safetensors.torch.save({k: w.cpu() for k, w in best.weights.items()})
        return replace(
            outcome,
            best_epoch=best.epoch,
            validation_confusion_matrix=_confusion_matrix(labels, best.predictions, num_classes),
            validation_predictions=best.predictions.to(torch.uint8).cpu().numpy().tobytes(),
            weights=weights,
        )


def _confusion_matrix(labels: Tensor, predictions: Tensor, num_classes: int) -> ConfusionMatrix:
    cells = torch.bincount(labels * num_classes + predictions, minlength=num_classes**2)
    return tuple(map(tuple, cells.reshape(num_classes, num_classes).tolist()))
