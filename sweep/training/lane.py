"""The record of one trial during training, whichever engine trains it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from sweep.definitions import Recipe, view
from sweep.records import EpochMetrics, Failure, FailureKind, Objective, TrialConfig
from sweep.training.measurements import Measurement

__all__ = ["Best", "Lane", "Midway"]


@dataclass(frozen=True, slots=True)
class Best:
    """The best epoch so far."""

    epoch: int
    value: float
    predictions: Tensor
    losses: Tensor | None
    weights: dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Midway:
    """The steps of an epoch that a checkpoint holds, what they cost, and the group's tensors."""

    step: int
    seconds: float
    state: dict[str, Tensor]


class Lane:
    """History and best epoch of one trial.

    Attributes:
        epoch: Epochs trained so far.
        unreported_seconds: What the epochs since the last report cost.
        awaits_decision: Whether the driver has yet to decide on its last epoch.
        num_lanes: The most trials that were trained together, itself included.
        num_parameters: Of its network; 0 before it is built.
        started: `time.perf_counter` at the trial's start, interruptions left out.
        midway: Set until its group has taken over what a checkpoint holds.
    """

    def __init__(self, config: TrialConfig, objective: Objective) -> None:
        self.config = config
        self.recipe = view(Recipe, config.params)
        self.objective = objective
        self.epoch = 0
        self.history: list[EpochMetrics] = []
        self.unreported_seconds = 0.0
        self.best: Best | None = None
        self.awaits_decision = False
        self.num_lanes = 0
        self.num_parameters = 0
        self.started = time.perf_counter()
        self.midway: Midway | None = None

    @property
    def needs_losses(self) -> bool:
        """Whether to keep the loss of each validation example: the study ranks by it."""
        return self.objective.metric == "validation_loss"

    @property
    def has_ended(self) -> bool:
        """Whether its epochs are used up."""
        return self.epoch >= self.recipe.epochs

    @property
    def seconds(self) -> float:
        """Wall time so far."""
        return time.perf_counter() - self.started

    def record(
        self, measured: Measurement, seconds: float, weights: Callable[[], dict[str, Tensor]]
    ) -> EpochMetrics | Failure:
        """Record a validated epoch: the metrics to report, or a failure if a loss is not finite.

        `weights` copies the network's weights; it is called if they are the best so far.
        """
        self.epoch += 1
        losses = [measured.values[name] for name in ("train_loss", "validation_loss")]
        if not all(map(math.isfinite, losses)):
            reason = f"epoch {self.epoch}: training loss {losses[0]}, validation loss {losses[1]}"
            return Failure(FailureKind.NAN, reason)
        metrics = EpochMetrics(
            trial=self.config.number,
            epoch=self.epoch,
            values=measured.values,
            learning_rate=measured.learning_rate,
            seconds=self.unreported_seconds + seconds,
        )
        self.unreported_seconds = 0.0
        value = self.objective.value(metrics)
        if self.best is None or self.objective.is_better(value, self.best.value):
            self.best = Best(self.epoch, value, measured.predictions, measured.losses, weights())
        self.history.append(metrics)
        self.awaits_decision = True
        return metrics

    def pass_over(self, train_loss: float, seconds: float) -> Failure | None:
        """Count an epoch without validation; a failure if its training loss is not finite."""
        self.epoch += 1
        self.unreported_seconds += seconds
        if math.isfinite(train_loss):
            return None
        return Failure(FailureKind.NAN, f"epoch {self.epoch}: training loss {train_loss}")
