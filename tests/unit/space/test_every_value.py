"""Every place of a search space takes every kind of value: it is accepted or refused with a place.

Never a traceback, whether the space is YAML text or a mapping made in Python.
"""

from __future__ import annotations

import copy
import datetime
import decimal
import enum
import fractions
import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from strange_yaml import assert_have_places

from sweep.errors import SearchSpaceError
from sweep.space import SearchSpace, load_space

WHOLE: dict[str, Any] = {
    "name": "x",
    "dataset": {"name": "digits", "validation": 100, "split_seed": 0},
    "model": "mlp",
    "objective": {"metric": "validation_loss", "goal": "minimize"},
    "parameters": {
        "num_layers": {"low": 1, "high": 5, "step": 2, "log": False},
        "layer_size": {"choices": [16, 32], "when": {"num_layers": [3, 5], "activation": "tanh"}},
        "activation": {"choices": ["relu", "tanh"]},
        "dropout": {"low": 0.0, "high": 0.4, "step": 0.1, "when": {"layer_size": 32}},
        "label_smoothing": {"choices": [0.0, 0.1]},
        "learning_rate": 1e-3,
        "optimizer": "sgd",
        "epochs": 3,
    },
    "sampler": {"type": "tpe", "seed": 1, "n_startup_trials": 3, "multivariate": True},
    "pruner": {
        "type": "patient",
        "patience": 3,
        "min_delta": 0.0,
        "pruner": {"type": "hyperband", "min_resource": 1, "reduction_factor": 3},
    },
    "budget": {
        "trials": 9,
        "timeout": "1h30m",
        "trial_time_limit": 90.0,
        "max_failures": 2,
        "audit": 1,
    },
    "enqueue": [{"num_layers": 1}, {"dropout": 0.1, "activation": "tanh"}],
}
QMC = {"type": "qmc", "qmc_type": "halton", "scramble": True}
THRESHOLD = {"type": "threshold", "lower": 0.1, "upper": 0.9}
SPACES = [
    (WHOLE, ()),
    ({**WHOLE, "sampler": QMC}, ("sampler",)),
    ({**WHOLE, "pruner": THRESHOLD}, ("pruner",)),
]
"""Valid spaces, and the section of each that the ones before do not have."""

YAML = {
    "nothing": "",
    "bool": "true",
    "int": "3",
    "float": "0.5",
    "whole float": "1.0",
    "inf": "-.inf",
    "overflow": "1e400",
    "huge": "9" * 300,
    "too long": "9" * 5000,
    "word": "relu",
    "text": "'3'",
    "empty": "''",
    "surrogate": '"\\ud800"',
    "date": "2026-01-01",
    "list": "[]",
    "mapping": "{}",
    "list of scalars": "[1, a, null, true, .nan]",
    "nested list": "[[1], [[a]]]",
    "mapping of mappings": "{a: {b: [c]}, low: {}, choices: {}, when: 3, type: [], name: {}}",
    "other keys": "{1: 2, null: 3, true: 4, 1.5: 5}",
    "keys that are no words": "{? [a, b] : c, ? {d: e} : f}",
    "range": "{low: a, high: [], step: {}, log: 1, when: {a: {}}}",
    "choices": "{choices: [[], {}, null, .nan, 1, a], when: {epochs: [[]], 3: []}}",
    "type": "{type: {a: b}, seed: []}",
    "deep": "[" * 30 + "]" * 30,
    "tag": "!!python/object/apply:os.system [true]",
    "tagged text": "!!binary aGk=",
    "anchor": "&a [*a]",
    "merge": "{<<: {a: b}}",
}  # fmt: skip


class Color(enum.Enum):
    RED = 1


class Odd:
    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    def __hash__(self) -> int:
        raise RuntimeError

    def __repr__(self) -> str:
        raise RuntimeError


def endless() -> list[Any]:
    found: list[Any] = []
    found += [found, {"a": found}]
    return found


PYTHON: dict[str, Any] = {
    "none": None,
    "bool": True,
    "huge": 10**5000,
    "nan": float("nan"),
    "inf": float("inf"),
    "surrogate": "\ud800",
    "number as text": "3e-4",
    "long number as text": "9" * 5000,
    "bytes": b"relu",
    "set": {1, 2},
    "frozenset": frozenset({"relu"}),
    "range": range(3),
    "tuple": (1, "a", None),
    "iterator": iter([1]),
    "complex": 1j,
    "decimal": decimal.Decimal("0.1"),
    "fraction": fractions.Fraction(1, 3),
    "date": datetime.datetime(2026, 1, 1),
    "duration": datetime.timedelta(hours=1),
    "path": pathlib.Path("x"),
    "enum": Color.RED,
    "type": int,
    "function": len,
    "odd": Odd(),
    "endless": endless(),
    "other keys": {1: 2, None: 3, (1, 2): 4, b"a": 5, frozenset(): 6, np.int64(3): 7},
    "arrays": np.array([[1.5, 2.5]]),
    "no array": np.array(3),
    "objects": np.array([{1}, None, Odd()], dtype=object),
    "numbers": [np.int64(3), np.float32(0.1), np.bool_(True), np.str_("relu"), np.longdouble(1)],
    "moment": np.datetime64("2026-01-01"),
    "choices": {"choices": {16, 32}, "when": {"epochs": {3}}},
    "choices of objects": {"choices": [Odd(), {1}, b"a"], "when": {"epochs": [Odd()]}},
    "range of objects": {"low": decimal.Decimal(1), "high": Odd(), "step": np.array([1])},
}


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a value, and in each mapping and list one that is not there yet."""
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from paths(inner, (*path, key))
        yield (*path, "new")
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield from paths(inner, (*path, index))
        yield (*path, len(value))


PLACES = [
    (space, path) for space, under in SPACES for path in paths(space) if path[: len(under)] == under
]


def changed(space: dict[str, Any], path: tuple[Any, ...], value: Any) -> Any:
    """The space with another value in one place."""
    if not path:
        return value
    whole = copy.deepcopy(space)
    inner = whole
    for key in path[:-1]:
        inner = inner[key]
    if isinstance(inner, list) and path[-1] == len(inner):
        inner.append(value)
    else:
        inner[path[-1]] = value
    return whole


def test_the_spaces_are_valid():
    for space, _ in SPACES:
        assert isinstance(load_space(space), SearchSpace)


@pytest.mark.parametrize("text", YAML.values(), ids=YAML)
def test_every_place_of_a_file_takes_every_value(tmp_path, text):
    file = tmp_path / "space.yaml"
    for space, path in PLACES:
        whole = json.dumps(changed(space, path, "@here@"))
        file.write_text(whole.replace('"@here@"', text))
        try:
            load_space(file)
        except SearchSpaceError as error:
            assert_have_places(error.problems, file)


@pytest.mark.slow
@pytest.mark.parametrize("value", PYTHON.values(), ids=PYTHON)
def test_every_place_of_a_mapping_takes_every_value(value):
    for space, path in PLACES:
        mapping = changed(space, path, None)
        if not path:
            mapping = {"name": value}
        else:
            inner = mapping
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = value
        try:
            load_space(mapping)
        except SearchSpaceError as error:
            for problem in error.problems:
                assert problem.isprintable()
                assert re.match(r"\S+( \S+)*$", problem), problem
