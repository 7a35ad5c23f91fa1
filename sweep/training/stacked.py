"""Many trials at once: they share each batch, and each kernel serves all of them.

A step is a program of calls on tensors that never move (see `sweep.models.stacked_mlp`): read the
batch, forward, loss, backward, one optimiser kernel for each lane, and, with bfloat16, new copies
of the weights. On a GPU it is captured once and replayed.

Shape legend: B batch, K lanes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from sweep.models import Program, StackedMLP, Workspace, build_mlp, stack_order
from sweep.training import VALIDATION_BATCH
from sweep.training.batches import Batches
from sweep.training.checkpoints import fill, named, part
from sweep.training.graphs import RepeatedProgram
from sweep.training.lane import Lane, Measurement
from sweep.training.losses import (
    count_correct,
    cross_entropy,
    cross_entropy_gradients,
    exact_logits,
)
from sweep.training.optimizers import (
    Optimizer,
    build_optimizer,
    load_optimizer,
    optimizer_state,
)
from sweep.training.randomness import dropout_generator
from sweep.training.schedules import learning_rates

__all__ = ["StackedGroup"]


@dataclass(frozen=True, slots=True)
class _Seat:
    """What a lane takes along when the stack closes its gaps."""

    lane: Lane
    generator: torch.Generator
    optimizer: Optimizer
    weight_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Sums:
    """What the steps of an epoch add up to, lane by lane.

    Attributes:
        losses: Of the images that were trained on, in nats, float64, shape (K,).
        num_correct: How many of them were right, float64 as well, shape (K,).
    """

    losses: Tensor
    num_correct: Tensor

    @classmethod
    def of(cls, num_lanes: int, device: torch.device) -> _Sums:
        """Nothing so far."""
        losses = torch.zeros(num_lanes, dtype=torch.float64, device=device)
        return cls(losses, torch.zeros_like(losses))

    def keep(self, positions: list[int]) -> _Sums:
        """Those of some of the lanes."""
        return _Sums(self.losses[positions], self.num_correct[positions])

    def clear(self) -> None:
        """Begin again."""
        self.losses.zero_()
        self.num_correct.zero_()

    def lane(self, position: int) -> dict[str, Tensor]:
        """Those of one lane, to be stored or filled."""
        return {
            "train_loss": self.losses[position],
            "train_correct": self.num_correct[position],
        }


class StackedGroup:
    """Trials of one batch size, trained together (see `sweep.training.groups.Group`)."""

    def __init__(self, lanes: Sequence[Lane], batches: Batches) -> None:
        sizes = {lane.config.batch_size for lane in lanes}
        if len(sizes) > 1:
            raise ValueError(f"lanes of a stack share their batches; found sizes {sorted(sizes)}")
        self._batches = batches
        self._batch_size = lanes[0].config.batch_size
        self.num_steps = -(-len(batches.train) // self._batch_size)
        self.lanes = sorted(lanes, key=lambda lane: stack_order(lane.config))
        self._network = self._build_network()
        self._seats = [self._seat(position) for position in range(len(lanes))]
        self._sums = _Sums.of(len(lanes), batches.device)
        self._rates = self._sums.losses.new_empty(0, len(lanes))
        self._prepare()

    def begin_epoch(self) -> None:
        """Shuffle the training images."""
        device = self._batches.device
        self._order = self._batches.order(self.lanes[0].epoch + 1)
        self._rates = torch.stack(
            [
                learning_rates(lane.config, lane.epoch, self.num_steps, device)
                for lane in self.lanes
            ],
            1,
        )
        self._sums.clear()

    def step(self, index: int) -> None:
        """Train on one batch of the epoch."""
        start = index * self._batch_size
        rows = self._order[start : start + self._batch_size]
        step = self._steps.get(len(rows))
        if step is None:
            step = self._steps[len(rows)] = _Step(
                self._network, self._batches, self._seats, rows, self._sums
            )
        step.run(rows, self._rates[index])

    def finish_epoch(self) -> list[Measurement]:
        """Measure all networks on the validation split."""
        split = self._batches.validation
        losses = torch.zeros_like(self._sums.losses)
        predictions = split.labels.new_empty(len(self.lanes), len(split))
        for rows in torch.arange(len(split), device=split.labels.device).split(VALIDATION_BATCH):
            check = self._checks.get(len(rows))
            if check is None:
                check = self._checks[len(rows)] = _Check(self._network, self._batches, rows)
            losses += check.run(rows)
            predictions[:, rows] = check.logits.argmax(1)
        numbers = torch.stack(
            [
                self._sums.losses / len(self._batches.train),
                self._sums.num_correct / len(self._batches.train),
                losses / len(split),
                (predictions == split.labels).sum(1).to(torch.float64),
                self._rates[-1].to(torch.float64),
            ]
        ).tolist()  # the one time in an epoch that the host waits for a GPU
        return [
            Measurement(
                train_loss=train_loss,
                train_accuracy=train_accuracy,
                validation_loss=validation_loss,
                predictions=predictions[position],
                num_correct=int(num_correct),
                learning_rate=rate,
            )
            for position, (
                train_loss,
                train_accuracy,
                validation_loss,
                num_correct,
                rate,
            ) in enumerate(zip(*numbers, strict=True))
        ]

    def copy_weights(self, position: int) -> dict[str, Tensor]:
        """A copy of one lane's weights, named as in the state of its `MLP`."""
        names = self._seats[position].weight_names
        tensors = self._network.weights.network(position)
        return {name: tensor.clone() for name, tensor in zip(names, tensors, strict=True)}

    def state(self, position: int) -> dict[str, Tensor]:
        """All that the training of one lane depends on, without its padding."""
        seat, weights = self._seats[position], self._network.weights
        network = zip(seat.weight_names, weights.network(position), strict=True)
        memory = optimizer_state(seat.optimizer, partial(weights.trim, position))
        return {
            **named("network", dict(network)),
            **named("optimizer", memory),
            "dropout": seat.generator.get_state(),
            **self._sums.lane(position),
        }

    def load_state(self, position: int, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        seat, weights = self._seats[position], self._network.weights
        network = part("network", state)
        for name, tensor in zip(seat.weight_names, weights.network(position), strict=True):
            fill(tensor, network[name])
        trim = partial(weights.trim, position)
        load_optimizer(seat.optimizer, part("optimizer", state), trim)
        seat.generator.set_state(state["dropout"])
        for name, tensor in self._sums.lane(position).items():
            fill(tensor, state[name])
        for call in self._network.copy_weights():
            call()

    def keep(self, positions: Sequence[int]) -> None:
        """Let the other lanes go and close the gaps."""
        old, chosen = self._network, list(positions)
        self.lanes = [self.lanes[position] for position in chosen]
        self._seats = [self._seats[position] for position in chosen]
        self._sums = self._sums.keep(chosen)
        self._rates = self._rates[:, chosen]
        self._network = self._build_network()
        for position, former in enumerate(chosen):
            self._network.load(position, old.weights.network(former))
        self._prepare()

    def _build_network(self) -> StackedMLP:
        batches = self._batches
        return StackedMLP(
            [lane.config for lane in self.lanes],
            num_inputs=batches.num_inputs,
            num_classes=batches.num_classes,
            device=batches.device,
            dtype=batches.precision.weights,
            product_dtype=batches.precision.products,
        )

    def _seat(self, position: int) -> _Seat:
        """Draw a lane's initial weights as the reference draws them."""
        lane, batches = self.lanes[position], self._batches
        torch.manual_seed(lane.config.seed)
        model = build_mlp(
            lane.config, num_inputs=batches.num_inputs, num_classes=batches.num_classes
        )
        lane.num_parameters = sum(p.numel() for p in model.parameters())
        self._network.load(position, list(model.parameters()))
        return _Seat(
            lane,
            dropout_generator(lane.config.seed, batches.device),
            build_optimizer(self._network.weights.lane(position), lane.config),
            tuple(model.state_dict()),
        )

    def _prepare(self) -> None:
        """Forget the programs of the former stack."""
        for position, seat in enumerate(self._seats):
            self._network.set_dropout(position, seat.generator)
        for call in self._network.copy_weights():
            call()
        self._steps: dict[int, _Step] = {}
        self._checks: dict[int, _Check] = {}


class _Step:
    """One training step for one number of images."""

    def __init__(
        self,
        network: StackedMLP,
        batches: Batches,
        seats: Sequence[_Seat],
        rows: Tensor,
        sums: _Sums,
    ) -> None:
        space = Workspace(network, len(rows))
        dtype = batches.precision.weights
        self._rows = torch.empty_like(rows)
        losses = torch.zeros(len(seats), dtype=dtype, device=batches.device)
        num_correct = torch.zeros_like(sums.num_correct, dtype=torch.int64)
        rate_dtype = torch.float64 if batches.device.type == "cpu" else torch.float32
        self._rates = torch.zeros(len(seats), dtype=rate_dtype, device=batches.device)
        conversion, logits = exact_logits(space, dtype)
        loss, logarithms = cross_entropy(logits, space.labels, losses)
        program: Program = [
            *batches.read(batches.train, self._rows, space.inputs, space.labels),
            *network.forward(space, training=True),
            *conversion,
            *loss,
            partial(sums.losses.add_, losses),
            *count_correct(logits, space.labels, num_correct),
            partial(sums.num_correct.add_, num_correct),
            *cross_entropy_gradients(space, logarithms),
            *network.backward(space),
        ]
        for position, seat in enumerate(seats):
            program.append(
                partial(
                    seat.optimizer.step,
                    network.weights.lane(position),
                    network.gradients.lane(position),
                    self._rates[position],
                )
            )
        program += network.copy_weights()
        self._program = RepeatedProgram(program, batches.device, [seat.generator for seat in seats])

    def run(self, rows: Tensor, rates: Tensor) -> None:
        """Train on these images, at a rate for each lane."""
        self._rows.copy_(rows)
        self._rates.copy_(rates)
        self._program.run()


class _Check:
    """The validation of one number of images."""

    def __init__(self, network: StackedMLP, batches: Batches, rows: Tensor) -> None:
        space = Workspace(network, len(rows))
        dtype = batches.precision.weights
        self.logits = space.logits
        self._rows = torch.empty_like(rows)
        self._losses = torch.zeros(network.num_lanes, dtype=dtype, device=batches.device)
        conversion, logits = exact_logits(space, dtype)
        loss, _ = cross_entropy(logits, space.labels, self._losses)
        program: Program = [
            *batches.read(batches.validation, self._rows, space.inputs, space.labels),
            *network.forward(space, training=False),
            *conversion,
            *loss,
        ]
        self._program = RepeatedProgram(program, batches.device)

    def run(self, rows: Tensor) -> Tensor:
        """Measure on these images; the sum of each lane's losses over them, shape (K,)."""
        self._rows.copy_(rows)
        self._program.run()
        return self._losses
