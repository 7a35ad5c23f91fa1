"""The stacked network against the reference, lane by lane; what is padding stays nothing."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
import torch
from helpers import changed, flat_spec, make_config
from torch import Tensor
from torch.nn import functional

from sweep.definitions import Recipe, view
from sweep.families.activations import ACTIVATIONS
from sweep.families.mlp import FAMILY, MLP, StackedMLP
from sweep.records import DataSpec, TrialConfig
from sweep.training.groups import drawing_from
from sweep.training.optimizers import build_optimizer
from sweep.training.stacked import cross_entropies

NUM_INPUTS, NUM_CLASSES, BATCH = 12, 5, 9
SPEC = flat_spec(NUM_INPUTS, NUM_CLASSES)
CPU = torch.device("cpu")
DEPTHS = range(1, 6)
EXACT = {"rtol": 1e-11, "atol": 1e-11}
SIZES = {"unpadded": 16, "padded": 19, "padded more": 33}  # 33 becomes 36
OPTIMIZERS = ("adamw", "adam", "sgd")
NORMALIZATIONS = ("none", "batch", "layer")


def mixture() -> list[TrialConfig]:
    """Every activation with every depth; the rest at random."""
    dice = random.Random(3)  # noqa: S311
    return [
        make_config(
            number=number,
            seed=100 + number,
            activation=activation,
            num_layers=depth,
            layer_size=dice.choice((16, 33, 19, 17, 36)),
            width_shape=dice.choice(("constant", "pyramid")),
            normalization=dice.choice(NORMALIZATIONS),
            dropout=dice.choice((0.0, 0.4, 0.2)),
        )
        for number, (activation, depth) in enumerate(itertools.product(ACTIVATIONS, DEPTHS))
    ]


@dataclass
class Stack:
    """A stacked network beside the networks that it stands for."""

    configs: list[TrialConfig]
    network: StackedMLP
    models: list[MLP]
    generators: list[torch.Generator]
    model_generators: list[torch.Generator]
    inputs: Tensor
    labels: Tensor
    has_own_inputs: bool = False

    @classmethod
    def of(
        cls,
        configs: Sequence[TrialConfig],
        dtype: torch.dtype = torch.float64,
        spec: DataSpec = SPEC,
    ) -> Stack:
        ordered = sorted(configs, key=lambda c: (FAMILY.stack_key(c.params), c.number))
        params = [config.params for config in ordered]
        network = FAMILY.stack(params, spec, device=CPU, dtype=dtype)
        models = []
        for position, config in enumerate(ordered):
            torch.manual_seed(config.seed)
            model = FAMILY.build(config.params, spec).to(dtype)
            models.append(model)
            ours = [
                *network.trim(position, network.weights[position]),
                *network.buffers[position],
            ]
            theirs = [*model.parameters(), *model.buffers()]
            for mine, initial in zip(ours, theirs, strict=True):
                mine.copy_(initial.detach())
        generator = torch.Generator().manual_seed(0)
        inputs = torch.randn(BATCH, NUM_INPUTS, generator=generator, dtype=torch.float64)
        return cls(
            ordered,
            network,
            models,
            *(
                [torch.Generator().manual_seed(config.seed) for config in ordered]
                for _ in ("stacked", "alone")
            ),
            inputs.to(dtype),
            torch.randint(NUM_CLASSES, (BATCH,), generator=generator),
        )

    def logits(self, *, training: bool, bfloat16: bool = False) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
            return self.network.forward(self.inputs, self.generators if training else None)

    def gradients(self, *, bfloat16: bool = False) -> list[Tensor]:
        """Of the sum of all lanes' mean cross-entropies, shaped like the stack's parameters."""
        logits = self.logits(training=True, bfloat16=bfloat16).to(self.inputs.dtype)
        loss = cross_entropies(logits, self.labels).sum() / len(self.labels)
        return list(torch.autograd.grad(loss, self.network.parameters))

    def lanes(self, tensors: Sequence[Tensor]) -> list[list[Tensor]]:
        """Each lane's part of them, without padding."""
        return [self.network.trim(n, views) for n, views in enumerate(self.network.lanes(tensors))]

    def reference_logits(self, position: int) -> Tensor:
        """What one network gives, shape (B, C)."""
        inputs = self.inputs[position] if self.has_own_inputs else self.inputs
        with drawing_from(self.model_generators[position]):
            return self.models[position](inputs)

    def reference_gradients(self, position: int, *, bfloat16: bool = False) -> list[Tensor]:
        """Of one network's mean cross-entropy, in the order of its parameters."""
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
            logits = self.reference_logits(position)
        model = self.models[position]
        loss = functional.cross_entropy(logits.to(self.inputs.dtype), self.labels)
        return list(torch.autograd.grad(loss, list(model.parameters())))

    def padding(self) -> list[Tensor]:
        """For each tensor of the stack, True where there is no weight of any network."""
        marks = [torch.ones_like(p, dtype=torch.bool) for p in self.network.parameters]
        for views in self.lanes(marks):
            for used in views:
                used.fill_(False)
        return marks


# ---------------------------------------------------------------- forward


def test_every_lane_gives_what_its_network_gives():
    """After some steps, which change the running means of batch normalisation."""
    stack = Stack.of(mixture())
    for _ in range(3):
        stack.logits(training=True)
        for position in range(len(stack.models)):
            stack.reference_logits(position)
    for position, logits in enumerate(stack.logits(training=False)):
        model = stack.models[position].eval()
        torch.testing.assert_close(logits.T, stack.reference_logits(position), **EXACT)
        for ours, theirs in zip(stack.network.buffers[position], model.buffers(), strict=True):
            assert ours.shape == theirs.shape
            torch.testing.assert_close(ours, theirs, **EXACT)
    num_buffers = [len(buffers) for buffers in stack.network.buffers]
    assert num_buffers == [
        3 * (c.params["num_layers"] - 1) * (c.params["normalization"] == "batch")
        for c in stack.configs
    ]


def test_while_training_every_lane_draws_the_masks_of_its_network():
    stack = Stack.of(mixture())
    seen = []
    for _ in range(3):
        seen.append(stack.logits(training=True))
        for position, logits in enumerate(seen[-1]):
            torch.testing.assert_close(logits.T, stack.reference_logits(position), **EXACT)
    changed = (seen[0] != seen[1]).flatten(1).any(1).tolist()
    assert changed == [
        c.params["dropout"] > 0 and c.params["num_layers"] > 1 for c in stack.configs
    ]


def test_validation_draws_and_updates_nothing():
    stack = Stack.of(mixture())
    before = [generator.get_state() for generator in stack.generators]
    buffers = [buffer.clone() for lane in stack.network.buffers for buffer in lane]
    assert torch.equal(stack.logits(training=False), stack.logits(training=False))
    for generator, state in zip(stack.generators, before, strict=True):
        assert torch.equal(generator.get_state(), state)
    for ours, theirs in zip(itertools.chain(*stack.network.buffers), buffers, strict=True):
        assert torch.equal(ours, theirs)


def test_each_lane_computes_what_it_computes_alone():
    together = Stack.of(mixture())
    for config, logits in zip(together.configs, together.logits(training=True), strict=True):
        (alone,) = Stack.of([config]).logits(training=True)
        torch.testing.assert_close(logits, alone, **EXACT)


@pytest.mark.parametrize("shape", [(NUM_INPUTS,), (1, 3, 4)], ids=["flat", "image"])
def test_every_lane_may_have_its_own_inputs(shape):
    """A lane computes with the inputs of its own what its network computes with them."""
    stack = Stack.of(mixture()[3::4], spec=replace(SPEC, input_shape=shape))
    stack.has_own_inputs = True
    stack.inputs = torch.randn(len(stack.models), BATCH, *shape, dtype=torch.float64)
    for position, ours in enumerate(stack.lanes(stack.gradients())):
        for mine, theirs in zip(ours, stack.reference_gradients(position), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("num_layers", [1, 2, 4])
def test_the_smallest_of_everything(num_layers, normalization):
    """One lane, one unit, two examples."""
    config = make_config(num_layers=num_layers, layer_size=1, normalization=normalization)
    stack = Stack.of([config])
    stack.inputs, stack.labels = stack.inputs[:2], stack.labels[:2]
    (ours,) = stack.lanes(stack.gradients())
    for mine, theirs in zip(ours, stack.reference_gradients(0), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-13)


def test_one_example_has_no_variance_in_a_batch():
    stack = Stack.of([make_config(normalization="batch")])
    stack.inputs, stack.labels = stack.inputs[:1], stack.labels[:1]
    for forward in (lambda: stack.logits(training=True), lambda: stack.reference_logits(0)):
        with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
            forward()
    assert stack.logits(training=False).isfinite().all()


# ---------------------------------------------------------------- gradients


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("depth", [1, 2, 4])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_gradients_of_a_lane_are_those_of_its_network(activation, depth, size):
    """float64; lanes with and without dropout in one block."""
    kind = make_config(activation=activation, num_layers=depth, layer_size=size)
    changes = [{"dropout": 0.0}, {"dropout": 0.4}, {"dropout": 0.1, "layer_size": 16}]
    stack = Stack.of(
        [make_config(**{**kind.params, "number": n, "seed": n, **c}) for n, c in enumerate(changes)]
    )
    for position, ours in enumerate(stack.lanes(stack.gradients())):
        for mine, theirs in zip(ours, stack.reference_gradients(position), strict=True):
            assert theirs.abs().sum() > 0
            torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-13)


def test_the_gradients_of_a_mixture_are_those_of_its_networks_every_time():
    stack = Stack.of(mixture())
    for _ in range(3):  # masks are new
        for position, ours in enumerate(stack.lanes(stack.gradients())):
            for mine, theirs in zip(ours, stack.reference_gradients(position), strict=True):
                torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-13)


def test_gradients_in_bfloat16_are_those_of_autocast():
    """Within 2 % of each tensor's norm: both round alike, but may add up in another order."""
    stack = Stack.of(mixture(), torch.float32)
    lanes = stack.lanes(stack.gradients(bfloat16=True))
    for position, ours in enumerate(lanes):
        expected = stack.reference_gradients(position, bfloat16=True)
        for mine, theirs in zip(ours, expected, strict=True):
            assert mine.dtype is torch.float32
            assert (mine - theirs).norm() <= 0.02 * theirs.norm()


def test_gradients_in_bfloat16_are_near_those_of_float32():
    """Within 3 % of each tensor's norm. Not where rounding may carry a unit across a kink."""
    smooth = [
        changed(config, normalization="none")
        for config in mixture()
        if config.params["activation"] in ("sigmoid", "tanh")
    ]
    stack = Stack.of(smooth, torch.float32)
    lanes = stack.lanes(stack.gradients(bfloat16=True))
    for position, ours in enumerate(lanes):
        for mine, theirs in zip(ours, stack.reference_gradients(position), strict=True):
            assert 0 < (mine - theirs).norm() <= 0.03 * theirs.norm()


def test_in_bfloat16_dropout_scales_by_the_exact_factor():
    """1 / 0.9 is 1.1111, and 1.109 in bfloat16: a weight of 1 shows what the output layer reads."""
    config = make_config(activation="sigmoid", num_layers=2, layer_size=16, dropout=0.1)
    stack = Stack.of([config], torch.float32)
    with torch.no_grad():
        for parameter, value in zip(stack.network.parameters, (0, 1, 0, 0), strict=True):
            parameter.fill_(value)
        stack.network.parameters[2][:, :, 0] = 1
    seen = stack.logits(training=True, bfloat16=True).float()
    output = torch.sigmoid(torch.tensor(1.0, dtype=torch.bfloat16)).float()
    assert set(seen.flatten().tolist()) <= {0.0, (output / 0.9).to(torch.bfloat16).item()}
    assert seen.any()


# ---------------------------------------------------------------- another activation


@pytest.mark.parametrize("module", [torch.nn.GELU, torch.nn.Softplus, torch.nn.ELU])
def test_an_activation_needs_nothing_but_its_name(monkeypatch, module):
    """Softplus makes 0.69 of a zero."""
    monkeypatch.setitem(ACTIVATIONS, "another", module)
    configs = [
        make_config(number=n, seed=n, activation=name, num_layers=3, layer_size=size)
        for n, (name, size) in enumerate(itertools.product(("another", "relu"), (33, 36)))
    ]
    stack = Stack.of(configs)
    gradients = stack.gradients()
    for position, ours in enumerate(stack.lanes(gradients)):
        for mine, theirs in zip(ours, stack.reference_gradients(position), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-13)
    for mark, gradient in zip(stack.padding(), gradients, strict=True):
        assert not gradient[mark].any()


# ---------------------------------------------------------------- tensors


def test_every_parameter_is_a_leaf_that_takes_part():
    stack = Stack.of(mixture())
    assert all(p.is_leaf and p.requires_grad for p in stack.network.parameters)
    assert all(gradient.any() for gradient in stack.gradients())


def test_a_lane_has_the_shapes_of_its_network():
    stack = Stack.of(mixture())
    for ours, model in zip(stack.lanes(stack.network.parameters), stack.models, strict=True):
        assert [t.shape for t in ours] == [p.shape for p in model.parameters()]


@pytest.mark.parametrize("what", ["weights", "gradients"])
def test_lanes_are_contiguous_disjoint_and_all_there_is(what):
    """The optimisers' kernels read memory from the first to the last number."""
    stack = Stack.of(mixture())
    network = stack.network
    tensors = [p.detach() for p in network.parameters] if what == "weights" else stack.gradients()
    for views in network.lanes(tensors):
        for part in views:
            assert part.is_contiguous()
            part.add_(1000)
    assert all(((t > 500) & (t < 1500)).all() for t in tensors)
    if what == "weights":
        assert all((view > 500).all() for views in network.weights for view in views)


# ---------------------------------------------------------------- padding


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("bfloat16", [False, True], ids=["float32", "bfloat16"])
def test_padding_stays_exactly_zero(optimizer, bfloat16):
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
    stack = Stack.of(configs, torch.float32)
    network = stack.network
    padding = stack.padding()
    is_padded = {mark.shape[-1] == 1: mark.any() for mark in padding if mark.any()}
    assert len(is_padded) == 2, "the test needs padding in weights and in biases"
    optimizers = [
        build_optimizer(network.weights[n], view(Recipe, config.params))
        for n, config in enumerate(stack.configs)
    ]
    before = [tensor.detach().clone() for tensor in network.parameters]
    for _ in range(50):
        gradients = stack.gradients(bfloat16=bfloat16)
        for mark, gradient in zip(padding, gradients, strict=True):
            assert not gradient[mark].any()
        lanes = zip(optimizers, network.weights, network.lanes(gradients), strict=True)
        for each, weights, lane in lanes:
            each.step(weights, lane, torch.tensor(0.01, dtype=torch.float64))
    for mark, tensor, start in zip(padding, network.parameters, before, strict=True):
        assert not tensor[mark].any()
        assert (tensor != start)[~mark].float().mean() > 0.95, "the test needs weights that move"


# ---------------------------------------------------------------- neighbours


@pytest.mark.slow
@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf, 3e38])
def test_a_lane_that_is_not_finite_never_touches_its_neighbours(poison):
    """Each lane in turn; all others stay what they are, to the last bit."""
    configs = mixture()[:14]
    healthy = Stack.of(configs, torch.float32)
    expected_logits = healthy.logits(training=False)
    expected = healthy.network.lanes(healthy.gradients())
    for sick in range(len(configs)):
        stack = Stack.of(configs, torch.float32)
        for tensor in stack.network.trim(sick, stack.network.weights[sick]):
            tensor.fill_(poison)
        logits = stack.logits(training=False)
        lanes = stack.network.lanes(stack.gradients())
        broken = [*stack.network.trim(sick, lanes[sick]), logits[sick]]
        assert not all(tensor.isfinite().all() for tensor in broken), "the test needs a sick lane"
        for position in set(range(len(configs))) - {sick}:
            assert torch.equal(logits[position], expected_logits[position])
            for ours, theirs in zip(lanes[position], expected[position], strict=True):
                assert torch.equal(ours, theirs)
