"""The stacked network against the reference, lane by lane; what is padding stays nothing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch
from helpers import make_config
from torch import Tensor
from torch.nn import functional

from sweep.models import ACTIVATIONS, MLP, Program, StackedMLP, Workspace, build_mlp, stack_order
from sweep.models.layout import plan_blocks
from sweep.models.stack_tensors import StackTensors
from sweep.records import TrialConfig
from sweep.training.losses import cross_entropy, cross_entropy_gradients, exact_logits
from sweep.training.optimizers import build_optimizer

NUM_INPUTS, NUM_CLASSES, BATCH = 12, 5, 9
CPU = torch.device("cpu")
DEPTHS = range(1, 7)
SIZES = {"unpadded": 16, "padded": 19, "padded more": 33}  # 33 becomes 36
OPTIMIZERS = ("adamw", "adam", "sgd")


def run(program: Program) -> None:
    for call in program:
        call()


def mixture() -> list[TrialConfig]:
    """Every activation with every depth; widths, dropout and optimisers in turn."""
    sizes = itertools.cycle((16, 33, 19, 17, 36))
    dropout = itertools.cycle((0.0, 0.4, 0.2))
    optimizers = itertools.cycle(OPTIMIZERS)
    return [
        make_config(
            number=number,
            seed=100 + number,
            activation=activation,
            num_layers=depth,
            layer_size=next(sizes),
            dropout=next(dropout),
            optimizer=next(optimizers),
        )
        for number, (activation, depth) in enumerate(itertools.product(ACTIVATIONS, DEPTHS))
    ]


@dataclass
class Stack:
    """A stacked network beside the networks that it stands for."""

    configs: list[TrialConfig]
    network: StackedMLP
    models: list[MLP]
    space: Workspace

    @classmethod
    def of(
        cls,
        configs: Sequence[TrialConfig],
        dtype: torch.dtype = torch.float64,
        product_dtype: torch.dtype | None = None,
    ) -> Stack:
        ordered = sorted(configs, key=stack_order)
        network = StackedMLP(
            ordered,
            num_inputs=NUM_INPUTS,
            num_classes=NUM_CLASSES,
            device=CPU,
            dtype=dtype,
            product_dtype=product_dtype or dtype,
        )
        models = []
        for position, config in enumerate(ordered):
            torch.manual_seed(config.seed)
            masks = torch.Generator().manual_seed(config.seed)
            model = build_mlp(
                config, num_inputs=NUM_INPUTS, num_classes=NUM_CLASSES, generator=masks
            ).to(dtype)
            models.append(model)
            network.load(position, model)
            network.set_dropout(position, torch.Generator().manual_seed(config.seed))
        run(network.copy_weights())
        space = Workspace(network, BATCH)
        generator = torch.Generator().manual_seed(0)
        inputs = torch.randn(BATCH, NUM_INPUTS, generator=generator, dtype=torch.float64)
        space.inputs.copy_(inputs)
        space.labels.copy_(torch.randint(NUM_CLASSES, (BATCH,), generator=generator))
        return cls(ordered, network, models, space)

    def training(self) -> Program:
        """One step without its update: forward, mean cross-entropy of each lane, backward."""
        exact = self.network.weights.first_weight.dtype
        losses = torch.empty(len(self.configs), dtype=exact)
        forward = self.network.forward(self.space, training=True)
        conversion, logits = exact_logits(self.space, exact)
        loss, logarithms = cross_entropy(logits, self.space.labels, losses)
        gradients = cross_entropy_gradients(self.space, logarithms)
        return [*forward, *conversion, *loss, *gradients, *self.network.backward(self.space)]

    def reference_gradients(self, model: MLP) -> list[Tensor]:
        """Autograd's gradients of the mean cross-entropy, in the order of the parameters."""
        inputs = self.space.inputs.to(next(model.parameters()).dtype)
        loss = functional.cross_entropy(model(inputs), self.space.labels)
        return list(torch.autograd.grad(loss, list(model.parameters())))

    def padding(self) -> list[Tensor]:
        """For each tensor of the stack, True where there is no weight of any network."""
        marks = StackTensors(
            plan_blocks(self.configs, NUM_CLASSES),
            num_inputs=NUM_INPUTS,
            num_classes=NUM_CLASSES,
            device=CPU,
            dtype=torch.bool,
        )
        for position in range(len(self.configs)):
            for used in marks.network(position):
                used.fill_(True)
        return [~tensor for tensor in marks.tensors()]


# ---------------------------------------------------------------- forward


def test_every_lane_gives_what_its_network_gives():
    stack = Stack.of(mixture())
    run(stack.network.forward(stack.space, training=False))
    for position, model in enumerate(stack.models):
        model.eval()
        expected = model(stack.space.inputs)
        torch.testing.assert_close(stack.space.logits[position].T, expected, rtol=1e-12, atol=1e-12)


def test_while_training_every_lane_draws_the_masks_of_its_network():
    stack = Stack.of(mixture())
    program = stack.network.forward(stack.space, training=True)
    seen = []
    for _ in range(3):
        run(program)
        for position, model in enumerate(stack.models):
            expected = model(stack.space.inputs)
            torch.testing.assert_close(
                stack.space.logits[position].T, expected, rtol=1e-12, atol=1e-12
            )
        seen.append(stack.space.logits.clone())
    changed = (seen[0] != seen[1]).flatten(1).any(1).tolist()
    assert changed == [c.dropout > 0 and c.num_layers > 1 for c in stack.configs]


def test_validation_drops_nothing_even_after_training():
    stack = Stack.of(mixture())
    run(stack.training())
    check = Workspace(stack.network, 4)
    check.inputs.copy_(stack.space.inputs[:4])
    run(stack.network.forward(check, training=False))
    for position, model in enumerate(stack.models):
        model.eval()
        torch.testing.assert_close(
            check.logits[position].T, model(check.inputs), rtol=1e-12, atol=1e-12
        )


def test_each_lane_computes_what_it_computes_alone():
    together = Stack.of(mixture())
    run(together.network.forward(together.space, training=True))
    for position, config in enumerate(together.configs):
        alone = Stack.of([config])
        run(alone.network.forward(alone.space, training=True))
        torch.testing.assert_close(
            together.space.logits[position], alone.space.logits[0], rtol=1e-12, atol=1e-12
        )


# ---------------------------------------------------------------- gradients


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_one_steps_gradients_are_autograds(activation, depth, size):
    """float64; lanes with and without dropout in one block."""
    kind = make_config(activation=activation, num_layers=depth, layer_size=size)
    changes = [{"dropout": 0.0}, {"dropout": 0.4}, {"dropout": 0.1, "layer_size": 16}]
    stack = Stack.of(
        [make_config(**{**kind.params, "number": n, "seed": n, **c}) for n, c in enumerate(changes)]
    )
    run(stack.training())
    for position, model in enumerate(stack.models):
        ours = stack.network.gradients.network(position)
        for mine, theirs in zip(ours, stack.reference_gradients(model), strict=True):
            assert theirs.abs().sum() > 0
            torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-13)


def test_the_gradients_of_a_mixture_are_autograds_every_time():
    stack = Stack.of(mixture())
    program = stack.training()
    for _ in range(3):  # nothing of the last time is left over, and masks are new
        run(program)
        for position, model in enumerate(stack.models):
            ours = stack.network.gradients.network(position)
            for mine, theirs in zip(ours, stack.reference_gradients(model), strict=True):
                torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-13)


def test_gradients_in_bfloat16_are_those_of_autocast():
    """Within 2 % of each tensor's norm: both round alike, but may add up in another order."""
    stack = Stack.of(mixture(), torch.float32, torch.bfloat16)
    run(stack.training())
    for position, model in enumerate(stack.models):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(stack.space.inputs)
        loss = functional.cross_entropy(logits.float(), stack.space.labels)
        expected = torch.autograd.grad(loss, list(model.parameters()))
        ours = stack.network.gradients.network(position)
        for mine, theirs in zip(ours, expected, strict=True):
            assert mine.dtype is torch.float32
            assert (mine - theirs).norm() <= 0.02 * theirs.norm()


def test_gradients_in_bfloat16_are_near_those_of_float32():
    """Within 3 % of each tensor's norm. Not where rounding may carry a unit across a kink."""
    smooth = [config for config in mixture() if config.activation in ("sigmoid", "tanh")]
    stack = Stack.of(smooth, torch.float32, torch.bfloat16)
    run(stack.training())
    for position, model in enumerate(stack.models):
        ours = stack.network.gradients.network(position)
        for mine, theirs in zip(ours, stack.reference_gradients(model), strict=True):
            assert 0 < (mine - theirs).norm() <= 0.03 * theirs.norm()


def test_products_in_bfloat16_read_the_weights_that_were_last_copied():
    stack = Stack.of(mixture(), torch.float32, torch.bfloat16)
    program = stack.network.forward(stack.space, training=False)
    run(program)
    before = stack.space.logits.clone()
    for tensor in stack.network.weights.tensors():
        tensor.mul_(2)
    run(program)
    assert torch.equal(before, stack.space.logits)
    run([*stack.network.copy_weights(), *program])
    assert not torch.equal(before, stack.space.logits)
    for position, model in enumerate(stack.models):
        model.eval()
        for parameter in model.parameters():
            parameter.data.mul_(2)
        expected = model(stack.space.inputs.float())
        error = (stack.space.logits[position].T - expected).abs().max()
        assert error <= 0.05 * expected.abs().max()


# ---------------------------------------------------------------- tensors


def test_a_lane_comes_back_as_it_was_loaded():
    stack = Stack.of(mixture())
    for position, model in enumerate(stack.models):
        ours = stack.network.weights.network(position)
        for mine, theirs in zip(ours, model.parameters(), strict=True):
            assert torch.equal(mine, theirs)


def test_parameters_load_like_the_network_they_belong_to():
    stack, other = Stack.of(mixture()), Stack.of(mixture())
    for position, model in enumerate(stack.models):
        for tensor in other.network.weights.lane(position):
            tensor.zero_()
        other.network.load(position, list(model.parameters()))
    for ours, theirs in zip(
        stack.network.weights.tensors(), other.network.weights.tensors(), strict=True
    ):
        assert torch.equal(ours, theirs)


def test_a_network_of_another_depth_is_refused():
    stack = Stack.of([make_config(number=n, num_layers=n + 2, layer_size=16) for n in range(2)])
    deep, shallow = stack.models
    with pytest.raises(ValueError, match="argument"):
        stack.network.load(0, [*deep.parameters()][:-1])
    with pytest.raises((ValueError, RuntimeError), match=r"argument|size of tensor"):
        stack.network.load(0, shallow)


def test_lanes_are_contiguous_disjoint_and_all_there_is():
    stack = Stack.of(mixture())
    tensors = stack.network.weights
    for position in range(len(stack.configs)):
        for view in tensors.lane(position):
            assert view.is_contiguous()
            view.add_(1000)
    assert all(((t > 500) & (t < 1500)).all() for t in tensors.tensors())


def test_a_lane_beyond_the_last_is_an_error():
    stack = Stack.of(mixture()[:3])
    with pytest.raises(IndexError, match="no lane 3"):
        stack.network.weights.lane(3)


# ---------------------------------------------------------------- padding


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    "precision", [(torch.float32, torch.float32), (torch.float32, torch.bfloat16)], ids=str
)
def test_padding_stays_exactly_zero(optimizer, precision):
    """Fifty steps; half of a sigmoid's zero must reach neither a weight nor a gradient."""
    configs = [
        make_config(
            number=number, seed=number, activation="sigmoid", num_layers=layers, layer_size=size,
            dropout=dropout, optimizer=optimizer, weight_decay=0.1,
        )
        for number, (layers, size, dropout) in enumerate(
            itertools.product((2, 3, 5), (16, 17, 33), (0.0, 0.5))
        )
    ]  # fmt: skip
    stack = Stack.of(configs, *precision)
    network = stack.network
    padding = stack.padding()
    assert all(mark.any() for mark in padding[:2])
    optimizers = [
        build_optimizer(network.weights.lane(n), config) for n, config in enumerate(stack.configs)
    ]
    before = [tensor.clone() for tensor in network.weights.tensors()]
    program = stack.training()
    for _ in range(50):
        run(program)
        for mark, tensor in zip(padding, network.gradients.tensors(), strict=True):
            assert not tensor[mark].any()
        for position, each in enumerate(optimizers):
            each.step(
                network.weights.lane(position),
                network.gradients.lane(position),
                torch.tensor(0.01, dtype=torch.float64),
            )
        run(network.copy_weights())
    for mark, tensor, start in zip(padding, network.weights.tensors(), before, strict=True):
        assert not tensor[mark].any()
        assert (tensor != start)[~mark].float().mean() > 0.95, "the test needs weights that move"


# ---------------------------------------------------------------- neighbours


@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf, 3e38])
def test_a_lane_that_is_not_finite_never_touches_its_neighbours(poison):
    """Each lane in turn; all others stay what they are, to the last bit."""
    configs = mixture()[:14]
    healthy = Stack.of(configs, torch.float32)
    run(healthy.training())
    for sick in range(len(configs)):
        stack = Stack.of(configs, torch.float32)
        for tensor in stack.network.weights.network(sick):
            tensor.fill_(poison)
        run(stack.training())
        broken = [*stack.network.gradients.network(sick), stack.space.logits[sick]]
        assert not all(tensor.isfinite().all() for tensor in broken), "the test needs a sick lane"
        for position in set(range(len(configs))) - {sick}:
            assert torch.equal(stack.space.logits[position], healthy.space.logits[position])
            for ours, theirs in zip(
                stack.network.gradients.lane(position),
                healthy.network.gradients.lane(position),
                strict=True,
            ):
                assert torch.equal(ours, theirs)
