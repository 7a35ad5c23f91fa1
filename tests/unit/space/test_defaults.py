"""Defaults: those that depend on another parameter, and those that a later version adds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from made_spaces import Scripted, make

from sweep.definitions import DATASETS, parameters_of, with_defaults
from sweep.errors import SearchSpaceError
from sweep.records import DataFacts, Objective, StudyRecord, StudyState
from sweep.space import SearchSpace, load_space, stored_space

RATES = {"adamw": 1e-3, "adam": 1e-3, "sgd": 0.05}


# ---------------------------------------------------------------- that depend on another parameter


@pytest.mark.parametrize(("optimizer", "rate"), RATES.items())
def test_the_learning_rate_follows_from_a_fixed_optimizer(optimizer, rate):
    space = make({"optimizer": optimizer})
    assert space.domains["learning_rate"] == rate
    assert space.suggest(Scripted())["learning_rate"] == rate
    assert space.to_json()["parameters"]["learning_rate"] == rate


def test_the_learning_rate_follows_from_the_optimizer_by_default():
    assert make().domains["learning_rate"] == 1e-3


@pytest.mark.parametrize(("optimizer", "rate"), RATES.items())
def test_the_learning_rate_follows_from_a_sampled_optimizer(optimizer, rate):
    space = make({"optimizer": {"choices": list(RATES)}})
    trial = Scripted(optimizer=optimizer)
    assert space.suggest(trial)["learning_rate"] == rate
    assert trial.asked == ["optimizer"]
    assert "learning_rate" not in space.to_json()["parameters"]
    assert "learning_rate" not in space.sampled


@pytest.mark.parametrize("optimizer", ["sgd", {"choices": ["adamw", "sgd"]}])
def test_a_learning_rate_that_is_given_stays(optimizer):
    space = make({"optimizer": optimizer, "learning_rate": 0.3})
    assert space.domains["learning_rate"] == 0.3
    assert space.suggest(Scripted(optimizer="sgd"))["learning_rate"] == 0.3


def test_an_inactive_learning_rate_follows_from_the_optimizer_that_was_sampled():
    space = make(
        {
            "optimizer": {"choices": ["adamw", "sgd"]},
            "learning_rate": {"low": 0.001, "high": 0.002, "when": {"optimizer": "adamw"}},
        }
    )
    assert space.suggest(Scripted(optimizer="sgd"))["learning_rate"] == 0.05
    values = space.suggest(Scripted(optimizer="adamw", learning_rate=0.0015))
    assert values["learning_rate"] == 0.0015


def test_an_inactive_optimizer_gives_the_learning_rate_of_its_default():
    space = make(
        {
            "activation": {"choices": ["relu", "tanh"]},
            "optimizer": {"choices": ["sgd"], "when": {"activation": "relu"}},
        }
    )
    assert space.suggest(Scripted(activation="relu"))["learning_rate"] == 0.05
    values = space.suggest(Scripted(activation="tanh"))
    assert (values["optimizer"], values["learning_rate"]) == ("adamw", 1e-3)


def test_a_grid_counts_such_a_default_once():
    space = make({"optimizer": {"choices": list(RATES)}}, sampler="grid")
    assert list(space.configurations()) == [{"optimizer": name} for name in RATES]
    assert space.num_configurations == 3


def test_an_enqueued_configuration_takes_the_default_too():
    space = make({"optimizer": {"choices": ["adamw", "sgd"]}}, enqueue=[{"optimizer": "sgd"}, {}])
    assert space.suggest(Scripted(**space.enqueue[0]))["learning_rate"] == 0.05


def test_such_a_default_cannot_be_enqueued_over():
    words = (
        r"^enqueue\.0\.learning_rate: learning_rate has a default that depends on optimizer; "
        "give it values of its own$"
    )
    with pytest.raises(SearchSpaceError, match=words):
        make({"optimizer": {"choices": ["adamw", "sgd"]}}, enqueue=[{"learning_rate": 0.05}])


def test_a_fixed_one_can_be_enqueued_as_it_is_and_no_other():
    assert make({"optimizer": "sgd"}, enqueue=[{"learning_rate": 0.05}]).enqueue
    with pytest.raises(SearchSpaceError, match=r"learning_rate is fixed at 0\.05; found 0\.001"):
        make({"optimizer": "sgd"}, enqueue=[{"learning_rate": 0.001}])


def test_nothing_can_be_conditional_on_such_a_default():
    parameters = {
        "optimizer": {"choices": ["adamw", "sgd"]},
        "dropout": {"low": 0.0, "high": 0.5, "when": {"learning_rate": 0.05}},
    }
    words = (
        r"^parameters\.dropout\.when\.learning_rate: this condition can never hold: learning_rate "
        "has a default that depends on optimizer; give it values of its own$"
    )
    with pytest.raises(SearchSpaceError, match=words):
        make(parameters)


def test_a_condition_on_a_default_that_is_known_holds():
    parameters = {
        "optimizer": "sgd",
        "dropout": {"low": 0.25, "high": 0.5, "when": {"learning_rate": 0.05}},
    }
    assert make(parameters).suggest(Scripted())["dropout"] == 0.25


@pytest.mark.parametrize("broken", [{"choices": ["sgdd"]}, {"low": 1, "high": 2}, 3])
def test_a_broken_parent_is_the_only_problem(broken):
    with pytest.raises(SearchSpaceError, match=r"^parameters\.optimizer") as caught:
        make({"optimizer": broken})
    assert all(line.startswith("parameters.optimizer") for line in caught.value.problems)


def test_a_value_given_for_each_parameter_wins_over_every_default():
    assert with_defaults(parameters_of("mlp"), {"learning_rate": 7.0})["learning_rate"] == 7.0


# ---------------------------------------------------------------- identity


def written(space: SearchSpace) -> SearchSpace:
    """The space with every default written down."""
    return load_space(json.loads(json.dumps(space.to_json())))


@pytest.mark.parametrize("name", parameters_of("mlp"))
def test_a_default_that_is_written_down_leaves_no_trace(name):
    default = with_defaults(parameters_of("mlp"), {})[name]
    space, other = make(), make({name: default})
    assert other.fingerprint == space.fingerprint
    assert space.differences(other) == []
    assert space.is_at_default(name)
    assert other.is_at_default(name)


@pytest.mark.parametrize(("optimizer", "rate"), RATES.items())
def test_the_default_for_this_optimizer_leaves_no_trace(optimizer, rate):
    space = make({"optimizer": optimizer})
    same, another = (
        make({"optimizer": optimizer, "learning_rate": value}) for value in (rate, 0.02)
    )
    assert same.fingerprint == space.fingerprint == written(space).fingerprint
    assert space.differences(same) == []
    assert another.fingerprint != space.fingerprint
    assert space.differences(another) == [f"parameters.learning_rate: {rate} → 0.02"]


def test_a_fixed_rate_for_all_optimizers_is_another_search_than_one_for_each():
    optimizer = {"choices": ["adamw", "sgd"]}
    space, other = (
        make({"optimizer": optimizer}),
        make({"optimizer": optimizer, "learning_rate": 1e-3}),
    )
    assert other.fingerprint != space.fingerprint
    assert space.differences(other) == ["parameters.learning_rate: unset → 0.001"]


def test_choices_of_nothing_but_the_default_are_another_search():
    assert make({"epochs": {"choices": [20]}}).fingerprint != make().fingerprint


def stored(plain: dict[str, Any]) -> SearchSpace:
    """The space of a study that remembers this."""
    facts = DataFacts(DATASETS["digits"], "", b"")
    objective = Objective("validation_accuracy", "maximize")
    state = StudyState.INTERRUPTED
    return stored_space(StudyRecord("x", state, plain, objective, None, None, facts, (), ()))


SPACES = [
    {},
    {"optimizer": "sgd", "epochs": {"low": 1, "high": 3}},
    {"optimizer": {"choices": ["adam", "sgd"]}},
]


@pytest.mark.parametrize("parameters", SPACES)
def test_a_parameter_of_a_later_version_changes_no_study(newer, parameters):
    before = make(parameters)
    fingerprint, plain = before.fingerprint, before.to_json()
    newer()
    space, kept = make(parameters), stored(plain)
    assert space.domains["num_heads"] == kept.domains["num_heads"] == 4
    assert space.fingerprint == kept.fingerprint == fingerprint
    assert kept.differences(space) == []
    assert kept.suggest(Scripted())["num_heads"] == 4


def test_a_parameter_of_a_later_version_that_is_used_makes_another_search(newer):
    before = make()
    fingerprint, plain = before.fingerprint, before.to_json()
    newer()
    space = make({"num_heads": 8})
    assert space.fingerprint != fingerprint
    assert stored(plain).differences(space) == ["parameters.num_heads: 4 → 8"]


@pytest.mark.parametrize("parameters", SPACES)
def test_a_stored_space_that_lacks_a_default_reads_as_having_it(parameters):
    space = make(parameters)
    for name in space.definitions:
        if space.is_at_default(name):
            plain = space.to_json()
            plain["parameters"].pop(name, None)
            kept = stored(plain)
            assert kept.domains == space.domains, name
            assert kept.fingerprint == space.fingerprint, name
            assert kept.differences(space) == [], name


# ---------------------------------------------------------------- what is said of a space


def test_what_is_beyond_the_defaults_names_nothing_that_is_as_it_is_anyway():
    plain = make({"optimizer": "sgd", "learning_rate": 0.05, "epochs": 20}).beyond_defaults()
    assert plain["parameters"] == {"optimizer": "sgd"}
    assert "parameters" not in make({"learning_rate": 1e-3}).beyond_defaults()


@pytest.mark.parametrize("parameters", SPACES)
def test_what_is_beyond_the_defaults_makes_the_same_space(parameters):
    space = make(parameters, sampler={"type": "random", "seed": 3})
    again = load_space(space.beyond_defaults())
    assert again.fingerprint == space.fingerprint
    assert space.differences(again) == []


def test_a_model_that_there_is_not_is_the_only_problem_of_its_parameters():
    with pytest.raises(SearchSpaceError, match=r"^model: must be one of .*found 'mpl'.*'mlp'"):
        make({"num_layers": "many"}, model="mpl")


def test_the_model_is_part_of_the_identity_and_mlp_unless_it_is_named():
    assert make().model == "mlp"
    assert make(model="mlp").fingerprint == make().fingerprint
    assert make().to_json()["model"] == "mlp"
