"""The stacked group against the sequential one: lane by lane, step by step.

The same initial weights, batches and dropout give the same losses and weights. Tolerances, of
losses and weights alike, absolute and relative: 1e-12 in float64, where rounding cannot hide a
mistake, and 5e-5 in float32. Measured after 200 steps: 1e-15 and 1e-6.
"""

from __future__ import annotations

import functools
import gc
import itertools
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from driving import MLP, make_group
from helpers import make_config
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sweep.data import TrainingData
from sweep.definitions import STRENGTHS, MlpParameters, Recipe, view
from sweep.families.activations import ACTIVATIONS
from sweep.records import TrialConfig
from sweep.training.groups import Group
from sweep.training.lane import Measurement
from sweep.training.learning_rates import SCHEDULES

TOLERANCES = {"float64": 1e-12, "float32": 5e-5}
OPTIMIZERS = {
    "adamw": 2e-3, "adam": 2e-3, "sgd": 2e-2, "rmsprop": 1e-3, "nadam": 2e-3, "muon": 2e-3,
}  # fmt: skip
PARTS: tuple[dict[str, float], ...] = (
    {},
    {"gradient_clip": 0.3},
    {"max_norm": 0.7},
    {"weight_averaging": 0.9},
    {"gradient_clip": 1.0, "max_norm": 1.0, "weight_averaging": 0.7, "warmup": 0.1},
    {},
    {"input_noise": 0.1, "input_dropout": 0.2},
    {},
    {"input_noise": 0.2, "weight_averaging": 0.5},
    {"gradient_clip": 0.5, "input_dropout": 0.1},
    {},
)
"""Eleven, so that all of them meet all else."""
BATCH_SIZE = 16  # 120 images: seven full batches an epoch and one of half the size


def mixture() -> list[TrialConfig]:
    """Every activation with every depth; the rest in turn, so that all of it meets."""
    sizes = itertools.cycle((16, 33, 8, 19, 36, 24))
    optimizers = itertools.cycle((*OPTIMIZERS, "muon"))
    schedules = itertools.cycle((*SCHEDULES, "cosine"))
    dropout = itertools.cycle((0.0, 0.3, 0.0, 0.1, 0.6, 0.0, 0.2, 0.0, 0.5))
    augmentations = itertools.cycle(STRENGTHS)
    decay, momentum = itertools.cycle((0.0, 1e-4, 0.05)), itertools.cycle((0.9, 0.0))
    shapes = itertools.cycle(("constant", "pyramid", "pyramid", "constant"))
    normalization = itertools.cycle(("none", "batch", "layer"))
    parts = itertools.cycle(PARTS)
    configs = []
    for number, (activation, depth) in enumerate(itertools.product(ACTIVATIONS, (1, 2, 3, 4, 6))):
        optimizer = next(optimizers)
        config = make_config(
            number=number,
            seed=1000 + number,
            activation=activation,
            num_layers=depth,
            layer_size=next(sizes),
            optimizer=optimizer,
            learning_rate=OPTIMIZERS[optimizer],
            learning_rate_schedule=next(schedules),
            dropout=next(dropout),
            weight_decay=next(decay),
            momentum=next(momentum),
            width_shape=next(shapes),
            normalization=next(normalization),
            augmentation=next(augmentations),
            flip="horizontal" if number % 3 == 0 else "none",
            epochs=27,
            **next(parts),
            batch_size=BATCH_SIZE,
        )
        configs.append(config)
    return configs


MIXTURE = mixture()
SOME = [MIXTURE[n] for n in (1, 7, 9, 11, 12, 14, 20, 24)]


class Course:
    """A group that is trained for a number of steps, over as many epochs as that takes."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.steps = 0

    def go(self, steps: int) -> Course:
        for _ in range(steps):
            index = self.steps % self.group.num_steps
            if index == 0:
                for lane in self.group.lanes:
                    lane.epoch = self.steps // self.group.num_steps
                self.group.begin_epoch()
            self.group.step(index)
            self.steps += 1
        return self

    def result(self) -> dict[int, Result]:
        """What each trial gives here, by number."""
        measured = self.group.finish_epoch()
        return {
            lane.config.number: (measured[position], self.group.copy_weights(position))
            for position, lane in enumerate(self.group.lanes)
        }


Result = tuple[Measurement, dict[str, torch.Tensor]]
Alone = Callable[[int, int, str], Result]


@pytest.fixture(scope="module")
def small(small: TrainingData) -> TrainingData:
    """With grain on every training image, so that no pixel stays the same.

    Such a pixel is a bias. Batch normalisation takes it out again, so that the gradients of its
    weights are nothing but rounding, of which Adam makes steps.
    """
    dice = np.random.default_rng(1)
    images = small.train.inputs
    grain = dice.integers(0, 2, images.shape, dtype=images.dtype)
    return replace(small, train=replace(small.train, inputs=images + grain))


@pytest.fixture(scope="module")
def alone(small) -> Alone:
    """What the reference gives for a trial of the mixture after so many steps."""

    @functools.cache
    def trained(number: int, steps: int, precision: str) -> Result:
        config = next(config for config in MIXTURE if config.number == number)
        group = make_group("sequential", [config], small, precision)
        return Course(group).go(steps).result()[number]

    return trained


@pytest.fixture(scope="module")
def assert_as_alone(small, alone):
    """That the trials of a stack are what they are alone after so many steps."""
    labels = torch.tensor(small.validation.labels)

    def check(course: Course, precision: str) -> None:
        for number, (ours, weights) in course.result().items():
            tolerance = TOLERANCES[precision]
            config = next(config for config in MIXTURE if config.number == number)
            theirs, expected = alone(number, course.steps, precision)
            assert ours.learning_rate == pytest.approx(theirs.learning_rate, rel=tolerance), config
            for name in ("train_loss", "validation_loss"):
                value = pytest.approx(theirs.values[name], rel=tolerance, abs=tolerance)
                assert ours.values[name] == value, f"{name} of {config}"
            right = (ours.predictions == labels).double().mean().item()
            assert ours.values["validation_accuracy"] == pytest.approx(right)
            if precision == "float64":
                assert torch.equal(ours.predictions, theirs.predictions), config
                assert ours.values["train_accuracy"] == theirs.values["train_accuracy"], config
            # Rounding may turn one image of 120 that two classes claim.
            assert ours.values["train_accuracy"] == pytest.approx(
                theirs.values["train_accuracy"], abs=1.5 / 120
            )
            assert weights.keys() == expected.keys()
            if precision == "float32" and config.params["normalization"] == "layer":
                continue  # it magnifies rounding
            for name in expected:
                torch.testing.assert_close(
                    weights[name], expected[name], rtol=tolerance, atol=tolerance,
                    msg=lambda text, name=name, config=config: f"{name} of {config}: {text}",
                )  # fmt: skip

    return check


def stacked(configs: Sequence[TrialConfig], data, precision: str = "float64") -> Course:
    return Course(make_group("stacked", configs, data, precision))


def test_the_mixture_mixes():
    """Every optimiser with every schedule, with and without dropout and decay."""
    recipes = [view(Recipe, c.params) for c in MIXTURE]
    pairs = {(recipe.optimizer, recipe.learning_rate_schedule) for recipe in recipes}
    assert pairs == set(itertools.product(OPTIMIZERS, SCHEDULES))
    for optimizer in OPTIMIZERS:
        mine = [
            view(MlpParameters, c.params) for c in MIXTURE if c.params["optimizer"] == optimizer
        ]
        assert {n.dropout > 0 for n in mine if n.num_layers > 1} == {False, True}
        assert {n.layer_size for n in mine} >= {33, 16}
        assert {n.normalization for n in mine if n.num_layers > 1} == {"none", "batch", "layer"}
        assert {n.width_shape for n in mine if n.num_layers > 2} == {"constant", "pyramid"}


# ---------------------------------------------------------------- steps


@pytest.mark.parametrize(
    ("precision", "steps"),
    [
        *itertools.product(TOLERANCES, (1,)),
        *(pytest.param(each, 10, marks=pytest.mark.slow) for each in TOLERANCES),
        pytest.param("float64", 50, marks=pytest.mark.slow),
        *(pytest.param(each, 200, marks=pytest.mark.soak) for each in TOLERANCES),
    ],
)
def test_every_lane_is_what_it_is_alone(small, assert_as_alone, precision, steps):
    assert_as_alone(stacked(MIXTURE, small, precision).go(steps), precision)


@pytest.mark.parametrize("config", SOME, ids=lambda c: f"trial {c.number}")
@pytest.mark.parametrize("precision", TOLERANCES)
def test_a_stack_of_one_is_the_reference(small, assert_as_alone, precision, config):
    assert_as_alone(stacked([config], small, precision).go(10), precision)


@pytest.mark.slow
def test_bfloat16_is_the_autocast_of_the_reference(small, alone):
    """Both round alike, up to the order of sums: losses within 1 % after 20 steps."""
    result = stacked(MIXTURE, small, "bfloat16").go(20).result()
    for config in MIXTURE:
        theirs, weights = alone(config.number, 20, "bfloat16")
        ours, our_weights = result[config.number]
        assert ours.values["train_loss"] == pytest.approx(theirs.values["train_loss"], rel=0.01)
        assert ours.values["train_accuracy"] == pytest.approx(
            theirs.values["train_accuracy"], abs=3.5 / 120
        )
        assert ours.values["validation_loss"] == pytest.approx(
            theirs.values["validation_loss"], rel=0.01
        )
        for each in (our_weights, weights):
            dtypes = {w.dtype for w in each.values() if w.is_floating_point()}
            assert dtypes == {torch.float32}


def test_bfloat16_is_not_float32(small):
    exact, rounded = (
        stacked(SOME, small, precision).go(8).result() for precision in ("float32", "bfloat16")
    )
    for number in exact:
        assert exact[number][0].values["train_loss"] != rounded[number][0].values["train_loss"]
        assert rounded[number][0].values["train_loss"] == pytest.approx(
            exact[number][0].values["train_loss"], rel=0.05
        )


# ---------------------------------------------------------------- lanes that leave


@pytest.mark.parametrize("leaving", range(len(SOME)))
def test_when_a_lane_leaves_in_the_middle_of_an_epoch_the_others_go_on(
    small, assert_as_alone, leaving
):
    course = stacked(SOME, small).go(11)
    gone = course.group.lanes[leaving].config.number
    course.group.keep([n for n in range(len(SOME)) if n != leaving])
    numbers = [lane.config.number for lane in course.group.lanes]
    assert set(numbers) == {c.number for c in SOME} - {gone}
    assert_as_alone(course.go(9), "float64")


@pytest.mark.parametrize(
    "step", [1, 8, *(pytest.param(each, marks=pytest.mark.slow) for each in (7, 9, 15, 16))]
)
def test_a_lane_may_leave_between_any_two_steps(small, assert_as_alone, step):
    """Also after the last batch of an epoch, before it is measured."""
    course = stacked(SOME, small).go(step)
    course.group.keep([0, 2, 3, 6])
    assert_as_alone(course, "float64")
    assert_as_alone(course.go(10), "float64")


@pytest.mark.slow
def test_lanes_leave_one_after_the_other_until_one_is_left(small, assert_as_alone):
    course = stacked(SOME, small)
    while True:
        assert_as_alone(course.go(3), "float64")
        lanes = course.group.lanes
        if len(lanes) == 1:
            break
        course.group.keep([n for n in range(len(lanes)) if n != len(lanes) // 2])


def test_what_leaves_and_what_stays_may_be_anywhere(small, assert_as_alone):
    for staying in itertools.combinations(range(4), 2):
        course = stacked(SOME[2:6], small).go(5)
        course.group.keep(staying)
        assert_as_alone(course.go(4), "float64")


@pytest.mark.slow
def test_float32_goes_on_after_a_lane_has_left(small, assert_as_alone):
    course = stacked(MIXTURE, small, "float32").go(100)
    course.group.keep([n for n in range(len(MIXTURE)) if n % 3])
    assert_as_alone(course.go(100), "float32")


def test_a_lane_may_leave_before_the_first_epoch(small, assert_as_alone):
    """As a trial that was restarted, and is then pruned by the answer to its earlier epoch."""
    course = stacked(SOME, small)
    course.group.keep([0, 2, 3, 6])
    assert_as_alone(course.go(3), "float64")


# ---------------------------------------------------------------- what it keeps and gives


def test_lanes_know_their_number_of_parameters(small):
    group = make_group("stacked", MIXTURE, small)
    for lane in group.lanes:
        network = view(MlpParameters, lane.config.params)
        sizes = network.layer_sizes(small.spec)
        per_unit = {"none": 1, "batch": 2, "layer": 3}[network.normalization]
        expected = sum(a * b for a, b in itertools.pairwise(sizes))
        expected += per_unit * sum(sizes[1:-1]) + sizes[-1]
        assert lane.num_parameters == expected


def test_copied_weights_stay_as_they_are(small):
    course = stacked(SOME, small).go(3)
    copies = [course.group.copy_weights(position) for position in range(len(SOME))]
    kept = [{name: w.clone() for name, w in weights.items()} for weights in copies]
    course.go(3)
    for position, (copy, before) in enumerate(zip(copies, kept, strict=True)):
        now = course.group.copy_weights(position)
        for name, weight in copy.items():
            assert torch.equal(weight, before[name])
            assert weight.is_contiguous()
            assert not torch.equal(weight, now[name])


def test_measuring_changes_nothing(small):
    once, twice = (stacked(SOME, small).go(8) for _ in range(2))
    first = twice.result()
    again = twice.result()
    for number, (measured, _) in first.items():
        assert measured.values["validation_loss"] == again[number][0].values["validation_loss"]
    for ours, theirs in zip(
        once.go(8).result().values(), twice.go(8).result().values(), strict=True
    ):
        assert ours[0].values["train_loss"] == theirs[0].values["train_loss"]
        assert all(torch.equal(ours[1][name], theirs[1][name]) for name in ours[1])


def test_the_memory_of_a_group_goes_with_it(small):
    """At once, not when the collector finds it: the next stack needs the room."""
    course = stacked(SOME, small).go(9)
    course.result()
    gc.collect()
    gc.disable()
    try:
        network = weakref.ref(course.group._network.parameters[0])
        del course
        assert network() is None
    finally:
        gc.enable()


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float64", "float32", "bfloat16"])
def test_the_same_seeds_give_the_same_bits(small, precision):
    first, second = (stacked(MIXTURE, small, precision).go(20).result() for _ in range(2))
    for number, (measured, weights) in first.items():
        other, other_weights = second[number]
        assert measured.values["train_loss"] == other.values["train_loss"]
        assert measured.values["train_accuracy"] == other.values["train_accuracy"]
        assert measured.values["validation_loss"] == other.values["validation_loss"]
        assert all(torch.equal(weights[name], other_weights[name]) for name in weights)


@pytest.mark.parametrize(
    "poison",
    [float("nan"), *(pytest.param(each, marks=pytest.mark.slow) for each in (float("inf"), 3e38))],
)
def test_a_lane_that_is_not_finite_never_touches_its_neighbours(small, monkeypatch, poison):
    """Over steps with all optimisers, to the last bit."""
    healthy = stacked(SOME, small, "float32").go(9).result()
    for sick in SOME:
        with monkeypatch.context() as patch:
            patch.setattr(MLP, "build", poisoned(sick, poison))
            result = stacked(SOME, small, "float32").go(9).result()
        assert (
            result[sick.number][0].values["train_loss"]
            != healthy[sick.number][0].values["train_loss"]
        )
        for number in healthy.keys() - {sick.number}:
            assert result[number][0].values["train_loss"] == healthy[number][0].values["train_loss"]
            assert (
                result[number][0].values["train_accuracy"]
                == healthy[number][0].values["train_accuracy"]
            )
            assert (
                result[number][0].values["validation_loss"]
                == healthy[number][0].values["validation_loss"]
            )
            weights, expected = result[number][1], healthy[number][1]
            assert all(torch.equal(weights[name], expected[name]) for name in expected)


def poisoned(sick: TrialConfig, poison: float):
    build_healthy = MLP.build

    def build(params, spec):
        model = build_healthy(params, spec)
        if params == sick.params:
            for parameter in model.parameters():
                torch.nn.init.constant_(parameter, poison)
        return model

    return build


# ---------------------------------------------------------------- fit for a CUDA graph


class Calls(TorchDispatchMode):
    """The kernels that are called, and the memory that they are given and did not make."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.waits: list[str] = []
        self.given: list[int] = []
        self._made: list[torch.Tensor] = []  # kept, so that no address is used twice
        self._addresses: set[int] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        given = [a for a in tree_leaves((args, kwargs)) if isinstance(a, torch.Tensor)]
        mine = {tensor.untyped_storage().data_ptr() for tensor in given}
        self.given += [
            a for t in given if (a := t.untyped_storage().data_ptr()) not in self._addresses
        ]
        self.names.append(str(func))
        if any(str(func).startswith(f"aten.{kind}.") for kind in WAITING):
            self.waits.append(str(func))
        if any(kwargs.get("device", tensor.device) != tensor.device for tensor in given):
            self.waits.append(str(func))
        result = func(*args, **kwargs)
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                address = tensor.untyped_storage().data_ptr()
                if address not in mine:
                    self._made.append(tensor)
                    self._addresses.add(address)
        return result


def step_calls(course: Course) -> Calls:
    with Calls() as calls:
        course.go(1)
    return calls


# What makes the host wait for a GPU, but for copies between the two, which name another device.
WAITING = ("_local_scalar_dense", "nonzero", "equal", "masked_select", "_unique2")


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_what_a_step_finds_and_leaves_never_moves(small, precision):
    """A captured graph reads and writes where tensors were; it has memory for those it makes."""
    course = stacked(MIXTURE, small, precision).go(1)
    first, second, third = (step_calls(course) for _ in range(3))
    assert len(first.names) > 300
    assert first.names == second.names == third.names
    # Rows and rates too lie in tensors of the whole epoch.
    assert len(set(first.given)) > 100
    assert first.given == second.given == third.given


def test_the_check_for_moving_finds_it(small):
    course = stacked(SOME, small).go(1)
    before = step_calls(course).given
    recipes = [lane.recipe.optimizer for lane in course.group.lanes]
    memory = course.group._seats[recipes.index("adamw")].update.optimizer.moments["mean"]
    kept = memory[:]
    memory[0] = memory[0].clone()
    assert step_calls(course).given != before
    assert len(kept) == len(memory)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_step_never_waits_for_the_device(small, precision):
    course = stacked(MIXTURE, small, precision).go(1)
    assert step_calls(course).waits == []


def test_the_check_for_waiting_finds_it():
    with Calls() as calls:
        torch.ones(2).sum().item()
        torch.ones(2).to("meta")
    assert [name.split(".")[1] for name in calls.waits] == ["_local_scalar_dense", "_to_copy"]


def test_an_epoch_is_measured_with_one_wait(small):
    course = stacked(MIXTURE, small).go(8)
    course.group.finish_epoch()
    with Calls() as calls:
        course.group.finish_epoch()
    assert len(calls.waits) <= 1, calls.waits
