"""Priors: what may be written, what it means for a space, and what of it is kept."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import flat_spec
from made_spaces import make

from sweep.errors import InputError, SearchSpaceError
from sweep.space import domain_words, load_space
from sweep.space import require_suited as suited

RATE = {"low": 1e-4, "high": 1e-1, "log": True}
GUIDED = {"learning_rate": {**RATE, "prior": 0.003}}
FINGERPRINT = "3c44b16baed14c96e2677e866dbacd8fa3b68eb6176645cf55e0c9fc32da6170"


def test_every_bad_prior_is_shown_with_its_place(tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text(
        "name: x\ndataset: digits\nparameters:\n"
        "  num_layers: {low: 2, high: 6, prior: 9}\n"
        "  layer_size: {choices: [64, 128], prior: 32}\n"
        "  activation: {choices: [relu, tanh], prior: rel}\n"
        "  dropout: {low: 0.0, high: 0.5, step: 0.1, prior: 0.25}\n"
        "  epochs: {low: 5, high: 20, prior: [3]}\n"
        "  weight_decay: {low: 0.1, high: 0.5, piror: 0.3}\n"
        "  batch_size: {low: 16, high: 64, prior: 32.5}\n"
        "  optimizer: {choices: [adamw, sgd], prior: adam}\n"
        "sampler: qmc\n"
    )
    with pytest.raises(SearchSpaceError, match="prior") as caught:
        load_space(path)
    assert [problem.removeprefix(f"{path}:") for problem in caught.value.problems] == [
        "4:40: parameters.num_layers.prior: num_layers is between 2 and 6; found 9",
        "5:43: parameters.layer_size.prior: layer_size is one of 64, 128; found 32",
        "6:46: parameters.activation.prior: must be one of relu, leaky_relu, sigmoid, tanh, gelu, "
        "silu, elu, mish; found 'rel' (did you mean 'relu'?)",
        "7:52: parameters.dropout.prior: dropout goes from 0.0 in steps of 0.1; found 0.25",
        "8:37: parameters.epochs.prior: must be a whole number; found a list; to choose from a "
        "list write {choices: [...]}",
        "9:39: parameters.weight_decay: unknown key 'piror' (did you mean 'prior'?); allowed: low, "
        "high, step, log, prior, when",
        "10:42: parameters.batch_size.prior: must be a whole number; found 32.5",
        "11:45: parameters.optimizer.prior: optimizer is one of adamw, sgd; found 'adam'",
        "12:10: sampler: qmc covers the space evenly, and priors guide tpe and gp only; found a "
        "prior of num_layers, layer_size, dropout, optimizer: choose another sampler, or leave the "
        "priors out",
    ]


@pytest.mark.parametrize(
    ("sampler", "reason"),
    [("grid", "tries every"), ("qmc", "evenly"), ("random", "is the baseline")],
)
def test_samplers_that_cannot_be_guided_refuse_priors(sampler, reason):
    parameters = {"activation": {"choices": ["relu", "tanh"], "prior": "relu"}}
    with pytest.raises(SearchSpaceError, match=rf"^sampler: {sampler} .*{reason}") as caught:
        make(parameters, sampler=sampler)
    assert len(caught.value.problems) == 1
    del parameters["activation"]["prior"]
    make(parameters, sampler=sampler)


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_the_others_take_them(sampler):
    assert make(GUIDED, sampler=sampler).prior == {"learning_rate": 0.003}


def test_a_prior_is_the_domains_own_value():
    parameters = {
        "dropout": {"low": 0.0, "high": 0.5, "step": 0.1, "prior": 0.1 + 0.2},
        "weight_decay": {"choices": [0.1, 0.3], "prior": 0.1 + 0.2},
        "num_layers": {"low": 1, "high": 4, "prior": np.int64(2)},
        "learning_rate": {"low": "1e-4", "high": 1, "prior": "1e-3"},
        "momentum": {"low": 0, "high": 0.9, "prior": 0},
    }
    prior = make(parameters).prior
    assert list(map(repr, (prior[name] for name in parameters))) == [
        "0.3",
        "0.3",
        "2",
        "0.001",
        "0.0",
    ]


def test_the_configuration_of_the_priors_leaves_out_what_is_inactive_in_it():
    def priors(optimizer: object, schedule: object) -> set[str]:
        momentum = {"low": 0.0, "high": 0.9, "prior": 0.5, "when": {"optimizer": "sgd"}}
        nesterov = {"choices": ["cosine", "constant"], "when": {"optimizer": ["sgd", "adamw"]}}
        both = {"optimizer": optimizer, "learning_rate_schedule": {**nesterov, **schedule}}
        warmup = {"low": 0.0, "high": 0.5, "prior": 0.2}
        warmup["when"] = {"learning_rate_schedule": "cosine"}
        return set(make({**both, "momentum": momentum, "warmup": warmup}).prior)

    names = ["adamw", "sgd", "adam"]
    adamw, sgd, adam = ({"choices": names, "prior": name} for name in names)
    assert priors(adamw, {"prior": "cosine"}) == {"optimizer", "learning_rate_schedule", "warmup"}
    assert priors(adamw, {"prior": "constant"}) == {"optimizer", "learning_rate_schedule"}
    assert priors(sgd, {}) == {"optimizer", "momentum", "warmup"}
    # Without the schedule, warmup is inactive as well.
    assert priors(adam, {"prior": "cosine"}) == {"optimizer"}
    # What the sampler draws may activate both.
    assert priors({"choices": names}, {}) == {"momentum", "warmup"}


def test_priors_that_together_break_a_constraint_are_refused(tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text(
        "name: x\ndataset: digits\nparameters:\n"
        "  num_layers: {low: 1, high: 4, prior: 3}\n"
        "  layer_size: {choices: [16, 64], prior: 64}\n"
        "  epochs: {low: 1, high: 9}\n"
        "constraints:\n  - epochs <= 8\n  - num_layers * layer_size < 100\n"
    )
    with pytest.raises(SearchSpaceError, match="priors") as caught:
        load_space(path)
    assert caught.value.problems == [
        f"{path}:9:5: constraints.1: the priors do not meet it together: num_layers=3 "
        "layer_size=64; change one of them"
    ]


def test_so_are_priors_that_no_completion_brings_to_meet_one():
    parameters = {
        "num_layers": {"low": 1, "high": 4, "prior": 4},
        "layer_size": {"choices": [64, 128]},
    }
    space = make(parameters, constraints=["num_layers * layer_size <= 128"])
    with pytest.raises(InputError, match=r"the priors: num_layers=4 does not meet .*change it"):
        suited(space, flat_spec(4, 2))


def test_a_prior_is_part_of_the_identity_and_none_changes_nothing():
    chosen = {"sampler": "tpe", "pruner": "none"}
    plain, guided = make({"learning_rate": RATE}, **chosen), make(GUIDED, **chosen)
    assert "prior" not in plain.to_json()["parameters"]["learning_rate"]
    unset = make({"learning_rate": {**RATE, "prior": None}}, **chosen)
    assert unset.fingerprint == plain.fingerprint
    # As it was before there were priors.
    assert plain.fingerprint == FINGERPRINT
    assert guided.fingerprint != plain.fingerprint
    assert plain.differences(guided) == ["parameters.learning_rate.prior: unset → 0.003"]
    for again in (load_space(guided.to_json()), load_space(guided.beyond_defaults())):
        assert (again.prior, again.fingerprint) == (guided.prior, guided.fingerprint)


def test_a_prior_is_said_in_words():
    space = make(
        {
            **GUIDED,
            "optimizer": {"choices": ["adamw", "sgd"], "prior": "sgd"},
            "momentum": {"low": 0.0, "high": 0.9, "prior": 0.0, "when": {"optimizer": "sgd"}},
        }
    )
    words = {name: domain_words(domain) for name, domain in space.sampled.items()}
    assert words == {
        "learning_rate": "0.0001 to 0.1, logarithmic, prior 0.003",
        "optimizer": "one of adamw, sgd, prior sgd",
        "momentum": "0 to 0.9, prior 0 when optimizer is sgd",
    }
