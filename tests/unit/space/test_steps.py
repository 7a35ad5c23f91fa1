"""A step is one value, however it was computed: 0.3 and 3 * 0.1 are the same everywhere."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from made_spaces import Scripted, make
from optuna.distributions import FloatDistribution

from sweep.errors import SearchSpaceError
from sweep.space import SearchSpace
from sweep.study import distributions

TENTHS = {"low": 0.0, "high": 0.5, "step": 0.1}
LAYERS: dict[str, Any] = {"choices": [16, 32]}
THREE_TENTHS = 3 * 0.1


def steps(space: SearchSpace, name: str = "dropout") -> list[Any]:
    return [configuration[name] for configuration in space.configurations()]


def test_steps_are_the_decimal_numbers_that_a_person_would_write():
    assert THREE_TENTHS != 0.3
    assert steps(make({"dropout": TENTHS})) == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    fine = {"low": 0.01, "high": 0.99, "step": 0.01}
    assert steps(make({"dropout": fine})) == [number / 100 for number in range(1, 100)]
    rates = {"low": 1e-05, "high": 0.00028, "step": 0.00003}
    assert steps(make({"learning_rate": rates}), "learning_rate")[:3] == [1e-05, 4e-05, 7e-05]


@pytest.mark.parametrize("high", [0.3, THREE_TENTHS, 0.1 + 0.2, np.float64(0.3)])
def test_the_last_step_is_reached_however_it_is_written(high):
    space = make({"dropout": {**TENTHS, "high": high}})
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Optuna leaves out a last value that is not a step
        assert distributions(space) == {"dropout": FloatDistribution(0.0, 0.3, step=0.1)}
    assert steps(space) == [0.0, 0.1, 0.2, 0.3]
    assert space.fingerprint == make({"dropout": {**TENTHS, "high": 0.3}}).fingerprint


@pytest.mark.parametrize(
    "spread",
    [
        {"low": 0.0, "high": 0.9, "step": 0.01},
        {"low": 0.1, "high": 0.1, "step": 0.05},
        {"low": 0.0, "high": 0.5, "step": 5e-4},
        {"low": 1 / 3, "high": 1 / 3 + 0.5, "step": 0.1},
        {"low": 0.1, "high": 0.1 + 7 * 0.07, "step": 0.07},
        {"low": 1e-8, "high": 0.90000001, "step": 0.1},
    ],
    ids=str,
)
def test_optuna_has_the_same_steps(spread):
    space = make({"dropout": spread})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        distribution = distributions(space)["dropout"]
    found = steps(space)
    assert found == sorted(set(found))
    assert all(distribution._contains(value) for value in found)
    assert found[-1] == distribution.high


def test_steps_that_rounding_blurs_are_refused():
    words = "too many digits to tell the steps apart"
    with pytest.raises(SearchSpaceError, match=words):
        make({"dropout": {"low": 0.001 / 3, "high": 0.001 / 3 + 6 * (1 / 7), "step": 1 / 7}})
    with pytest.raises(SearchSpaceError, match=words):
        make({"learning_rate": {"low": 9.99999999, "high": 10.0, "step": 1e-9}})


@pytest.mark.parametrize(
    "parent", [TENTHS, {"choices": [0.1, 0.3]}, {"choices": [0.1, THREE_TENTHS]}, 0.3]
)
@pytest.mark.parametrize("value", [0.3, THREE_TENTHS, np.float64(THREE_TENTHS), "0.3"])
def test_a_condition_means_the_value_of_the_domain(parent, value):
    space = make({"dropout": parent, "layer_size": {**LAYERS, "when": {"dropout": value}}})
    (allowed,) = space.domains["layer_size"].when.values()
    asked = Scripted(dropout=allowed, layer_size=32)
    assert space.suggest(asked)["layer_size"] == 32
    assert "layer_size" in asked.asked
    count = 1 if isinstance(parent, float) else len(steps_of(parent))
    assert space.num_configurations == count + 1
    assert len(list(space.configurations())) == count + 1


def steps_of(parent: Any) -> list[float]:
    return steps(make({"dropout": parent}))


@pytest.mark.parametrize("value", [0.3, THREE_TENTHS, "0.3"])
def test_an_enqueued_value_is_that_of_the_domain(value):
    space = make(
        {"dropout": TENTHS, "layer_size": {**LAYERS, "when": {"dropout": 0.3}}},
        enqueue=[{"dropout": value, "layer_size": 16}],
    )
    assert space.enqueue == [{"dropout": 0.3, "layer_size": 16}]
    same = make(
        {"dropout": TENTHS, "layer_size": {**LAYERS, "when": {"dropout": THREE_TENTHS}}},
        enqueue=[{"dropout": 0.3, "layer_size": 16}],
    )
    assert space.differences(same) == []
    assert space.fingerprint == same.fingerprint


def test_a_whole_number_is_a_float_where_the_domain_has_floats():
    space = make({"dropout": TENTHS}, enqueue=[{"dropout": 0}])
    assert [type(value) for value in space.enqueue[0].values()] == [float]


def test_choices_differ_by_more_than_rounding():
    with pytest.raises(SearchSpaceError, match=r"differ; found 0\.3 and 0\.30000000000000004$"):
        make({"dropout": {"choices": [THREE_TENTHS, 0.1, 0.3]}})


# ---------------------------------------------------------------- conditions that never hold

NEVER = "this condition can never hold"


@pytest.mark.parametrize(
    ("parent", "value", "words"),
    [
        (TENTHS, 0.35, "in steps of 0.1; found 0.35"),
        (TENTHS, 0.6, "between 0.0 and 0.5; found 0.6"),
        (TENTHS, -0.1, "between 0.0 and 0.5"),
        (TENTHS, "relu", "dropout is a number; found 'relu'"),
        ({"low": 0.0, "high": 0.5}, 0.3, "any number of its range"),
        ({"low": 0.1, "high": 0.5, "log": True}, 0.1, "any number of its range"),
        ({"choices": [0.1, 0.2]}, 0.3, "one of 0.1, 0.2; found 0.3"),
        (0.1, 0.2, "fixed at 0.1; found 0.2"),
    ],
)
def test_a_condition_on_a_number_that_never_holds_is_refused(parent, value, words):
    with pytest.raises(SearchSpaceError, match=f"{NEVER}: .*{words}"):
        make({"dropout": parent, "layer_size": {**LAYERS, "when": {"dropout": value}}})


@pytest.mark.parametrize(
    ("parent", "value", "words"),
    [
        ({"low": 1, "high": 9, "step": 4}, 3, "in steps of 4; found 3"),
        ({"low": 1, "high": 9}, 10, "between 1 and 9; found 10"),
        ({"low": 1, "high": 9}, 3.0, r"a whole number; found 3\.0"),
        ({"low": 1, "high": 9}, "x", "a whole number; found 'x'"),
        ({"choices": [1, 2]}, 1.0, r"one of 1, 2; found 1\.0"),
        ({"choices": [1, 2]}, "one", "one of 1, 2; found 'one'"),
        (3, 4, "fixed at 3; found 4"),
    ],
)
def test_a_condition_on_a_whole_number_that_never_holds_is_refused(parent, value, words):
    with pytest.raises(SearchSpaceError, match=f"{NEVER}: .*{words}"):
        make({"num_layers": parent, "layer_size": {**LAYERS, "when": {"num_layers": value}}})


def test_a_condition_on_a_parameter_that_is_never_active_is_refused():
    with pytest.raises(SearchSpaceError, match=f"^parameters.layer_size.when: {NEVER}"):
        make(
            {
                "activation": {"choices": ["relu", "tanh"]},
                "num_layers": {"choices": [1, 2], "when": {"activation": "tanh"}},
                "layer_size": {**LAYERS, "when": {"num_layers": 2, "activation": "relu"}},
            }
        )


def test_true_is_no_number_of_a_condition():
    with pytest.raises(SearchSpaceError, match=r"when\.num_layers: must be .*; found true"):
        make(
            {
                "num_layers": {"choices": [1, 2]},
                "layer_size": {**LAYERS, "when": {"num_layers": True}},
            }
        )


def test_a_condition_that_always_holds_is_accepted():
    always = {"num_layers": [1, 2], "activation": "relu"}
    space = make({"num_layers": {"low": 1, "high": 2}, "layer_size": {**LAYERS, "when": always}})
    assert space.num_configurations == 4


def test_enqueued_values_that_exclude_each_other_are_refused():
    parameters = {
        "activation": {"choices": ["relu", "tanh"]},
        "dropout": {**TENTHS, "when": {"activation": "relu"}},
        "layer_size": {**LAYERS, "when": {"activation": "tanh"}},
        "num_layers": {"choices": [2, 3], "when": {"layer_size": 32}},
    }
    words = "dropout and num_layers are never used together: .* different values of activation"
    with pytest.raises(SearchSpaceError, match=f"^enqueue.0: {words}"):
        make(parameters, enqueue=[{"dropout": 0.1, "num_layers": 2}])
    with pytest.raises(SearchSpaceError, match="num_layers is not used when activation is 'relu'"):
        make(parameters, enqueue=[{"activation": "relu", "num_layers": 2}])
