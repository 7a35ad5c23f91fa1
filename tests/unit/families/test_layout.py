"""Where the lanes of a stack lie: worked out by hand, and what must hold for any of them."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import pytest
from helpers import changed, make_config

from sweep.definitions import MlpParameters, view
from sweep.families.mlp.layout import Block, Run, plan_blocks, stack_key, stacked_width
from sweep.records import TrialConfig

NUM_CLASSES = 10


def lane(number: int, num_layers: int, layer_size: int, activation: str = "relu") -> TrialConfig:
    return make_config(
        number=number, num_layers=num_layers, layer_size=layer_size, activation=activation
    )


def order(config: TrialConfig) -> tuple[object, ...]:
    return (stack_key(view(MlpParameters, config.params)), config.number)


def plan(configs: Sequence[TrialConfig]) -> list[Block]:
    return plan_blocks([view(MlpParameters, config.params) for config in configs], NUM_CLASSES)


def planned(*configs: TrialConfig) -> tuple[list[int], list[Block]]:
    """The numbers of the lanes in their order, and the blocks."""
    ordered = sorted(configs, key=order)
    return [config.number for config in ordered], plan(ordered)


def num_hidden(block: Block) -> list[int]:
    return [network.num_layers - 1 for network in block.lanes]


# ---------------------------------------------------------------- widths


@pytest.mark.parametrize(
    ("layer_size", "width"),
    [
        (1, 1), (2, 2), (3, 3), (7, 7), (9, 9), (15, 15), (17, 18), (18, 18), (31, 32), (33, 36),
        (37, 40), (63, 64), (65, 72), (100, 104), (129, 144), (500, 512), (513, 576), (1000, 1024),
        (16383, 16384),
    ],
)  # fmt: skip
def test_a_width_is_rounded_up_to_an_eighth_of_its_octave(layer_size, width):
    assert stacked_width(layer_size) == width


@pytest.mark.parametrize("exponent", range(15))
def test_powers_of_two_are_not_padded(exponent):
    assert stacked_width(2**exponent) == 2**exponent


def test_padding_is_at_most_an_eighth():
    for layer_size in range(1, 16385):
        assert layer_size <= stacked_width(layer_size) <= layer_size * 9 / 8


@pytest.mark.parametrize("exponent", range(4, 14))
def test_an_octave_has_eight_widths(exponent):
    widths = {stacked_width(size) for size in range(2**exponent + 1, 2 ** (exponent + 1) + 1)}
    assert len(widths) == 8


# ---------------------------------------------------------------- order


def test_lanes_are_sorted_by_width_then_deepest_first_then_activation_then_number():
    narrow = [lane(9, 1, 500), lane(8, 4, 17), lane(7, 3, 18, "relu"), lane(6, 3, 17, "tanh")]
    wide = [lane(5, 6, 32, "tanh"), lane(3, 2, 32, "sigmoid"), lane(4, 2, 32, "sigmoid")]
    numbers = [9, 8, 7, 6, 5, 3, 4]
    for seed in range(10):
        configs = [*narrow, *wide]
        random.Random(seed).shuffle(configs)  # noqa: S311
        assert planned(*configs)[0] == numbers


# ---------------------------------------------------------------- blocks


def test_one_lane_is_one_block():
    numbers, blocks = planned(lane(4, 3, 33, "tanh"))
    assert numbers == [4]
    assert blocks == [Block(0, 36, (view(MlpParameters, lane(4, 3, 33, "tanh").params),), 10)]


def test_lanes_of_nearly_one_width_share_a_block():
    numbers, (block,) = planned(lane(0, 2, 33), lane(1, 4, 36, "tanh"), lane(2, 2, 34, "elu"))
    assert numbers == [1, 2, 0]
    assert block.width == 36
    assert [network.layer_size for network in block.lanes] == [36, 34, 33]
    assert (block.sizes(0), block.sizes(1)) == ([36, 34, 33], [36])


def test_every_width_has_its_block_and_its_rows():
    numbers, blocks = planned(
        lane(0, 2, 32), lane(1, 1, 999), lane(2, 3, 17), lane(3, 1, 5), lane(4, 2, 18),
        lane(5, 2, 8),
    )  # fmt: skip
    assert numbers == [1, 3, 5, 2, 4, 0]
    assert [(b.first, b.width, len(b.lanes)) for b in blocks] == [
        (0, 10, 2), (2, 8, 1), (3, 18, 2), (5, 32, 1),
    ]  # fmt: skip
    assert [b.num_rows for b in blocks] == [20, 8, 36, 32]


def test_softmax_regression_is_a_block_of_its_own_though_the_widths_agree():
    numbers, blocks = planned(lane(0, 2, NUM_CLASSES), lane(1, 1, NUM_CLASSES))
    assert numbers == [1, 0]
    assert [(b.width, num_hidden(b)) for b in blocks] == [(10, [0]), (10, [1])]


def test_every_shape_and_normalization_has_its_block():
    kinds = itertools.product(("constant", "pyramid"), ("none", "layer", "batch"))
    configs = [
        changed(lane(n, 3, 16), width_shape=shape, normalization=normalization)
        for n, (shape, normalization) in enumerate(kinds)
    ]
    numbers, blocks = planned(*configs)
    assert numbers == [2, 1, 0, 5, 4, 3]
    assert [len(block.lanes) for block in blocks] == [1] * 6


def test_shape_and_normalization_make_no_blocks_where_they_have_no_effect():
    configs = [
        changed(lane(n, layers, 16), width_shape=shape, normalization=normalization)
        for n, (layers, shape, normalization) in enumerate(
            [(1, "pyramid", "batch"), (1, "constant", "none"), (2, "pyramid", "batch"),
             (2, "constant", "batch")]
        )
    ]  # fmt: skip
    numbers, blocks = planned(*configs)
    assert numbers == [0, 1, 2, 3]
    assert [len(block.lanes) for block in blocks] == [2, 2]


# ---------------------------------------------------------------- pyramids


@pytest.mark.parametrize(
    ("num_layers", "layer_size", "sizes"),
    [(5, 100, [100, 50, 25, 12]), (6, 64, [64, 32, 16, 10, 10]), (4, 7, [7, 7, 7]), (1, 99, [])],
)
def test_a_pyramid_halves_down_to_the_number_of_classes(num_layers, layer_size, sizes):
    network = MlpParameters(num_layers, layer_size, "relu", 0.0, "pyramid", "none", "default")
    assert network.hidden_sizes(NUM_CLASSES) == sizes


def test_no_pyramid_is_wider_than_the_widths_of_its_block():
    for layer_size, num_classes in itertools.product(range(1, 400), (2, 10, 47)):
        network = MlpParameters(8, layer_size, "relu", 0.0, "pyramid", "none", "default")
        (block,) = plan_blocks([network], num_classes)
        for layer, width in enumerate(block.widths):
            (size,) = block.sizes(layer)
            assert size <= width <= size * 9 / 8 + 1


def test_outputs_are_joint_where_last_hidden_layers_are_equally_wide():
    depths = (7, 6, 5, 4, 4, 3, 2)
    _, (*_, constant) = planned(*(lane(n, depth, 64) for n, depth in enumerate(depths)))
    assert constant.outputs() == [(64, 7)]
    configs = [changed(lane(n, depth, 65), width_shape="pyramid") for n, depth in enumerate(depths)]
    _, (_, pyramid) = planned(*configs)
    assert pyramid.widths == [72, 36, 18, 10, 10, 10]
    assert pyramid.outputs() == [(10, 3), (18, 2), (36, 1)]


def test_lanes_without_a_hidden_layer_end_nowhere():
    _, (block,) = planned(lane(0, 1, 8), lane(1, 1, 16))
    assert (block.widths, block.having(0), block.runs(0)) == ([], 0, [])


def test_ragged_depths_and_activations():
    numbers, (block,) = planned(
        lane(0, 6, 16, "tanh"), lane(1, 4, 16, "sigmoid"), lane(2, 4, 16, "relu"),
        lane(3, 4, 16, "relu"), lane(4, 2, 16, "relu"), lane(5, 2, 16, "tanh"),
    )  # fmt: skip
    assert numbers == [0, 2, 3, 1, 4, 5]
    assert (block.widths, num_hidden(block)) == ([16] * 5, [5, 3, 3, 3, 1, 1])
    assert [block.having(layer) for layer in range(6)] == [6, 4, 4, 1, 1, 0]
    first = [
        Run("tanh", slice(0, 1)), Run("relu", slice(1, 3)), Run("sigmoid", slice(3, 4)),
        Run("relu", slice(4, 5)), Run("tanh", slice(5, 6)),
    ]  # fmt: skip
    assert block.runs(0) == first
    assert block.runs(1) == block.runs(2) == first[:3]
    assert block.runs(3) == block.runs(4) == first[:1]


def test_a_run_is_cut_where_lanes_end():
    _, (block,) = planned(lane(0, 3, 16), lane(1, 3, 16), lane(2, 2, 16), lane(3, 2, 16))
    assert block.runs(0) == [Run("relu", slice(0, 2)), Run("relu", slice(2, 4))]
    assert block.runs(1) == [Run("relu", slice(0, 2))]


def test_lanes_of_any_depth_share_a_run_where_all_go_on():
    _, (block,) = planned(lane(0, 4, 16), lane(1, 3, 16))
    assert block.runs(0) == [Run("relu", slice(0, 2))]


def test_a_block_knows_the_dropout_of_its_lanes():
    configs = [make_config(number=n, layer_size=16, dropout=n / 10) for n in (3, 1, 2)]
    _, (block,) = planned(*configs)
    assert [network.dropout for network in block.lanes] == [0.1, 0.2, 0.3]


KINDS = list(itertools.product((1, 2, 5), (16, 17, 40), ("relu", "sigmoid")))


@pytest.mark.parametrize("seed", range(20))
def test_every_lane_has_one_place_and_in_each_layer_its_own_activation(seed):
    dice = random.Random(seed)  # noqa: S311
    configs = sorted((lane(n, *dice.choice(KINDS)) for n in range(dice.randint(1, 12))), key=order)
    blocks = plan(configs)
    lanes = [b.first + position for b in blocks for position in range(len(b.lanes))]
    assert lanes == list(range(len(configs)))
    for block in blocks:
        members = configs[block.first : block.first + len(block.lanes)]
        assert block.num_rows == len(members) * block.width
        assert {c.params["num_layers"] > 1 for c in members} == {bool(block.widths)}
        for position, config in enumerate(members):
            hidden = config.params["num_layers"] - 1
            for layer in range(len(block.widths)):
                runs = [r for r in block.runs(layer) if r.lanes.start <= position < r.lanes.stop]
                assert [r.activation for r in runs] == [config.params["activation"]] * (
                    layer < hidden
                )
                for run in runs:
                    goes_on = {c.params["num_layers"] - 1 > layer + 1 for c in members[run.lanes]}
                    assert goes_on == {hidden > layer + 1}
