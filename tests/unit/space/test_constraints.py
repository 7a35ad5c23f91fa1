"""Constraints: what may be written, what it means, and what a space makes of it."""

from __future__ import annotations

import re
from itertools import islice
from typing import Any

import pytest
from helpers import flat_spec, space_mapping
from made_spaces import Scripted, make

from sweep.definitions import DATASETS, FAMILIES
from sweep.errors import InputError, SearchSpaceError
from sweep.records import NetworkArgument, NetworkSource, OwnNetwork
from sweep.space import acceptance, load_space, load_space_for, random_configurations
from sweep.space import require_suited as suited
from sweep.space.constraints import read_constraint

LAYERS = {"num_layers": {"low": 1, "high": 4}, "layer_size": {"choices": [16, 64, 256]}}
TABLE = {"table": "adult.csv", "target": "income"}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("a * b <= 6", True),
        ("a * b < 6", False),
        ("a*b>=6", True),
        ("a + b * c == 14", True),
        ("(a + b) * c == 20", True),
        ("a - b - c == -5", True),
        ("a / b / 2 == 1 / 3", True),
        ("-a * -b == 6", True),
        ("--a == a", True),
        ("a != 2", False),
        ("1 < a < b <= 3", True),
        ("1 < a < a", False),
        ("1e2 > .5 * 2.", True),
        ("a / (b - 3) < 1", False),  # divided by zero
        ("a / (b - 3) >= 1", False),
        ("1e308 * 10 > 1", False),  # overflow, of which 0 would be left
        ("1 / (1e308 * 10) < 1", False),
        (f"{' * '.join(['big'] * 20)} > 1", False),
    ],
)
def test_a_constraint_is_plain_arithmetic(text, holds):
    values = {"a": 2, "b": 3, "c": 4, "big": 2**53}
    assert read_constraint(text).is_met(values) is holds


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("", ["expected a number, a name or ( at character 1; found its end"]),
        ("num_layers", ["a comparison (<=, <, >=, >, ==, !=) at character 11; found its end"]),
        ("num_layers = 3", ["comparison", "at character 12; found '='"]),
        ("num_layers <= ", ["expected a number, a name or (", "found its end"]),
        ("num_layers ** 2 < 9", ["at character 13; found '*'"]),
        ("(num_layers < 3", ["expected an operator or ) at character 13; found '<'"]),
        ("num_layers < 3)", ["at character 15; found ')'"]),
        ("num_layers < 3 and epochs < 4", ["found 'and'; write each condition as a constraint"]),
        ("num_layers.real < 3", ["at character 11; found '.'"]),
        ("activation != 'relu'", ["""found "'relu'"; only numbers are compared, and `when:`"""]),
        ("activation < 3", ["activation is no number", "when: {activation: ...}"]),
        ("num_layer < 3", ["no parameter or cost 'num_layer' (did you mean 'num_layers'?)"]),
        ("flop < 3", ["did you mean 'flops'?"]),
        ("epochs < 1e999", ["the number 1e999 is too large"]),
        (f"epochs < {'9' * 399}", ["is too large"]),
        (f"{'(' * 21}epochs{')' * 21} < 3", ["nested deeper than 20 levels"]),
        (f"{'-' * 40}epochs < 3", ["nested deeper than 20 levels"]),
        (f"{'1+' * 250}1 < epochs", ["may have at most 500 characters; found 510"]),
    ],
)
def test_what_is_none_is_refused_with_a_reason(text, fragments):
    with pytest.raises(SearchSpaceError, match=re.escape("constraints.0: ")) as caught:
        make(constraints=[text])
    (problem,) = caught.value.problems
    assert all(fragment in problem for fragment in fragments), problem


def test_all_mistakes_are_shown_with_their_places(tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text(
        "name: x\ndataset: digits\nparameters: {epochs: {low: 1, high: 9}}\n"
        "constraints:\n  - epochs <= 8\n  - 7\n  - epoch < 3\n"
        "  - optimizer < 3\nenqueue: [{epochs: 9}, {epoch: 2}]\n"
    )
    with pytest.raises(SearchSpaceError, match="constraints") as caught:
        load_space(path)
    found = [problem.removeprefix(f"{path}:") for problem in caught.value.problems]
    assert [each.split(" ")[0] for each in found] == ["6:5:", "7:5:", "8:5:", "9:32:"]
    assert found[0] == "6:5: constraints.1: must be text; found 7"


def test_an_enqueued_configuration_is_refused_where_it_breaks_a_constraint(tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text(
        "name: x\ndataset: digits\nparameters:\n  num_layers: {low: 1, high: 9}\n"
        "  layer_size: {low: 1, high: 999}\n  epochs: 3\n"
        "constraints: [num_layers * layer_size < 99, num_parameters < 1000]\n"
        "enqueue:\n  - {num_layers: 3, layer_size: 33}\n  - {num_layers: 3}\n"
        "  - {num_layers: 2, layer_size: 10}\n"
    )
    with pytest.raises(SearchSpaceError, match="does not meet") as caught:
        load_space(path)
    assert caught.value.problems == [
        f"{path}:9:5: enqueue.0: does not meet the constraint 'num_layers * layer_size < 99'",
        f"{path}:9:5: enqueue.0: does not meet the constraint 'num_parameters < 1000'",
    ]


def test_the_costs_of_a_network_of_ones_own_are_not_known():
    network = OwnNetwork(
        NetworkSource("net.py", "build", ""), (NetworkArgument("width", "int", 3),)
    )
    source = {"name": "x", "dataset": "digits", "parameters": {"width": {"low": 1, "high": 9}}}
    space = load_space_for({**source, "constraints": ["width * 2 < 9"]}, network=network)
    assert not space.limits.broken({"width": 4})
    for name in ("num_parameters", "flops"):
        words = f"{name} of a network of your own is known only once it is built"
        with pytest.raises(SearchSpaceError, match=words):
            load_space_for({**source, "constraints": [f"{name} < 9"]}, network=network)


def test_no_constraints_change_no_fingerprint_and_others_do():
    plain, empty, one = make(LAYERS), make(LAYERS, constraints=[]), ["num_layers < 4"]
    assert empty.fingerprint == plain.fingerprint
    assert empty.to_json() == plain.to_json()
    assert "constraints" not in plain.to_json()
    constrained = make(LAYERS, constraints=one)
    assert constrained.fingerprint != plain.fingerprint
    again = load_space(constrained.to_json())
    assert (again.constraints, again.fingerprint) == (one, constrained.fingerprint)
    assert plain.differences(constrained) == ['constraints: unset → ["num_layers < 4"]']


def test_there_may_be_a_hundred():
    make(constraints=["epochs < 1000"] * 100)
    with pytest.raises(SearchSpaceError, match="at most 100 entries; found 101"):
        make(constraints=["epochs < 1000"] * 101)


def test_costs_are_the_familys():
    params = {"num_layers": 2, "layer_size": 16}
    cost = FAMILIES["mlp"].cost(params, DATASETS["digits"])
    texts = [f"num_parameters == {cost.num_parameters}", f"flops == {cost.example_flops}"]
    space = make(params, constraints=texts)
    assert space.limits.broken(space.suggest(Scripted())) == []
    # The same network has other costs on other data.
    other = space.on_data(flat_spec(4, 2))
    assert other.limits.broken(other.suggest(Scripted())) == texts


def test_costs_wait_for_the_form_of_own_data():
    space = load_space(space_mapping(dataset=TABLE, constraints=["num_parameters < 1"]))
    assert not space.limits.are_known
    assert not space.limits.broken(space.suggest(Scripted()))
    known = space.on_data(flat_spec(4, 2))
    assert known.limits.are_known
    assert known.limits.broken(known.suggest(Scripted())) == ["num_parameters < 1"]
    assert known.to_json() == space.to_json()


def test_the_default_of_an_inactive_parameter_counts():
    parameters = {
        "optimizer": {"choices": ["adamw", "sgd"]},
        "momentum": {"low": 0.0, "high": 0.5, "when": {"optimizer": "sgd"}},
    }
    space = make(parameters, constraints=["momentum < 0.9"])
    inactive = space.suggest(Scripted(optimizer="adamw"))
    assert space.limits.broken(inactive) == ["momentum < 0.9"]
    assert {each["optimizer"] for each in random_configurations(space, 20)} == {"sgd"}


# ---------------------------------------------------------------- random configurations


def test_random_configurations_are_those_that_meet_the_constraints():
    texts = ["num_layers * layer_size <= 256", "num_parameters <= 10000"]
    free, space = make(LAYERS), make(LAYERS, constraints=texts)
    drawn = random_configurations(free, 10_000)
    expected = [
        each
        for each in drawn
        if each["num_layers"] * each["layer_size"] <= 256
        and FAMILIES["mlp"].cost(each, DATASETS["digits"]).num_parameters <= 10_000
    ]
    assert random_configurations(space, 300) == expected[:300]
    found = acceptance(space)
    assert (found.num_drawn, found.num_met) == (10_000, len(expected))
    small = sum(each["num_layers"] * each["layer_size"] <= 256 for each in drawn)
    assert found.met[texts[0]] == small
    assert list(found.met) == texts


def grid(**changes: Any) -> Any:
    return make({**LAYERS, "epochs": 2}, sampler="grid", **changes)


def test_a_grid_is_what_meets_the_constraints():
    space = grid(constraints=["num_layers * layer_size <= 64"], enqueue=[{"num_layers": 4}] * 2)
    order = space.grid_order()
    given = [order.take({"num_layers": 4}) for _ in range(2)]
    assert given == [{"num_layers": 4, "layer_size": 16}] * 2
    total = space.num_trials
    assert total == 5 + 1  # what is enqueued again comes on top
    rest = [order.take({}) for _ in range(total - 2)]
    found = sorted((each["num_layers"], each["layer_size"]) for each in [given[0], *rest])
    assert found == [(1, 16), (1, 64), (2, 16), (3, 16), (4, 16)]
    assert (acceptance(space).num_drawn, acceptance(space).num_met) == (12, 5)
    assert len(random_configurations(space, 100)) == 5
    assert len({str(each) for each in random_configurations(space, 100)}) == 5


def test_a_grid_in_which_nothing_fits_gives_out_nothing():
    order = grid(constraints=["num_layers > 4"]).grid_order()
    assert (order.count, order.take({})) == (0, {})


def test_constraints_keep_the_order_of_a_grid():
    free, space = grid().grid_order(), grid(constraints=["layer_size < 99"]).grid_order()
    expected = [each for _ in range(12) if (each := free.take({}))["layer_size"] < 99]
    assert [space.take({}) for _ in range(8)] == expected
    assert list(islice(expected, 9)) == expected


# ---------------------------------------------------------------- possible or not


@pytest.mark.parametrize(("sampler", "kind"), [("tpe", "10,000 random"), ("grid", "12 the grid's")])
def test_a_space_in_which_nothing_fits_is_refused_with_counts(sampler, kind):
    parameters = {**LAYERS, "epochs": 2}
    texts = ["num_layers <= 4", "num_parameters < 9"]
    space = make(parameters, sampler=sampler, constraints=texts)
    words = f"none of {kind} configurations meets all constraints:\n  num_layers <= 4: met by "
    with pytest.raises(InputError, match=re.escape(words)) as caught:
        suited(space, DATASETS["digits"])
    assert "\n  num_parameters < 9: met by 0\n" in str(caught.value)


def test_what_is_enqueued_must_be_possible_whatever_is_drawn_beside_it():
    constraints = ["num_layers * layer_size <= 64"]
    space = make(LAYERS, constraints=constraints, enqueue=[{"num_layers": 4}])
    suited(space, DATASETS["digits"])
    narrow = {**LAYERS, "layer_size": {"choices": [17, 64]}}
    space = make(narrow, constraints=constraints, enqueue=[{"num_layers": 3}, {"num_layers": 4}])
    words = re.escape("enqueue.1: num_layers=4 does not meet the constraint 'num_layers * layer_")
    with pytest.raises(InputError, match=words):
        suited(space, DATASETS["digits"])
