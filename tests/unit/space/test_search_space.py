"""What a valid search space means: conditions, grids, budget, identity."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
from made_spaces import Scripted, make

from sweep.definitions import DefaultBy, parameters_of, with_defaults
from sweep.space import SearchSpace, default_words, load_space, search_space_schema
from sweep.space.domains import domain_words

ROOT = Path(__file__).parents[3]
PARAMETERS = parameters_of("mlp")


CONDITIONAL = {
    "momentum": {"low": 0.1, "high": 0.5, "when": {"optimizer": "sgd"}},
    "optimizer": {"choices": ["adam", "sgd"], "when": {"activation": ["relu", "tanh"]}},
    "activation": {"choices": ["relu", "tanh", "sigmoid"]},
}


def test_a_parameter_that_is_not_named_has_its_default():
    values = make().suggest(Scripted())
    assert values == with_defaults(PARAMETERS, {})


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"optimizer": "sgd"}, "optimizer is sgd"),
        ({"optimizer": ["sgd"]}, "optimizer is sgd"),
        ({"num_layers": [2, 3], "optimizer": ["adam", "sgd", "muon"]},
         "num_layers is 2 or 3 and optimizer is adam, sgd or muon"),
    ],
)  # fmt: skip
def test_conditions_are_told_in_words(condition: dict[str, Any], words: str) -> None:
    space = make(
        {
            "momentum": {"low": 0.1, "high": 0.5, "when": condition},
            "optimizer": {"choices": ["adam", "sgd", "muon"]},
            "num_layers": {"low": 2, "high": 4},
        }
    )
    assert domain_words(space.domains["momentum"]) == f"0.1 to 0.5 when {words}"


def test_fixed_values_are_never_asked_for():
    trial = Scripted()
    values = make({"epochs": 7, "num_layers": {"low": 2, "high": 3}}).suggest(trial)
    assert trial.asked == ["num_layers"]
    assert values["epochs"] == 7


def test_parents_are_asked_before_their_children():
    trial = Scripted(activation="tanh", optimizer="sgd", momentum=0.3)
    values = make(CONDITIONAL).suggest(trial)
    assert trial.asked == ["activation", "optimizer", "momentum"]
    assert (values["activation"], values["optimizer"], values["momentum"]) == ("tanh", "sgd", 0.3)


def test_a_parameter_whose_condition_fails_has_its_default():
    trial = Scripted(activation="relu", optimizer="adam")
    values = make(CONDITIONAL).suggest(trial)
    assert trial.asked == ["activation", "optimizer"]
    assert values["momentum"] == PARAMETERS["momentum"].default


def test_a_child_of_an_inactive_parent_is_inactive_whatever_the_default_says():
    parameters = {
        "optimizer": {"choices": ["adamw", "sgd"], "when": {"activation": "relu"}},
        "activation": {"choices": ["relu", "tanh"]},
        # adamw is the default of the optimizer, too: only an active parent counts.
        "dropout": {"low": 0.1, "high": 0.2, "when": {"optimizer": "adamw"}},
    }
    trial = Scripted(activation="tanh")
    assert make(parameters).suggest(trial)["dropout"] == PARAMETERS["dropout"].default
    assert trial.asked == ["activation"]


def test_a_condition_may_depend_on_a_fixed_value():
    parameters = {
        "optimizer": "sgd",
        "momentum": {"low": 0.1, "high": 0.5, "when": {"optimizer": "sgd"}},
    }
    assert make(parameters).suggest(Scripted(momentum=0.2))["momentum"] == 0.2


# ---------------------------------------------------------------- grids


def brute_force(parameters: dict[str, list[Any]], conditions: dict[str, dict[str, list[Any]]]):
    """All configurations that differ, by filtering the whole product."""
    found = set()
    for values in itertools.product(*parameters.values()):
        full = dict(zip(parameters, values, strict=True))
        active = dict(full)
        for _ in parameters:  # once more for each level of conditions
            active = {
                name: value
                for name, value in active.items()
                if all(active.get(p) in wanted for p, wanted in conditions.get(name, {}).items())
            }
        found.add(frozenset(active.items()))
    return found


GRID: dict[str, list[Any]] = {
    "num_layers": [1, 2, 3],
    "layer_size": [16, 32],
    "activation": ["relu", "tanh"],
    "optimizer": ["adam", "sgd"],
    "momentum": [0.0, 0.25, 0.5],
    "dropout": [0.1, 0.2],
}
GRID_CONDITIONS = {
    "layer_size": {"num_layers": [2, 3]},
    "dropout": {"layer_size": [32], "activation": ["relu"]},
    "momentum": {"optimizer": ["sgd"]},
}


def grid_space() -> SearchSpace:
    parameters: dict[str, Any] = {name: {"choices": values} for name, values in GRID.items()}
    parameters["num_layers"] = {"low": 1, "high": 3}
    parameters["momentum"] = {"low": 0.0, "high": 0.5, "step": 0.25}
    for name, condition in GRID_CONDITIONS.items():
        parameters[name]["when"] = condition
    return make(parameters, sampler="grid")


def test_the_configurations_of_a_grid_are_those_of_brute_force():
    configurations = [frozenset(c.items()) for c in grid_space().configurations()]
    assert len(configurations) == len(set(configurations))
    assert set(configurations) == brute_force(GRID, GRID_CONDITIONS)


def test_a_grid_is_counted_without_listing_it():
    space = grid_space()
    assert space.num_configurations == len(brute_force(GRID, GRID_CONDITIONS))
    assert space.num_trials == space.num_configurations


def test_a_huge_space_is_counted():
    parameters = {"layer_size": {"low": 1, "high": 16384}, "epochs": {"low": 1, "high": 100_000}}
    assert make(parameters).num_configurations == 16384 * 100_000


def test_a_continuous_space_is_uncountable():
    assert make({"dropout": {"low": 0.0, "high": 0.5}}).num_configurations is None


def test_a_step_that_is_no_binary_fraction_reaches_the_end_exactly():
    space = make({"dropout": {"low": 0.0, "high": 0.3, "step": 0.1}}, sampler="grid")
    values = [configuration["dropout"] for configuration in space.configurations()]
    assert values == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert max(values) <= 0.3


# ---------------------------------------------------------------- budget


@pytest.mark.parametrize(
    ("rest", "trials"),
    [
        ({}, 50),
        ({"budget": {"trials": 7}}, 7),
        ({"budget": {"timeout": "5m"}}, None),
        ({"budget": {"trials": 7, "timeout": 60}}, 7),
        ({"sampler": "grid", "parameters": {"layer_size": {"choices": [1, 2, 3]}}}, 3),
        (
            {
                "sampler": "grid",
                "parameters": {"layer_size": {"choices": [1, 2, 3]}},
                "budget": {"trials": 2},
            },
            2,
        ),
        ({"enqueue": [{}] * 60}, 60),
    ],
)
def test_the_total_number_of_trials(rest, trials):
    space = load_space({"name": "x", "dataset": "digits", **rest})
    assert space.num_trials == trials


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("1h30m", 5400), ("1.5h", 5400), ("1h 5s", 3605), (45, 45)],
)
def test_durations(text, seconds):
    assert make(budget={"timeout": text}).budget.timeout == seconds


@pytest.mark.parametrize(
    ("epochs", "most"), [(7, 7), ({"low": 2, "high": 9}, 9), ({"choices": [4, 12, 6]}, 12)]
)
def test_the_most_epochs_of_a_trial(epochs, most):
    assert make({"epochs": epochs}).max_epochs == most


def test_a_trial_without_a_value_of_its_own_has_the_default_number_of_epochs():
    for epochs, most in (({"low": 2, "high": 9}, 20), ({"choices": [30, 40]}, 40)):
        space = make({"epochs": {**epochs, "when": {"optimizer": "sgd"}},
                      "optimizer": {"choices": ["adam", "sgd"]}})  # fmt: skip
        assert space.max_epochs == most
        assert space.suggest(Scripted(optimizer="adam"))["epochs"] == 20


@pytest.mark.parametrize(
    ("metric", "goal"),
    [
        ("validation_accuracy", "maximize"),
        ("validation_loss", "minimize"),
        ("validation_balanced_accuracy", "maximize"),
        ("validation_f1_macro", "maximize"),
    ],
)
def test_the_goal_follows_from_the_metric(metric, goal):
    objective = make(objective={"metric": metric}).trial_objective
    assert (objective.metric, objective.goal) == (metric, goal)


# ---------------------------------------------------------------- identity


def test_name_and_budget_are_not_part_of_the_fingerprint():
    space = make(CONDITIONAL)
    other = load_space({**space.to_json(), "name": "other", "budget": {"trials": 3}})
    assert other.fingerprint == space.fingerprint
    assert space.differences(other) == []


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": "mnist"},
        {"dataset": {"name": "digits", "split_seed": 1}},
        {"objective": {"metric": "validation_loss"}},
        {"parameters": {"epochs": 3}},
        {"sampler": {"type": "tpe", "seed": 1}},
        {"sampler": "random"},
        {"pruner": "median"},
        {"enqueue": [{}]},
    ],
)
def test_everything_else_is_part_of_the_fingerprint(change):
    space = make()
    other = load_space({**space.to_json(), **change})
    assert other.fingerprint != space.fingerprint
    assert space.differences(other)


def test_the_fingerprint_does_not_depend_on_how_the_space_was_written():
    short = load_space({"name": "x", "dataset": "digits", "sampler": "tpe"})
    long = load_space(
        {"sampler": {"type": "tpe", "seed": 0}, "dataset": {"name": "digits"}, "name": "x"}
    )
    assert short.fingerprint == long.fingerprint


def test_differences_name_place_and_both_values():
    mine = make({"epochs": {"low": 1, "high": 3}, "momentum": 0.5})
    theirs = make({"epochs": {"low": 1, "high": 5}, "momentum": {"low": 0.1, "high": 0.5}})
    assert mine.differences(theirs) == [
        "parameters.epochs.high: 3 → 5",
        "parameters.momentum: 0.5 → unset",
        "parameters.momentum.high: unset → 0.5",
        "parameters.momentum.log: unset → false",
        "parameters.momentum.low: unset → 0.1",
    ]


def test_a_space_survives_the_way_through_json():
    space = make(
        CONDITIONAL,
        pruner={"type": "patient", "pruner": "median"},
        enqueue=[{"activation": "sigmoid"}],
        budget={"timeout": "5m"},
    )
    again = load_space(json.loads(json.dumps(space.to_json())))
    assert again == space
    assert again.fingerprint == space.fingerprint


# ---------------------------------------------------------------- files of the repository


def test_the_schema_describes_every_parameter():
    definition = search_space_schema()["$defs"]["MlpParameters"]["properties"]
    described = {name: parameter.meaning for name, parameter in PARAMETERS.items()}
    depends = {n: p.default for n, p in PARAMETERS.items() if isinstance(p.default, DefaultBy)}
    described |= {
        n: f"{PARAMETERS[n].meaning} By default {default_words(d)}." for n, d in depends.items()
    }
    assert {name: entry["description"] for name, entry in definition.items()} == described
    assert {name for name, entry in definition.items() if "default" not in entry} == set(depends)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "search_spaces").glob("*.yaml")), ids=lambda p: p.name
)
def test_every_search_space_of_the_repository_is_valid(path):
    space = load_space(path)
    assert load_space(space.to_json()).fingerprint == space.fingerprint
    comment = [line for line in path.read_text().splitlines() if line.startswith("#")]
    assert re.search("[Ee]xpect (about|what)", " ".join(comment))
