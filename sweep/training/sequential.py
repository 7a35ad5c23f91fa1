"""The reference engine: one network in plain PyTorch. Faster engines must agree with it.

Shape legend: B batch, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from sweep.families import Family
from sweep.families.probing import require_gradient, require_logits
from sweep.training import VALIDATION_BATCH
from sweep.training.batches import Batches
from sweep.training.checkpoints import named
from sweep.training.disturbances import disturb
from sweep.training.groups import drawing_from, dropout_generator
from sweep.training.lane import Lane
from sweep.training.learning_rates import learning_rates
from sweep.training.measurements import Measurement, measure
from sweep.training.updates import Update

__all__ = ["SequentialGroup"]


class SequentialGroup:
    """One trial on its own (see `sweep.training.groups.Group`).

    Parameters that need no gradient stay as they are.

    Raises:
        ValueError: the network has nothing to train.
    """

    def __init__(self, lanes: Sequence[Lane], batches: Batches, family: Family) -> None:
        (lane,) = lanes
        self.lanes = [lane]
        config = lane.config
        self._batches = batches
        self._sizes = batches.sizes(lane.recipe.batch_size)
        self.num_steps = len(self._sizes)
        self._generator = dropout_generator(config.seed, batches.device)
        torch.manual_seed(config.seed)
        self._model = family.build(config.params, batches.spec).to(
            batches.device, batches.precision.weights
        )
        self._parameters: dict[str, Tensor] = {
            name: parameter
            for name, parameter in self._model.named_parameters()
            if parameter.requires_grad
        }
        if not self._parameters:
            raise ValueError("the network has no parameter with requires_grad=True to train")
        lane.num_parameters = sum(p.numel() for p in self._parameters.values())
        self._update = Update(
            lane.recipe,
            list(self._parameters.values()),
            self._buffers(),
            scales_loss=batches.precision.scales_losses,
        )
        self._augmentation = batches.augmentation([lane.recipe])
        self._class_weights = batches.class_weights(lane.recipe.class_weights)
        self._sums = torch.zeros(2, 1, dtype=torch.float64, device=batches.device)
        self._loss_sum, self._num_correct = self._sums

    def begin_epoch(self) -> None:
        """Shuffle the training examples."""
        (lane,) = self.lanes
        self._model.train()
        order = self._batches.order(lane.config.order, lane.epoch + 1)
        self._rows = order.split(self._sizes)
        self._rates = learning_rates(lane.recipe, lane.epoch, self.num_steps, self._batches.device)
        self._sums.zero_()

    def step(self, index: int) -> None:
        """Train on one batch of the epoch."""
        (lane,) = self.lanes
        recipe, rows = lane.recipe, self._rows[index]
        draws = self._augmentation.draw(lane.config.order, lane.epoch + 1, index, len(rows))
        change = partial(self._augmentation.apply, draws)
        inputs, labels = self._batches.read(self._batches.train, rows, change)
        disturb(inputs, recipe, self._generator)
        with drawing_from(self._generator):
            logits = self._logits(inputs)
        loss = functional.cross_entropy(
            logits, labels, weight=self._class_weights, label_smoothing=recipe.label_smoothing
        )
        scale = self._update.loss_scale
        (loss if scale is None else loss * scale.factor).backward()
        gradients = [_take_gradient(*parameter) for parameter in self._parameters.items()]
        parameters = list(self._parameters.values())
        self._update.step(parameters, gradients, self._rates[index], self._buffers())
        # Both stay on the device: no waiting.
        self._loss_sum += loss.detach() * len(labels)
        self._num_correct += (logits.detach().argmax(1) == labels).sum()

    def finish_epoch(self) -> list[Measurement]:
        """Measure the network on the validation split."""
        batches = self._batches
        split = batches.validation
        self._model.eval()
        loss_sum = torch.zeros((), dtype=torch.float64, device=batches.device)
        predictions = torch.empty_like(split.labels)
        losses = torch.empty(len(split), device=batches.device)
        with torch.no_grad(), self._averaging():
            for rows in torch.arange(len(split), device=batches.device).split(VALIDATION_BATCH):
                inputs, labels = batches.read(split, rows)
                logits = self._logits(inputs)
                loss_sum += functional.cross_entropy(logits, labels, reduction="sum")
                predictions[rows] = logits.argmax(1)
                losses[rows] = functional.cross_entropy(logits, labels, reduction="none").float()
        return measure(
            batches,
            sums=self._sums,
            validation_losses=loss_sum[None],
            predictions=predictions[None],
            losses=losses[None] if self.lanes[0].needs_losses else None,
            rates=self._rates[-1:],
        )

    def train_losses(self) -> list[float]:
        """The mean training loss of the network in this epoch."""
        losses: list[float] = (self._sums[0] / len(self._batches.train)).tolist()
        return losses

    def copy_weights(self, _lane: int) -> dict[str, Tensor]:
        """A copy of the network's state, with the averages of weights that are averaged."""
        with self._averaging():
            return {name: w.clone() for name, w in self._model.state_dict().items()}

    def keep(self, lanes: Sequence[int]) -> None:
        """Nothing to keep: the only lane leaves with the whole group."""
        raise ValueError(f"a sequential group keeps its only lane; asked to keep {list(lanes)}")

    def tensors(self, _lane: int) -> dict[str, Tensor]:
        """All training state but the generator."""
        return {
            **named("network", self._model.state_dict()),
            **named("optimizer", self._update.tensors()),
            "train_loss": self._loss_sum[0],
            "train_correct": self._num_correct[0],
        }

    def generator(self, _lane: int) -> torch.Generator:
        """The source of what the trial draws in training."""
        return self._generator

    def _buffers(self) -> list[Tensor]:
        """The buffers that are kept, if they are averaged."""
        if not self.lanes[0].recipe.weight_averaging:
            return []
        kept = {id(tensor) for tensor in self._model.state_dict(keep_vars=True).values()}
        return [buffer for buffer in self._model.buffers() if id(buffer) in kept]

    def _averaging(self) -> AbstractContextManager[None]:
        return self._update.averaging(list(self._parameters.values()), self._buffers())

    def _logits(self, inputs: Tensor) -> Tensor:
        """Logits in the precision of the weights, shape (B, C)."""
        with self._batches.autocast():
            logits: Tensor = self._model(inputs)
        require_logits(logits, len(inputs), self._batches.spec.num_classes)
        return logits.to(self._batches.precision.weights)


def _take_gradient(name: str, parameter: Tensor) -> Tensor:
    gradient = require_gradient(name, parameter)
    parameter.grad = None
    return gradient
