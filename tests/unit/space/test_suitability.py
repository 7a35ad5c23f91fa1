"""What a search space asks for must be possible with its data."""

from __future__ import annotations

import re

import pytest
from helpers import flat_spec, space_mapping

from sweep.definitions import DATASETS
from sweep.errors import InputError
from sweep.space import load_space, require_suited

TABLE = {"table": "adult.csv", "target": "income"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("augmentation", "shift"),
        ("augmentation", {"choices": ["none", "elastic"]}),
        ("flip", "horizontal"),
        ("flip", {"choices": ["none", "horizontal"], "when": {"augmentation": "none"}}),
    ],
)
def test_only_images_are_changed(name, value):
    parameters = {name: value, "epochs": 2}
    require_suited(load_space(space_mapping(parameters=parameters)), DATASETS["digits"])
    space = load_space(space_mapping(dataset=TABLE, parameters=parameters))
    words = f"{name} changes images; data set adult.csv has none: leave it out"
    with pytest.raises(InputError, match=f"^{re.escape(words)}$"):
        require_suited(space, flat_spec(4, 2))


@pytest.mark.parametrize("value", ["none", {"choices": ["none"]}])
def test_a_table_may_name_what_changes_nothing(value):
    parameters = {"augmentation": value, "epochs": 2}
    space = load_space(space_mapping(dataset=TABLE, parameters=parameters))
    require_suited(space, flat_spec(4, 2))
