"""How much a worker takes at once: counted by hand, and against what networks really need."""

from __future__ import annotations

import functools
import gc
import itertools
import math
import types
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from driving import make_group
from helpers import make_config, make_settings

from sweep.data import TrainingData
from sweep.definitions import DATASETS, FAMILIES
from sweep.execution.capacity import MAX_LANES, Capacity, interpolated
from sweep.families.mlp import FAMILY
from sweep.records import DataSpec, TrialConfig
from sweep.training import PRECISION_NAMES

DIGITS = DATASETS["digits"]


def capacity(lanes: int = 4, flops: float = math.inf) -> Capacity:
    """A stack with so many floating-point operations in a step is full."""
    full = () if math.isinf(flops) else ((1, flops), (max(2, int(flops)), 1.0))
    return Capacity(lanes=lanes, full_stacks=full, model="mlp", spec=DIGITS)


def step_flops(config: TrialConfig) -> int:
    return FAMILIES["mlp"].cost(config.params, DIGITS).example_flops * config.params["batch_size"]


def numbers(stacks) -> list[list[int]]:
    return [[config.number for config in stack] for stack in stacks]


def test_settings_say_how_much_there_is():
    full = ((1000, 16.0), (10**6, 2.0))
    settings = make_settings(lanes=7, full_stacks=full)
    assert Capacity.of(settings) == Capacity(7, full, "mlp", DIGITS)
    letters = DATASETS["emnist-balanced"]
    settings = make_settings(spec=letters, lanes=2)
    assert Capacity.of(settings) == Capacity(2, (), "mlp", letters)


def test_every_device_has_limits():
    assert MAX_LANES.keys() == {"cpu", "cuda"}
    assert all(lanes >= 2 for lanes in MAX_LANES.values())


# ---------------------------------------------------------------- work


def example_flops(spec: DataSpec, **changes) -> int:
    return FAMILIES["mlp"].cost(make_config(**changes).params, spec).example_flops


def test_the_work_of_an_image_by_hand():
    """Forward 2 a weight, weight gradients 2, gradients of the layer below 2 but for the first."""
    mnist = DATASETS["mnist"]
    assert example_flops(DIGITS, num_layers=1) == 4 * 640
    assert example_flops(DIGITS, num_layers=2, layer_size=32) == 4 * 64 * 32 + 6 * 320
    expected = 4 * 784 * 512 + 6 * (2 * 512**2 + 5120)
    assert example_flops(mnist, num_layers=4, layer_size=512) == expected


@pytest.mark.parametrize("num_layers", [1, 2, 5])
@pytest.mark.parametrize(
    ("shape", "normalization"), [("constant", "none"), ("pyramid", "layer"), ("pyramid", "batch")]
)
@pytest.mark.parametrize("spec", [DIGITS, DATASETS["emnist-balanced"]], ids=["digits", "letters"])
def test_the_parameters_of_a_network_are_counted_as_they_are(
    spec, shape, normalization, num_layers
):
    params = make_config(
        num_layers=num_layers, layer_size=99, width_shape=shape, normalization=normalization
    ).params
    network = FAMILY.build(params, spec)
    count = sum(p.numel() for p in network.parameters())
    cost = FAMILIES["mlp"].cost(params, spec)
    assert cost.num_parameters == count <= cost.stacked_parameters


def test_the_work_of_a_step_is_that_of_its_images():
    """A trial of twice the batch fills twice as much."""
    half, whole = make_config(batch_size=16), make_config(batch_size=32)
    room = capacity(lanes=1000, flops=100 * step_flops(whole))
    assert room.fullness([half]) == pytest.approx(room.fullness([whole]) / 2)


def test_points_are_joined_by_straight_lines_of_logarithms():
    points = [(10, 16.0), (1000, 4.0), (10_000, 2.0)]
    found = [interpolated(points, at) for at in (1, 10, 100, 1000, 100_000)]
    assert found == pytest.approx([32, 16, 8, 4, 1])
    assert interpolated([(10, 3.0)], 10**6) == 3.0


# ---------------------------------------------------------------- fullness

UNIT = step_flops(make_config())


@pytest.mark.parametrize(
    ("count", "lanes", "flops", "fullness"),
    [
        (0, 4, math.inf, 0),
        (1, 4, math.inf, 1 / 4),
        (3, 4, math.inf, 3 / 4),
        (4, 4, math.inf, 1),
        (1, 8, 4 * UNIT, 1 / 4),
        (3, 8, 4 * UNIT, 3 / 4),
        (4, 8, 4 * UNIT, 1),
        (2, 2, 4 * UNIT, 1),
        (1, 8, UNIT / 100, 1 / 2),  # a second one is welcome whatever the work
        (2, 8, UNIT / 100, 1),
        (1, 1, math.inf, 1),
        (1, 1, UNIT / 100, 1),
    ],
)
def test_how_full_a_worker_is(count, lanes, flops, fullness):
    trials = [make_config(number=number) for number in range(count)]
    assert capacity(lanes, flops).fullness(trials) == pytest.approx(fullness, rel=1e-3)


def test_large_trials_fill_more():
    small, large = make_config(layer_size=16), make_config(layer_size=160)
    room = capacity(lanes=100, flops=20 * UNIT)
    assert room.fullness([large, small]) > room.fullness([small, small])


# ---------------------------------------------------------------- stacks


def test_nothing_makes_no_stack():
    assert capacity().stacks([]) == []


def test_a_stack_has_one_batch_size():
    configs = [make_config(number=n, batch_size=(32, 64)[n % 2]) for n in range(6)]
    assert numbers(capacity().stacks(configs)) == [[0, 2, 4], [1, 3, 5]]


def test_a_stack_has_one_order_of_the_examples():
    configs = [replace(make_config(number=n), order=n % 3) for n in range(6)]
    assert numbers(capacity().stacks(configs)) == [[0, 3], [1, 4], [2, 5]]


def test_a_stack_has_no_more_lanes_than_allowed():
    configs = [make_config(number=n) for n in range(9)]
    assert numbers(capacity(lanes=4).stacks(configs)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]
    assert numbers(capacity(lanes=1).stacks(configs[:3])) == [[0], [1], [2]]


def test_lanes_of_similar_width_come_together():
    sizes = [128, 16, 64, 20, 100, 17]
    configs = [make_config(number=n, layer_size=size) for n, size in enumerate(sizes)]
    assert numbers(capacity(lanes=3).stacks(configs)) == [[1, 5, 3], [2, 4, 0]]


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        (1, [[0], [1], [2], [3], [4]]),
        (2, [[0, 1], [2, 3], [4]]),
        (2.5, [[0, 1, 2], [3, 4]]),
        (0.01, [[0], [1], [2], [3], [4]]),
        (100, [[0, 1, 2, 3], [4]]),
    ],
)
def test_a_stack_with_enough_work_takes_no_further_lane(units, expected):
    configs = [make_config(number=n) for n in range(5)]
    assert numbers(capacity(flops=units * UNIT).stacks(configs)) == expected


def test_every_trial_is_in_one_stack():
    configs = [
        make_config(number=n, layer_size=1 + 37 * n % 90, batch_size=(8, 32, 100)[n % 3])
        for n in range(40)
    ]
    stacks = capacity(lanes=5, flops=20 * UNIT).stacks(configs)
    assert sorted(config.number for stack in stacks for config in stack) == list(range(40))
    for stack in stacks:
        assert len({config.params["batch_size"] for config in stack}) == 1
        assert 1 <= len(stack) <= 5


# ---------------------------------------------------------------- memory

NETWORKS = {
    "usual": {"num_layers": 4, "layer_size": 128},
    "padded": {"num_layers": 4, "layer_size": 65},
    "softmax": {"num_layers": 1},
    "wide": {"num_layers": 2, "layer_size": 1000},
    "deep": {"num_layers": 12, "layer_size": 33},
    "dropout": {"num_layers": 4, "layer_size": 128, "dropout": 0.5},
    "batch norm": {"num_layers": 4, "layer_size": 129, "normalization": "batch"},
    "layer norm": {"num_layers": 4, "layer_size": 129, "normalization": "layer", "dropout": 0.5},
    "pyramid": {"num_layers": 6, "layer_size": 300, "width_shape": "pyramid"},
    "large batches": {"num_layers": 3, "layer_size": 64, "batch_size": 800},
    "muon": {"num_layers": 4, "layer_size": 256, "optimizer": "muon", "gradient_clip": 1.0},
    "averages": {
        "num_layers": 3, "layer_size": 256, "optimizer": "nadam", "weight_averaging": 0.9,
        "max_norm": 1.0,
    },
    "noise": {
        "num_layers": 2, "layer_size": 16, "batch_size": 800, "input_noise": 0.1,
        "input_dropout": 0.1,
    },
    "large batches, dropout": {
        "num_layers": 3, "layer_size": 64, "batch_size": 800, "dropout": 0.5,
    },
    "large batches, layer norm": {
        "num_layers": 3, "layer_size": 64, "batch_size": 800, "normalization": "layer",
    },
}  # fmt: skip


@pytest.mark.parametrize("changes", NETWORKS.values(), ids=NETWORKS)
def test_a_lane_needs_more_than_its_weights_gradients_and_moments(changes):
    config = make_config(**changes)
    network = FAMILY.build(config.params, DIGITS)
    count = sum(p.numel() for p in network.parameters())
    assert capacity().lane_bytes(config) >= 4 * 4 * count


@pytest.fixture(scope="module")
def many_images(digits) -> TrainingData:
    """1,500 to train on and 1,900 to validate: the last batch of either is nearly a full one."""
    return replace(
        digits,
        train=digits.train.take(np.arange(1500) % len(digits.train)),
        validation=digits.validation.take(np.arange(1900) % len(digits.validation)),
    )


def held_bytes(*things: object) -> int:
    """Bytes of all tensors that these refer to, directly or not."""
    beside = type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType
    storages, seen, found = {}, set(), list(things)
    while found:
        thing = found.pop()
        if id(thing) in seen or isinstance(thing, beside):
            continue
        seen.add(id(thing))
        if isinstance(thing, torch.Tensor):
            storage = thing.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
        found += gc.get_referents(thing)
    return sum(storages.values())


def allocated_at_the_peak(work: Callable[[], object]) -> int:
    """The most bytes of tensors that this allocates, beyond those that were there before."""
    cpu = torch.profiler.ProfilerActivity.CPU
    with torch.profiler.profile(activities=[cpu], profile_memory=True) as profiler:
        work()
    events = profiler.profiler.kineto_results.events()
    events = sorted((e for e in events if e.name() == "[memory]"), key=lambda e: e.start_ns())
    return max(itertools.accumulate(event.nbytes() for event in events))


def bytes_at_the_peak(count: int, data: TrainingData, precision: str, **changes) -> int:
    configs = [make_config(number=n, **{"batch_size": 128, **changes}) for n in range(count)]
    group = make_group("stacked", configs, data, precision)
    group.begin_epoch()
    best = [group.copy_weights(position) for position in range(count)]

    def epoch() -> None:
        group.step(0)
        group.step(group.num_steps - 1)
        group.finish_epoch()

    return held_bytes(group, best) + allocated_at_the_peak(epoch)


@pytest.mark.slow
@pytest.mark.parametrize("precision", PRECISION_NAMES)
@pytest.mark.parametrize("changes", NETWORKS.values(), ids=NETWORKS)
def test_another_lane_takes_no_more_than_was_estimated(many_images, changes, precision):
    """At the peak of an epoch, the best weights so far included."""
    few, many = (bytes_at_the_peak(n, many_images, precision, **changes) for n in (2, 6))
    config = make_config(**{"batch_size": 128, **changes})
    assert 0 < (many - few) / 4 <= capacity().lane_bytes(config)


def test_what_is_held_is_counted():
    """Of a tensor, a view of it, and another one in a call."""
    one, other = torch.zeros(100, dtype=torch.float32), torch.zeros(10, dtype=torch.float64)
    assert held_bytes([one, {"view": one[3:]}], functools.partial(torch.add, other)) == 480
