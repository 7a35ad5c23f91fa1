"""The record of one trial while it is trained, whatever trains it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from sweep.records import (
    Checkpoint,
    ConfusionMatrix,
    EpochMetrics,
    Failure,
    FailureKind,
    Objective,
    TrialConfig,
    TrialOutcome,
    TrialState,
)
from sweep.training.checkpoints import Progress, named, pack, part, unpack

__all__ = ["Lane", "Measurement"]


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one epoch of one trial gave.

    Attributes:
        train_loss: Mean cross-entropy of the epoch's steps, in nats.
        train_accuracy: Share of the training images that were right in these steps.
        validation_loss: Mean cross-entropy on the validation split, in nats.
        predictions: Predicted class of each validation image, int64, on the device.
        num_correct: How many of them are right.
        learning_rate: The rate at the epoch's last step.
    """

    train_loss: float
    train_accuracy: float
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
        epoch: Epochs that were trained.
        step: Steps of the epoch after those that were trained before its group was built.
        step_seconds: What these steps cost.
        awaits_decision: Whether the driver has yet to say if it goes on.
        num_lanes: The most trials that were trained together with it, itself included.
    """

    def __init__(self, config: TrialConfig, objective: Objective) -> None:
        self.config = config
        self.epoch = self.step = 0
        self.step_seconds = 0.0
        self.awaits_decision = False
        self.num_lanes = 0
        self.num_parameters = 0
        self._objective = objective
        self._history: list[EpochMetrics] = []
        self._best: _Best | None = None
        self._started = time.perf_counter()
        self._state: dict[str, Tensor] = {}

    @classmethod
    def resume(
        cls,
        config: TrialConfig,
        objective: Objective,
        state: bytes,
        *,
        device: torch.device,
        precision: str,
    ) -> Lane:
        """A trial that goes on from what `save` gave.

        Raises:
            ValueError: the checkpoint is not one of this trial, device and precision.
        """
        progress, tensors = unpack(state)
        for word, found, wanted in (
            ("configuration", progress.config, config),
            ("kind of device", progress.device, device.type),
            ("precision", progress.precision, precision),
        ):
            if found != wanted:
                raise ValueError(f"it was made with another {word}: {found} instead of {wanted}")
        lane = cls(config, objective)
        lane.epoch, lane.step = len(progress.history), progress.step
        lane.step_seconds, lane.num_lanes = progress.step_seconds, progress.num_lanes
        lane.awaits_decision = bool(progress.history)
        lane.num_parameters = progress.num_parameters
        lane._history = list(progress.history)
        lane._started -= progress.seconds
        lane._state = part("group", tensors)
        if progress.best_epoch is not None:
            value = objective.value(progress.history[progress.best_epoch - 1])
            predictions = tensors["predictions"].to(device, torch.int64)
            best = {name: w.to(device) for name, w in part("best", tensors).items()}
            lane._best = _Best(progress.best_epoch, value, predictions, best)
        return lane

    @property
    def has_state(self) -> bool:
        """Whether it goes on from a checkpoint, which its group has yet to take."""
        return bool(self._state)

    def take_state(self) -> dict[str, Tensor]:
        """What its group had to say of it when it was saved; given once."""
        state, self._state = self._state, {}
        return state

    @property
    def history(self) -> tuple[EpochMetrics, ...]:
        """Every epoch that was recorded."""
        return tuple(self._history)

    def save(
        self,
        state: Mapping[str, Tensor],
        *,
        device: torch.device,
        precision: str,
        step: int = 0,
        step_seconds: float = 0.0,
    ) -> Checkpoint:
        """The trial as it is now.

        Args:
            state: What its group has to say of it.
            device: Where it is trained.
            precision: Of the matrix products.
            step: Steps of the epoch under way that were trained.
            step_seconds: What they cost.
        """
        best = self._best
        progress = Progress(
            config=self.config,
            device=device.type,
            precision=precision,
            step=step,
            step_seconds=step_seconds,
            history=self.history,
            best_epoch=best.epoch if best else None,
            seconds=time.perf_counter() - self._started,
            num_lanes=self.num_lanes,
            num_parameters=self.num_parameters,
        )
        tensors = named("group", state)
        if best is not None:
            tensors |= named("best", best.weights)
            tensors["predictions"] = best.predictions.to(torch.uint8)
        return Checkpoint(self.config.number, self.epoch, step, pack(progress, tensors))

    def record(
        self, measured: Measurement, seconds: float, weights: Callable[[], dict[str, Tensor]]
    ) -> EpochMetrics | Failure:
        """Take in one epoch.

        Args:
            measured: What it gave.
            seconds: What it cost.
            weights: Gives a copy of the network's weights; called if they are the best so far.

        Returns:
            What to report, or a failure if a loss is not a number.
        """
        self.epoch += 1
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
            train_accuracy=measured.train_accuracy,
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
            history=self.history,
            seconds=time.perf_counter() - self._started,
            num_parameters=self.num_parameters,
            num_lanes=self.num_lanes,
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
