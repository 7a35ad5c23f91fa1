"""A search space as a mapping made in Python, by NumPy or by PyYAML."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from made_spaces import make

from sweep.errors import InputError, SearchSpaceError
from sweep.space import load_space

TEXT = """
name: x
dataset: {name: digits, validation: 1e2}
parameters:
  learning_rate: 3e-4
  weight_decay: {low: 1e-6, high: 1e-1, log: true}
  label_smoothing: {choices: [1e-2, 0.0]}
  dropout: {low: 0, high: 5e-1, step: 1e-1}
  layer_size: {choices: [16, 32], when: {dropout: [1e-1, 3e-1]}}
pruner: {type: patient, min_delta: 1e-3}
budget: {timeout: 30m, trials: 5}
enqueue: [{weight_decay: 1e-3, dropout: 1e-1}]
"""


def test_a_mapping_that_pyyaml_has_read_means_the_same_as_the_file(tmp_path):
    text = TEXT.replace("validation: 1e2", "validation: 100")
    mapping = yaml.safe_load(text)
    assert mapping["parameters"]["learning_rate"] == "3e-4", "YAML 1.1 takes it for text"
    path = tmp_path / "space.yaml"
    path.write_text(text)
    assert isinstance(path, Path)
    assert load_space(mapping) == load_space(path) == load_space(str(path))


def test_text_is_a_number_where_a_number_is_expected():
    space = make(
        {
            "epochs": "3",
            "layer_size": {"choices": ["16", "32"]},
            "num_layers": {"low": "1", "high": 2},
        }
    )
    assert space.domains["layer_size"].choices == [16, 32]
    assert (space.domains["epochs"], space.domains["num_layers"].low) == (3, 1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"parameters": {"activation": "1"}}, "activation: must be one of .*; found '1'"),
        ({"parameters": {"epochs": "3.5"}}, r"epochs: must be a whole number; found 3\.5"),
        ({"parameters": {"epochs": "three"}}, "epochs: must be a whole number; found 'three'"),
        ({"parameters": {"epochs": "0x10"}}, "epochs: must be a whole number; found '0x10'"),
        ({"parameters": {"epochs": "0"}}, "epochs: must be at least 1; found 0"),
        ({"parameters": {"learning_rate": ".inf"}}, "learning_rate: must be a number; found inf"),
        ({"name": 3}, "name: must be text; found 3"),
    ],
)
def test_text_is_no_number_elsewhere(changes, words):
    with pytest.raises(SearchSpaceError, match=f"{words}$"):
        load_space({"name": "x", "dataset": "digits", **changes})


def test_text_in_a_file_is_text(tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text("name: x\ndataset: digits\nparameters: {epochs: '3'}\n")
    with pytest.raises(SearchSpaceError, match="epochs: must be a whole number; found '3'"):
        load_space(path)


class Activation(StrEnum):
    RELU = "relu"


@pytest.mark.parametrize(
    ("parameters", "plain"),
    [
        ({"epochs": np.int64(3)}, {"epochs": 3}),
        ({"epochs": np.uint8(3)}, {"epochs": 3}),
        ({"learning_rate": np.float64(0.25)}, {"learning_rate": 0.25}),
        ({"learning_rate": np.float32(0.25)}, {"learning_rate": 0.25}),
        ({"activation": np.str_("tanh")}, {"activation": "tanh"}),
        ({"activation": Activation.RELU}, {"activation": "relu"}),
        (
            {"activation": {"choices": ("relu", "tanh")}},
            {"activation": {"choices": ["relu", "tanh"]}},
        ),
        ({"layer_size": {"choices": np.array([16, 32])}}, {"layer_size": {"choices": [16, 32]}}),
        (
            {"learning_rate": {"low": 0.1, "high": 1.0, "log": np.bool_(True)}},
            {"learning_rate": {"low": 0.1, "high": 1.0, "log": True}},
        ),
    ],
    ids=str,
)
def test_values_of_numpy_and_tuples_are_pythons_own(parameters, plain):
    space = make(parameters)
    assert space == make(plain)
    assert space.fingerprint == make(plain).fingerprint
    assert {type(value) for value in leaves(space.to_json())} <= {int, float, str, bool, type(None)}


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in leaves(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner)]
    return [value]


def test_the_mapping_itself_is_not_changed():
    mapping = yaml.safe_load(TEXT.replace("1e2", "100"))
    before = yaml.safe_load(TEXT.replace("1e2", "100"))
    load_space(mapping)
    assert mapping == before


@pytest.mark.parametrize("source", [None, 3, b"x.yaml", ["x.yaml"], {1, 2}])
def test_what_is_neither_a_path_nor_a_mapping_is_refused(source):
    with pytest.raises(InputError, match="the path of a file or a mapping; found type"):
        load_space(source)
