"""Configurations of other spaces, brought into one."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import space_mapping
from hypothesis import given
from hypothesis import strategies as st

from sweep.definitions import Params
from sweep.space import SearchSpace, fitted, load_space
from sweep.space.domains import own_value


def make_space(**parameters: Any) -> SearchSpace:
    return load_space(space_mapping(parameters=parameters))


@pytest.mark.parametrize(
    ("domain", "value", "expected"),
    [
        ({"low": 0.1, "high": 0.5}, 0.3, 0.3),
        ({"low": 0.1, "high": 0.5}, 1, 0.5),
        ({"low": 0.1, "high": 0.5}, 1e-6, 0.1),
        ({"low": 0.0, "high": 0.75, "step": 0.25}, 0.4, 0.5),
        ({"low": 0.1, "high": 0.7, "step": 0.1}, 0.31, 0.3),
        ({"choices": [0.01, 0.1]}, 0.02, 0.01),
        ({"choices": [0.01, 0.1]}, 0.05, 0.1),
        ({"choices": [0.0, 0.1]}, 0.0, 0.0),
    ],
)
def test_a_number_moves_to_the_nearest_value(domain, value, expected):
    assert fitted(make_space(dropout=domain), {"dropout": value}) == {"dropout": expected}


@pytest.mark.parametrize(
    ("domain", "value", "expected"),
    [
        ({"low": 2, "high": 6}, 9, {"num_layers": 6}),
        ({"low": 2, "high": 6, "step": 2}, 3.1, {"num_layers": 4}),
        ({"choices": [2, 4]}, 3, {"num_layers": 4}),  # 3 is 1.5 times 2, and 4 is 1.33 times 3
    ],
)
def test_whole_numbers_stay_whole(domain, value, expected):
    found = fitted(make_space(num_layers=domain), {"num_layers": value})
    assert found == expected
    assert all(isinstance(each, int) for each in found.values())


def test_text_that_is_no_choice_and_what_is_not_named_is_left_to_the_sampler():
    space = make_space(
        activation={"choices": ["relu", "tanh"]}, dropout={"low": 0.0, "high": 0.5}, layer_size=64
    )
    assert fitted(space, {"activation": "gelu", "layer_size": 512, "unknown": 1}) == {}
    assert fitted(space, {"activation": "tanh", "dropout": 0.9}) == {
        "activation": "tanh",
        "dropout": 0.5,
    }


def test_only_what_is_active_in_the_space_is_given():
    space = make_space(
        optimizer={"choices": ["adamw", "sgd"]},
        momentum={"low": 0.0, "high": 0.9, "when": {"optimizer": "sgd"}},
    )
    of_adamw = {"optimizer": "adamw", "momentum": 0.5}
    assert fitted(space, of_adamw) == {"optimizer": "adamw"}
    assert fitted(space, of_adamw | {"optimizer": "sgd"}) == {"optimizer": "sgd", "momentum": 0.5}
    assert fitted(space, of_adamw | {"optimizer": "muon"}) == {}
    fixed = make_space(
        optimizer="sgd", momentum={"low": 0.0, "high": 0.9, "when": {"optimizer": "sgd"}}
    )
    assert fitted(fixed, of_adamw) == {"momentum": 0.5}, "the space's own optimizer counts"


NUMBERS = st.floats(1e-9, 1e9) | st.integers(0, 10**6)


@given(
    st.dictionaries(
        st.sampled_from(["num_layers", "learning_rate", "layer_size", "dropout"]), NUMBERS
    )
)
def test_whatever_is_given_lies_in_the_space(params: Params):
    space = make_space(
        num_layers={"low": 2, "high": 9, "log": True},
        learning_rate={"low": 1e-4, "high": 1e-2, "log": True},
        layer_size={"choices": [32, 64, 512]},
        dropout={"low": 0.0, "high": 0.5, "step": 0.1},
    )
    found = fitted(space, params)
    assert found.keys() == params.keys()
    for name, value in found.items():
        own = own_value(space.domains[name], value)
        assert (own, type(own)) == (value, type(value))
    assert fitted(space, found) == found
