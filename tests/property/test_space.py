"""Valid spaces keep their promises; any other file is refused with an answer."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import pytest
from effort import examples
from hypothesis import assume, given
from hypothesis import strategies as st
from strange_yaml import FILES, assert_have_places

from sweep.definitions import (
    CategoricalParameter,
    DefaultBy,
    IntParameter,
    parameters_of,
    with_defaults,
)
from sweep.errors import SearchSpaceError
from sweep.space import Choices, Range, load_space, step_value

PARAMETERS = parameters_of("mlp")


@st.composite
def domains(draw: st.DrawFn, name: str) -> Any:
    """A fixed value, a range or choices that the parameter allows."""
    parameter = PARAMETERS[name]
    if isinstance(parameter, CategoricalParameter):
        value: Any = st.sampled_from(parameter.choices)
    elif isinstance(parameter, IntParameter):
        value = st.integers(parameter.minimum, parameter.maximum)
    else:
        value = st.floats(parameter.minimum, parameter.maximum, allow_subnormal=False)
    form = draw(st.sampled_from(["fixed", "choices", "range"]))
    if form == "fixed":
        return draw(value)
    if form == "choices" or isinstance(parameter, CategoricalParameter):
        return {"choices": draw(st.lists(value, min_size=1, max_size=4, unique=True))}
    low, high = sorted((draw(value), draw(value)))
    spread: dict[str, Any] = {"low": low, "high": high}
    if low > 0 and draw(st.booleans()):
        spread["log"] = True
    elif isinstance(parameter, IntParameter) and draw(st.booleans()):
        step = draw(st.integers(1, max(1, high - low)))
        spread |= {"step": step, "high": low + (high - low) // step * step}
    return spread


@st.composite
def spaces(draw: st.DrawFn) -> dict[str, Any]:
    """A valid search space, with conditions, as a mapping."""
    names = draw(st.lists(st.sampled_from(sorted(PARAMETERS)), unique=True))
    parameters = {name: draw(domains(name)) for name in names}
    # A child depends only on earlier parameters with choices, so there are no cycles.
    for index, child in enumerate(names):
        parents = [
            name
            for name in names[:index]
            if isinstance(parameters[name], dict) and "choices" in parameters[name]
        ]
        if isinstance(parameters[child], dict) and parents and draw(st.booleans()):
            parent = draw(st.sampled_from(parents))
            wanted = st.sampled_from(parameters[parent]["choices"])
            parameters[child]["when"] = {parent: draw(st.lists(wanted, min_size=1, unique=True))}
    sampler = draw(st.sampled_from(["tpe", "random", "qmc"]))
    for domain in parameters.values():
        if sampler == "tpe" and isinstance(domain, dict) and draw(st.booleans()):
            ends = domain.get("choices") or [domain["low"], domain["high"]]
            domain["prior"] = draw(st.sampled_from(ends))
    return {
        "name": draw(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", fullmatch=True)),
        "dataset": draw(st.sampled_from(["mnist", "digits"])),
        "parameters": parameters,
        "sampler": {"type": sampler, "seed": 3},
        "budget": draw(st.sampled_from([{}, {"trials": 5}, {"timeout": 60.0}])),
    }


class Dice:
    """Samples values at random."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        return low + step * self._random.randint(0, (high - low) // step)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None, log: bool
    ) -> float:
        return min(high, max(low, self._random.uniform(low, high)))

    def suggest_categorical(self, name: str, choices: list[Any]) -> Any:
        return self._random.choice(choices)


@examples()
@given(spaces())
def test_a_valid_space_survives_the_way_through_json(mapping):
    space = load_space(mapping)
    again = load_space(json.loads(json.dumps(space.to_json())))
    # A default that depends on a fixed parameter is stored as its value.
    assert again.domains == space.domains
    assert again.model_dump(exclude={"parameters"}) == space.model_dump(exclude={"parameters"})
    assert again == load_space(again.to_json())
    assert again.differences(space) == []
    assert again.fingerprint == space.fingerprint


@examples()
@given(mapping=spaces())
def test_a_valid_space_means_the_same_in_a_file(mapping, tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text(json.dumps(mapping))  # JSON is YAML
    assert load_space(path) == load_space(mapping)


def is_active(space: Any, name: str, values: dict[str, Any]) -> bool:
    domain = space.domains[name]
    if not isinstance(domain, Range | Choices) or not domain.when:
        return True
    return all(
        values[parent] in (wanted if isinstance(wanted, list) else [wanted])
        and is_active(space, parent, values)
        for parent, wanted in domain.when.items()
    )


@examples()
@given(spaces(), st.integers(0, 2**32))
def test_suggested_values_lie_in_their_domains_and_conditions_hold(mapping, seed):
    space = load_space(mapping)
    values = space.suggest(Dice(seed))
    assert sorted(values) == sorted(PARAMETERS)
    defaults = with_defaults(PARAMETERS, {"optimizer": values["optimizer"]})
    for name, value in values.items():
        domain = space.domains[name]
        if not is_active(space, name, values):
            assert value == defaults[name]
        elif isinstance(domain, Choices):
            assert value in domain.choices
        elif isinstance(domain, Range):
            assert domain.low <= value <= domain.high
            assert domain.step is None or (value - domain.low) % domain.step == 0
        elif isinstance(domain, DefaultBy):
            assert name not in mapping["parameters"]
            assert value == defaults[name]
        else:
            assert value == domain


@examples()
@given(spaces())
def test_counting_equals_listing(mapping):
    space = load_space(mapping)
    count = space.num_configurations
    assume(count is not None)
    assume(count <= 2000)
    assert sum(1 for _ in space.configurations()) == count


@st.composite
def finite_spaces(draw: st.DrawFn) -> dict[str, Any]:
    """A small grid: conditions on steps, whole numbers, choices and fixed values; a queue."""
    step, count = draw(st.sampled_from([0.01, 0.03, 0.07, 0.1])), draw(st.integers(0, 4))
    low = draw(st.sampled_from([0.0, 0.1, 0.25]))
    values: dict[str, list[Any]] = {
        "dropout": [low + number * step for number in range(count + 1)],
        "num_layers": draw(st.lists(st.integers(1, 9), min_size=1, max_size=3, unique=True)),
        "activation": draw(st.permutations(["relu", "tanh", "gelu"])),
        "epochs": [3],
        "label_smoothing": [0.1, 0.2],
    }
    parameters: dict[str, Any] = {name: {"choices": each} for name, each in values.items()}
    parameters["dropout"] = {"low": low, "high": low + count * step, "step": step}
    parameters["epochs"] = 3
    order = draw(st.permutations(sorted(values)))
    for index, child in enumerate(order):
        parents = draw(st.lists(st.sampled_from(order), max_size=2, unique=True))
        if parents := [parent for parent in parents if order.index(parent) < index]:
            when = {parent: draw(st.sampled_from(values[parent])) for parent in parents}
            if child != "epochs":
                parameters[child]["when"] = when
    enqueue = [
        {name: draw(st.sampled_from(values[name])) for name in names}
        for names in draw(st.lists(st.lists(st.sampled_from(order), unique=True), max_size=3))
    ]
    return {
        "name": "x", "dataset": "digits", "parameters": parameters, "enqueue": enqueue,
        "sampler": {"type": "grid", "seed": draw(st.integers(0, 3))},
    }  # fmt: skip


@examples()
@given(finite_spaces())
def test_a_grid_has_every_configuration_once_and_the_queue(mapping):
    try:
        space = load_space(mapping)
    except SearchSpaceError:  # conditions or values that exclude each other
        assume(False)
    sampled = space.sampled
    options = [[{name: value} for value in values_of(each)] for name, each in sampled.items()]
    whole = set()
    for parts in itertools.product(*options):
        full = {name: value for part in parts for name, value in part.items()}
        params = {**space.suggest(Dice(0)), **full}
        whole.add(frozenset((n, full[n]) for n in sampled if is_active(space, n, params)))
    listed = [frozenset(configuration.items()) for configuration in space.configurations()]
    assert set(listed) == whole
    assert space.num_configurations == len(listed) == len(whole)

    order = space.grid_order()
    given_out = [order.take(configuration) for configuration in space.enqueue]
    for wanted, configuration in zip(space.enqueue, given_out, strict=True):
        assert {n: v for n, v in wanted.items() if n in sampled}.items() <= configuration.items()
    total = space.num_trials
    assert total is not None
    given_out += [order.take({}) for _ in range(total - len(given_out))]
    assert {frozenset(configuration.items()) for configuration in given_out} == whole
    again = space.grid_order()
    for configuration in given_out[:-1]:
        again.add(configuration)
    assert len(given_out) == len(space.enqueue) or again.take({}) == given_out[-1]


def values_of(domain: Any) -> list[Any]:
    if isinstance(domain, Choices):
        return domain.choices
    return [
        step_value(domain.low, domain.step or 1, n)
        for n in range(1000)
        if step_value(domain.low, domain.step or 1, n) <= domain.high
    ]


# ---------------------------------------------------------------- garbage


@pytest.mark.parametrize("kind", FILES)
def test_a_strange_file_is_loaded_or_refused_with_places(kind, tmp_path):
    """`tests/soak/test_yaml_files.py` also limits time and memory."""
    path = tmp_path / "space.yaml"

    @examples(10 if kind in ("wide", "repeated") else 40)
    @given(FILES[kind])
    def load_or_refuse(text: bytes) -> None:
        path.write_bytes(text)
        try:
            load_space(path)
        except SearchSpaceError as error:
            assert_have_places(error.problems, path)

    load_or_refuse()
