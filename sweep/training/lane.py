"""The record of one trial while it is trained, whatever trains it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from sweep.codec import pack_labels
from sweep.definitions import Recipe, parameters_of, view, with_defaults
from sweep.records import (
    Checkpoint,
    EpochMetrics,
    Failure,
    FailureKind,
    Objective,
    TrialConfig,
    TrialOutcome,
    TrialState,
)
from sweep.training.checkpoints import Progress, named, pack, part, unpack
from sweep.training.measurements import Measurement

__all__ = ["Lane"]


@dataclass(slots=True)
class _Best:
    """The best epoch so far."""

    epoch: int
    value: float
    predictions: Tensor
    losses: Tensor | None
    weights: dict[str, Tensor]


class Lane:
    """History and best epoch of one trial.

    Attributes:
        config: What is trained.
        recipe: How it is trained.
        epoch: Epochs that were trained.
        step: Steps of the epoch after those that were trained before its group was built.
        step_seconds: What these steps cost.
        awaits_decision: Whether the driver has yet to say if it goes on.
        num_lanes: The most trials that were trained together with it, itself included.
    """

    def __init__(self, config: TrialConfig, objective: Objective) -> None:
        self.config = config
        self.recipe = view(Recipe, config.params)
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
        model: str,
        device: torch.device,
        precision: str,
    ) -> Lane:
        """A trial that goes on from what `save` gave.

        Args:
            config: What is trained.
            objective: What decides which epoch is its best.
            state: The checkpoint.
            model: Name of the model family.
            device: Where it is trained.
            precision: Of the matrix products.

        Raises:
            ValueError: the checkpoint is not one of this trial, device and precision.
        """
        progress, tensors = unpack(state)
        # A parameter that is newer than the checkpoint had its default.
        params = progress.config.params
        saved = replace(
            progress.config, params={**params, **with_defaults(parameters_of(model), params)}
        )
        for word, found, wanted in (
            ("configuration", saved, config),
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
            losses = tensors["losses"].to(device) if lane.needs_losses else None
            best = {name: w.to(device) for name, w in part("best", tensors).items()}
            lane._best = _Best(progress.best_epoch, value, predictions, losses, best)
        return lane

    @property
    def needs_losses(self) -> bool:
        """Whether the loss of each validation example is kept: the study ranks by it."""
        return self._objective.metric == "validation_loss"

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
            tensors["predictions"] = best.predictions.to(torch.int32)
            if best.losses is not None:
                tensors["losses"] = best.losses
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
        losses = [measured.values[name] for name in ("train_loss", "validation_loss")]
        if not np.isfinite(losses).all():
            reason = f"epoch {self.epoch}: training loss {losses[0]}, validation loss {losses[1]}"
            return Failure(FailureKind.NAN, reason)
        metrics = EpochMetrics(
            trial=self.config.number,
            epoch=self.epoch,
            values=measured.values,
            learning_rate=measured.learning_rate,
            seconds=seconds,
        )
        value = self._objective.value(metrics)
        if self._best is None or self._objective.is_better(value, self._best.value):
            found = (measured.predictions, measured.losses)
            self._best = _Best(self.epoch, value, *found, weights())
        self._history.append(metrics)
        self.awaits_decision = True
        return metrics

    @property
    def has_ended(self) -> bool:
        """Whether its epochs are used up."""
        return self.epoch >= self.recipe.epochs

    def outcome(
        self,
        state: TrialState,
        *,
        num_classes: int,
        failure: Failure | None = None,
    ) -> TrialOutcome:
        """How the trial ended, but for what it shares with others of its engine.

        Args:
            state: COMPLETE, PRUNED or FAIL.
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
        losses = weights = None
        if best.losses is not None:
            losses = best.losses.to("cpu", torch.float32).numpy().tobytes()
        if state is TrialState.COMPLETE:
            weights = safetensors.torch.save({k: w.cpu() for k, w in best.weights.items()})
        return replace(
            outcome,
            best_epoch=best.epoch,
            validation_predictions=pack_labels(best.predictions.cpu().numpy(), num_classes),
            validation_losses=losses,
            weights=weights,
        )
