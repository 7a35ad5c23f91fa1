"""The portfolio, and which of its configurations a search space has."""

from __future__ import annotations

from typing import Any

import pytest
from made_spaces import make
from optuna.storages import InMemoryStorage

from sweep.definitions import FAMILIES, Params, parameters_of, require_valid, with_defaults
from sweep.errors import InputError
from sweep.records import NetworkSource, OwnNetwork
from sweep.space import allowed_configurations, effective_parameters, load_space, portfolio
from sweep.study import StudySession

FIVE = {
    "num_layers": {"low": 2, "high": 6},
    "layer_size": {"choices": [64, 128, 256, 512]},
    "activation": {"choices": ["relu", "tanh"]},
    "weight_decay": {"low": 1e-6, "high": 1e-1, "log": True},
    "epochs": {"low": 5, "high": 20},
}


def whole(**params: Any) -> Params:
    return with_defaults(parameters_of("mlp"), params)


def allowed(parameters: dict[str, Any], *configurations: Params, **rest: Any) -> list[Params]:
    return allowed_configurations(make(parameters, **rest), configurations)


@pytest.mark.parametrize("model", FAMILIES)
def test_what_is_shipped_is_valid_and_at_most_ten_different_configurations(model):
    found = portfolio(model)
    for params in found:
        require_valid(parameters_of(model), params)
        assert params.keys() == parameters_of(model).keys()
    space = make(model=model)
    assert len({effective_parameters(space, params) for params in found}) == len(found) <= 10


@pytest.mark.parametrize("model", FAMILIES)
def test_every_shipped_configuration_is_in_a_space_that_searches_all_of_it(model):
    shipped = portfolio(model)
    searched: dict[str, Any] = {}
    for name, default in with_defaults(parameters_of(model), {}).items():
        values = sorted({params[name] for params in shipped})
        if values != [default]:
            searched[name] = {"choices": values}
    found = allowed(searched, *shipped, model=model)
    assert found == [{name: params[name] for name in searched} for params in shipped]
    assert found


def test_a_users_network_has_no_portfolio():
    assert portfolio(OwnNetwork(NetworkSource("net.py", "build", ""), ())) == ()


def test_numbers_that_are_searched_move_to_the_nearest_value():
    given = whole(num_layers=9, layer_size=300, weight_decay=1.0, epochs=30)
    (found,) = allowed(FIVE, given)
    assert found == {
        "num_layers": 6,
        "layer_size": 256,
        "activation": "relu",
        "weight_decay": 0.1,
        "epochs": 20,
    }


@pytest.mark.parametrize(
    ("parameters", "given", "is_allowed"),
    [
        ({"activation": {"choices": ["relu", "tanh"]}}, {"activation": "tanh"}, True),
        ({"activation": {"choices": ["relu", "tanh"]}}, {"activation": "gelu"}, False),
        # Also where the text that is no choice is the default, which the space leaves out.
        ({"activation": {"choices": ["gelu", "tanh"]}}, {"activation": "relu"}, False),
        ({"activation": "tanh"}, {"activation": "tanh"}, True),
        ({"activation": "tanh"}, {"activation": "relu"}, False),
        ({}, {"activation": "tanh"}, False),
        ({}, {"optimizer": "sgd"}, False),
        ({"weight_decay": 0.1}, {"weight_decay": 0.1 * (1 + 1e-12)}, True),
        ({"weight_decay": 0.1}, {"weight_decay": 0.101}, False),
        ({"layer_size": 64}, {"layer_size": 128}, False),
        ({}, {"label_smoothing": 0.1}, False),
        # How long and how fast: the space may fix it.
        ({"epochs": 3, "batch_size": 32}, {"epochs": 20, "batch_size": 128}, True),
        # A default that depends on another parameter.
        ({"optimizer": "sgd"}, {"optimizer": "sgd", "learning_rate": 0.05}, True),
        ({"optimizer": "sgd"}, {"optimizer": "sgd", "learning_rate": 0.01}, False),
        ({"optimizer": {"choices": ["adamw", "sgd"]}}, {"optimizer": "sgd"}, True),
        ({"optimizer": {"choices": ["adamw", "sgd"]}}, {"learning_rate": 0.05}, False),
        # Without effect.
        ({"momentum": 0.5}, {"momentum": 0.9}, True),
        ({"momentum": 0.5, "optimizer": "sgd"}, {"momentum": 0.9, "optimizer": "sgd"}, False),
    ],
)
def test_text_and_what_is_fixed_are_as_in_the_configuration(parameters, given, is_allowed):
    found = allowed({"dropout": {"low": 0.0, "high": 0.1}, **parameters}, whole(**given))
    assert len(found) == is_allowed


def test_a_parameter_that_is_inactive_in_the_space_counts_with_its_default():
    parameters = {
        "optimizer": {"choices": ["adamw", "sgd"]},
        "label_smoothing": {"low": 0.0, "high": 0.2, "when": {"optimizer": "sgd"}},
    }
    smooth = {"label_smoothing": 0.1}
    assert allowed(parameters, whole(optimizer="sgd", **smooth)) == [
        {"optimizer": "sgd", "label_smoothing": 0.1}
    ]
    assert allowed(parameters, whole(optimizer="adamw", **smooth)) == []
    assert allowed(parameters, whole(optimizer="adamw")) == [{"optimizer": "adamw"}]


def test_what_is_the_same_once_it_is_in_the_space_counts_once_and_the_best_first():
    big, small = whole(layer_size=512), whole(layer_size=64)
    parameters = {"layer_size": {"choices": [32, 64]}, "num_layers": {"choices": [1, 3]}}
    found = allowed(parameters, big, small, whole(layer_size=32))
    assert found == [
        {"layer_size": 64, "num_layers": 3},
        {"layer_size": 32, "num_layers": 3},
    ]
    # Softmax regression has no layers to have a size.
    assert len(allowed({**parameters, "num_layers": {"choices": [1]}}, big, small)) == 1


def test_constraints_are_met():
    given = [whole(num_layers=6, layer_size=512), whole(num_layers=2, layer_size=64)]
    assert len(allowed(FIVE, *given)) == 2
    (found,) = allowed(FIVE, *given, constraints=["num_parameters <= 100000"])
    assert found["num_layers"] == 2


# ---------------------------------------------------------------- the switch


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_only_tpe_and_gp_use_it_unless_they_say_otherwise(sampler):
    assert make(sampler=sampler).uses_portfolio
    assert not make(sampler={"type": sampler, "portfolio": False}).uses_portfolio


@pytest.mark.parametrize("sampler", ["random", "qmc", "grid"])
def test_baselines_have_no_switch(tmp_path, sampler):
    head = "name: x\ndataset: digits\nparameters: {layer_size: {choices: [8, 16]}}\n"
    path = tmp_path / "x.yaml"
    path.write_text(f"{head}sampler: {sampler}\n")
    assert not load_space(path).uses_portfolio
    path.write_text(f"{head}sampler: {{type: {sampler}, portfolio: true}}\n")
    with pytest.raises(InputError, match=r"4:\d+: sampler: unknown key 'portfolio'"):
        load_space(path)


def test_without_it_a_search_is_another_one_and_with_it_the_same_as_before_there_was_any():
    with_it, without = make(sampler="tpe"), make(sampler={"type": "tpe", "portfolio": False})
    assert "portfolio" not in with_it.to_json()["sampler"]
    assert without.to_json()["sampler"]["portfolio"] is False
    assert not load_space(without.to_json()).uses_portfolio
    assert with_it.fingerprint != without.fingerprint
    assert with_it.differences(without) == ["sampler.portfolio: unset → false"]


def test_optuna_is_not_asked_for_it():
    space = make({"dropout": {"low": 0.0, "high": 0.5}}, sampler="tpe")
    assert StudySession(InMemoryStorage(), "x", space).ask().number == 0
