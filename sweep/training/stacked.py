"""Many trials at once: they share each batch, and each kernel serves all of them.

A step is one function, which a GPU captures once and replays: read the batch, forward, loss,
autograd, then each lane's update.

Shape legend: B batch, K lanes, C classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from sweep.definitions import Recipe
from sweep.families import StackableFamily, StackedNetwork
from sweep.training import VALIDATION_BATCH
from sweep.training.augmentation import Augmentation
from sweep.training.batches import Batches
from sweep.training.checkpoints import named
from sweep.training.disturbances import disturb_lanes
from sweep.training.graphs import Repeated
from sweep.training.groups import dropout_generator
from sweep.training.lane import Lane
from sweep.training.learning_rates import learning_rates
from sweep.training.measurements import Measurement, measure
from sweep.training.updates import Update

__all__ = ["StackedGroup", "cross_entropies", "training_losses"]


class _Seat(NamedTuple):
    """What a lane keeps when others leave the stack."""

    generator: torch.Generator
    update: Update
    names: tuple[str, ...]  # of its network's parameters and buffers


class StackedGroup:
    """Trials that share each batch, trained together (see `sweep.training.groups.Group`)."""

    def __init__(self, lanes: Sequence[Lane], batches: Batches, family: StackableFamily) -> None:
        kinds = {(lane.recipe.batch_size, lane.config.order) for lane in lanes}
        if len(kinds) > 1:
            raise ValueError(
                f"lanes of a stack share their batches; found sizes and orders {sorted(kinds)}"
            )
        self._batches = batches
        self._family = family
        self._sizes = batches.sizes(lanes[0].recipe.batch_size)
        self.num_steps = len(self._sizes)
        self.lanes = sorted(
            lanes, key=lambda lane: (family.stack_key(lane.config.params), lane.config.number)
        )
        self._network = self._build_network()
        self._seats = [self._seat(position) for position in range(len(lanes))]
        # Losses in nats and hits, summed over the examples trained in this epoch.
        self._sums = torch.zeros(2, len(lanes), dtype=torch.float64, device=batches.device)
        self._rates = self._sums.new_empty(0, len(lanes))
        self._prepare()

    def begin_epoch(self) -> None:
        """Shuffle the training examples."""
        device = self._batches.device
        lane = self.lanes[0]
        order = self._batches.order(lane.config.order, lane.epoch + 1)
        self._rows = order.split(self._sizes)
        self._rates = torch.stack(
            [
                learning_rates(lane.recipe, lane.epoch, self.num_steps, device)
                for lane in self.lanes
            ],
            1,
        )
        self._sums.zero_()

    def step(self, index: int) -> None:
        """Train on one batch of the epoch."""
        rows, lane = self._rows[index], self.lanes[0]
        draws = self._augmentation.draw(lane.config.order, lane.epoch + 1, index, len(rows))
        self._train(rows, self._rates[index], *draws)

    def finish_epoch(self) -> list[Measurement]:
        """Measure all networks on the validation split."""
        split = self._batches.validation
        predictions = split.labels.new_empty(len(self.lanes), len(split))
        losses = torch.empty_like(predictions, dtype=self._batches.precision.weights)
        with self._averaging(range(len(self.lanes))):
            for rows in torch.arange(len(split), device=losses.device).split(VALIDATION_BATCH):
                losses[:, rows], predictions[:, rows] = self._check(rows)
        return measure(
            self._batches,
            sums=self._sums,
            validation_losses=losses.sum(1, dtype=torch.float64),
            predictions=predictions,
            losses=losses if self.lanes[0].needs_losses else None,
            rates=self._rates[-1],
        )

    def train_losses(self) -> list[float]:
        """The mean training loss of each lane in this epoch."""
        losses: list[float] = (self._sums[0] / len(self._batches.train)).tolist()
        return losses

    def copy_weights(self, position: int) -> dict[str, Tensor]:
        """A copy of one lane's weights or of their averages, named as in its network's state."""
        with self._averaging([position]):
            return {name: tensor.clone() for name, tensor in self._weights(position).items()}

    def tensors(self, position: int) -> dict[str, Tensor]:
        """All training state of one lane but its generator."""
        trim = partial(self._network.trim, position)
        return {
            **named("network", self._weights(position)),
            **named("optimizer", self._seats[position].update.tensors(trim)),
            "train_loss": self._sums[0, position],
            "train_correct": self._sums[1, position],
        }

    def generator(self, position: int) -> torch.Generator:
        """The source of what one lane draws in training."""
        return self._seats[position].generator

    def keep(self, positions: Sequence[int]) -> None:
        """Drop the other lanes."""
        old, chosen = self._network, list(positions)
        self.lanes = [self.lanes[position] for position in chosen]
        self._seats = [self._seats[position] for position in chosen]
        self._sums = self._sums[:, chosen]
        self._rates = self._rates[:, chosen]
        self._network = self._build_network()
        for position, former in enumerate(chosen):
            for ours, theirs in zip(
                [*self._network.weights[position], *self._network.buffers[position]],
                [*old.weights[former], *old.buffers[former]],
                strict=True,
            ):
                ours.copy_(theirs)
        self._prepare()

    def _build_network(self) -> StackedNetwork:
        batches = self._batches
        return self._family.stack(
            [lane.config.params for lane in self.lanes],
            batches.spec,
            device=batches.device,
            dtype=batches.precision.weights,
        )

    def _seat(self, position: int) -> _Seat:
        """Draw a lane's initial weights as the reference draws them."""
        lane, batches = self.lanes[position], self._batches
        torch.manual_seed(lane.config.seed)
        model = self._family.build(lane.config.params, batches.spec)
        lane.num_parameters = sum(p.numel() for p in model.parameters())
        for ours, theirs in zip(
            self._state(position), [*model.parameters(), *model.buffers()], strict=True
        ):
            ours.copy_(theirs.detach())
        return _Seat(
            dropout_generator(lane.config.seed, batches.device),
            Update(
                lane.recipe,
                self._network.weights[position],
                self._network.buffers[position],
                [parameter.shape for parameter in model.parameters()],
                scales_loss=batches.precision.scales_losses,
            ),
            tuple(name for name, _ in [*model.named_parameters(), *model.named_buffers()]),
        )

    def _weights(self, position: int) -> dict[str, Tensor]:
        """Views of one lane's weights without padding, named as in the state of its network."""
        return dict(zip(self._seats[position].names, self._state(position), strict=True))

    def _state(self, position: int) -> list[Tensor]:
        """Views of one lane's weights and buffers without padding."""
        network = self._network
        return [*network.trim(position, network.weights[position]), *network.buffers[position]]

    @contextmanager
    def _averaging(self, positions: Iterable[int]) -> Iterator[None]:
        """Context in which these lanes hold the averages of weights that are averaged."""
        network = self._network
        with ExitStack() as stack:
            for position in positions:
                state = network.weights[position], network.buffers[position]
                stack.enter_context(self._seats[position].update.averaging(*state))
            yield

    def _prepare(self) -> None:
        """Make new passes, without the graphs of the former stack."""
        device, generators = self._batches.device, [seat.generator for seat in self._seats]
        smoothing = [lane.recipe.label_smoothing for lane in self.lanes]
        like = self._network.parameters[0]
        class_weights = [
            self._batches.class_weights(lane.recipe.class_weights) for lane in self.lanes
        ]
        equal = like.new_ones(self._batches.spec.num_classes)
        self._augmentation = self._batches.augmentation([lane.recipe for lane in self.lanes])
        passes = _Passes(
            self._network,
            self._batches,
            self._augmentation,
            [lane.recipe for lane in self.lanes],
            [seat.update for seat in self._seats],
            [seat.update.loss_scale.factor for seat in self._seats if seat.update.loss_scale],
            generators,
            like.new_tensor(smoothing).view(-1, 1) if any(smoothing) else None,
            torch.stack([equal if each is None else each for each in class_weights])
            if any(each is not None for each in class_weights)
            else None,
            *self._sums,
        )
        self._train = Repeated(passes.train, device, generators)
        self._check = Repeated(passes.check, device)


@dataclass(frozen=True, slots=True)
class _Passes:
    """What is done with a batch. Holds no reference to its group, whose memory must be freed."""

    network: StackedNetwork
    batches: Batches
    augmentation: Augmentation
    recipes: Sequence[Recipe]
    updates: Sequence[Update]
    loss_scales: Sequence[Tensor]  # of each lane, or none at all
    generators: Sequence[torch.Generator]
    smoothing: Tensor | None
    class_weights: Tensor | None
    loss_sums: Tensor
    num_correct: Tensor

    def train(self, rows: Tensor, rates: Tensor, *draws: Tensor) -> None:
        """Train on these examples, at a rate for each lane, with draws of the augmentation."""
        change = partial(self.augmentation.apply, draws)
        inputs, labels = self.batches.read(self.batches.train, rows, change)
        inputs = disturb_lanes(inputs, self.batches.spec.input_shape, self.recipes, self.generators)
        logits = self._logits(inputs, self.generators)
        losses = training_losses(logits, labels, self.smoothing, self.class_weights)
        # A lane's loss is the mean, and does not depend on other lanes' weights.
        share = torch.full_like(losses, 1 / len(labels))
        if self.loss_scales:
            share *= torch.stack(list(self.loss_scales))
        # Of one number: for several, PyTorch imports SymPy, which takes half a second.
        gradients = torch.autograd.grad(losses.dot(share), self.network.parameters)
        lanes = zip(
            self.updates,
            self.network.weights,
            self.network.lanes(gradients),
            rates.unbind(),
            self.network.buffers,
            strict=True,
        )
        for update, weights, gradient, rate, buffers in lanes:
            update.step(weights, gradient, rate, buffers)
        self.loss_sums.add_(losses.detach())
        self.num_correct.add_((logits.detach().max(1).indices == labels).sum(1))

    @torch.no_grad()
    def check(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The losses and predictions of these examples in each lane, shape (K, B) both."""
        inputs, labels = self.batches.read(self.batches.validation, rows)
        logits = self._logits(inputs)
        # Not `argmax`, which takes six times as long over any but the last dimension on a CPU.
        return cross_entropies(logits, labels), logits.max(1).indices

    def _logits(
        self, inputs: Tensor, generators: Sequence[torch.Generator] | None = None
    ) -> Tensor:
        """Logits in the precision of the weights, shape (K, C, B)."""
        with self.batches.autocast():
            logits = self.network.forward(inputs, generators)
        return logits.to(self.batches.precision.weights)


def training_losses(
    logits: Tensor,
    labels: Tensor,
    smoothing: Tensor | None = None,
    class_weights: Tensor | None = None,
) -> Tensor:
    """B times each lane's loss over the batch, a weighted mean in nats, shape (K,).

    Shapes are (K, C, B) of logits, (B,) of labels, (K, 1) of the label smoothing, (K, C) of the
    weights of the classes; None is for no smoothing and equal weights in all lanes.
    """
    losses = cross_entropies(logits, labels)
    weights = None
    if class_weights is not None:
        weights = class_weights.index_select(1, labels)
        losses = losses * weights
    if smoothing is not None:
        of_all_classes = -logits.log_softmax(1)
        if class_weights is not None:
            of_all_classes = of_all_classes * class_weights.unsqueeze(2)
        losses = torch.lerp(losses, of_all_classes.mean(1), smoothing)
    if weights is not None:
        losses = losses * (len(labels) / weights.sum(1, keepdim=True))
    return losses.sum(1)


def cross_entropies(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropies in nats, shape (K, B), of logits, (K, C, B), and labels, int64, (B,)."""
    return functional.cross_entropy(logits, labels.expand(len(logits), -1), reduction="none")
