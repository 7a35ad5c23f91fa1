"""A search space as the unit cube."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import space_mapping

from sweep.space import load_space
from sweep.study.cube import Cube

PARAMETERS: dict[str, Any] = {
    "num_layers": {"low": 2, "high": 6, "step": 2},
    "layer_size": {"choices": [512, 64, 128]},
    "activation": {"choices": ["relu", "tanh", "gelu"]},
    "weight_decay": {"low": 1e-6, "high": 1e-2, "log": True},
    "dropout": {"low": 0.1, "high": 0.5, "step": 0.1},
    "optimizer": {"choices": ["adamw", "sgd"]},
    "momentum": {"low": 0.0, "high": 0.8, "when": {"optimizer": "sgd"}},
    "batch_size": {"low": 16, "high": 256, "log": True},
}
CONFIGURATION: dict[str, Any] = {
    "num_layers": 4,
    "layer_size": 64,
    "activation": "gelu",
    "weight_decay": 1e-4,
    "dropout": 0.3,
    "optimizer": "sgd",
    "momentum": 0.2,
    "batch_size": 100,
}


DOMAINS = load_space(space_mapping(parameters=PARAMETERS)).sampled


@pytest.fixture
def cube() -> Cube:
    return Cube(DOMAINS)


def features_of(cube: Cube, **changes: Any) -> np.ndarray:
    return cube.features(cube.point(CONFIGURATION | changes)[None])[0]


def distance(cube: Cube, **changes: Any) -> float:
    return float(np.linalg.norm(features_of(cube) - features_of(cube, **changes)))


def test_values_of_up_to_twelve_digits_are_not_changed_by_rounding(cube):
    draw = np.random.default_rng(0)
    for _ in range(500):
        values = {
            "weight_decay": float(f"{np.exp(draw.uniform(*np.log([1e-6, 1e-2]))):.12g}"),
            "momentum": float(f"{draw.uniform(0, 0.8):.12g}"),
        }
        found = cube.params(cube.point(CONFIGURATION | values))
        assert {name: found[name] for name in values} == values


@pytest.mark.parametrize("place", [0.0, 1.0])
def test_the_ends_of_the_cube_are_those_of_the_ranges(cube, place):
    found = cube.params(np.full(len(DOMAINS), place))
    assert found["weight_decay"] == (1e-2 if place else 1e-6)
    assert found["momentum"] == (0.8 if place else 0.0)


def test_a_configuration_has_a_point_and_a_point_has_a_configuration(cube):
    found = cube.params(cube.point(CONFIGURATION))
    assert found == CONFIGURATION
    assert {name: type(value) for name, value in found.items()} == {
        name: type(CONFIGURATION[name]) for name in found
    }


def test_all_of_the_cube_lies_inside_the_space(cube):
    corners = [np.zeros(8), np.ones(8), *np.random.default_rng(0).random((200, 8))]
    for params in map(cube.params, corners):
        assert params["num_layers"] in (2, 4, 6)
        assert params["dropout"] in (0.1, 0.2, 0.3, 0.4, 0.5)
        assert 1e-6 <= params["weight_decay"] <= 1e-2
        assert 16 <= params["batch_size"] <= 256


def test_values_take_equal_parts_of_the_cube(cube):
    drawn = [cube.params(point) for point in np.random.default_rng(0).random((3000, 8))]
    for name in ("num_layers", "layer_size", "activation", "optimizer"):
        counts = np.unique([str(params[name]) for params in drawn], return_counts=True)[1]
        assert counts.min() > 0.9 * counts.mean()


def test_numbers_are_as_far_apart_as_they_lie_and_text_always_by_one(cube):
    assert distance(cube, activation="relu") == pytest.approx(1)
    assert distance(cube, activation="tanh") == pytest.approx(1)
    assert distance(cube, weight_decay=1e-2) == pytest.approx(0.5)
    assert distance(cube, num_layers=6) == pytest.approx(1 / 3)
    # Also as choices, whatever their order in the file.
    assert distance(cube, layer_size=128) == pytest.approx(1 / 3)
    assert distance(cube, layer_size=512) == pytest.approx(2 / 3)


def test_two_points_of_one_configuration_have_the_same_features(cube):
    point = cube.point(CONFIGURATION)
    other = point.copy()
    stepped = [[*DOMAINS].index(name) for name in ("num_layers", "layer_size", "dropout")]
    other[stepped] += 0.05
    assert cube.params(other) == cube.params(point)
    np.testing.assert_array_equal(cube.features(other[None]), cube.features(point[None]))


def test_what_has_no_effect_does_not_tell_configurations_apart(cube):
    assert distance(cube, momentum=0.7) > 0.5
    without = features_of(cube, optimizer="adamw")
    np.testing.assert_array_equal(without, features_of(cube, optimizer="adamw", momentum=0.7))
    missing = {n: v for n, v in CONFIGURATION.items() if n != "momentum"}
    found = cube.features(cube.point(missing | {"optimizer": "adamw"})[None])[0]
    np.testing.assert_array_equal(without, found)


def test_a_condition_may_have_several_values_and_a_parent_of_its_own():
    parameters = {
        "optimizer": {"choices": ["adamw", "sgd", "rmsprop"]},
        "learning_rate_schedule": {
            "choices": ["cosine", "constant"],
            "when": {"optimizer": ["sgd", "rmsprop"]},
        },
        "warmup": {"low": 0.0, "high": 0.5, "when": {"learning_rate_schedule": "cosine"}},
    }
    cube = Cube(load_space(space_mapping(parameters=parameters)).sampled)

    def seen(optimizer: str, schedule: str, warmup: float) -> list[float]:
        params = {
            "optimizer": optimizer,
            "learning_rate_schedule": schedule,
            "warmup": warmup,
        }
        return cube.features(cube.point(params)[None])[0].tolist()

    assert seen("rmsprop", "cosine", 0.1) != seen("rmsprop", "cosine", 0.4)
    assert seen("rmsprop", "constant", 0.1) == seen("rmsprop", "constant", 0.4)
    assert seen("adamw", "cosine", 0.1) == seen("adamw", "constant", 0.4)


def test_each_feature_has_the_number_of_its_parameter(cube):
    names = [[*DOMAINS][number] for number in cube.owners]
    assert {name: names.count(name) for name in names} == {
        name: {"activation": 3, "optimizer": 2}.get(name, 1) for name in PARAMETERS
    }
