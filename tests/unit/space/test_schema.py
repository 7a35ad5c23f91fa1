"""What is generated from the definitions is up to date and agrees with the validation."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

import sweep
from sweep.space import search_space_schema
from sweep.space.schema import SCHEMA_FILE, parameters_table, replace_table

ROOT = Path(sweep.__file__).parents[1]
PAGE = ROOT / "docs" / "search-space.md"
SPACES = sorted((ROOT / "search_spaces").glob("*.yaml"))

GOOD = {
    "name": "x",
    "dataset": "digits",
    "parameters": {"momentum": {"low": 0.1, "high": 0.9, "when": {"optimizer": "sgd"}}},
    "sampler": "random",
    "pruner": {"type": "patient", "pruner": "median"},
    "budget": {"trials": 3, "timeout": "1h30m"},
}


def test_the_committed_schema_is_fresh():
    assert json.loads(SCHEMA_FILE.read_text()) == search_space_schema(), "run `make schema`"


def test_the_documented_table_is_fresh():
    page = PAGE.read_text()
    assert parameters_table() in page, "run `make schema`"
    assert replace_table(page) == page


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.name)
def test_editors_accept_the_search_spaces_that_come_with_the_project(path):
    # PyYAML reads `1e-3` as text; an editor reads a number, as YAML 1.2 does.
    text = re.sub(r"\b(\d)e-", r"\1.0e-", path.read_text())
    jsonschema.validate(yaml.safe_load(text), search_space_schema())


def test_editors_accept_every_shorthand():
    schema = search_space_schema()
    jsonschema.validate(GOOD, schema)
    jsonschema.validate({**GOOD, "model": "cnn", "parameters": {"num_blocks": 2}}, schema)


def test_each_family_and_the_training_have_a_table():
    titles = [line for line in parameters_table().splitlines() if line.startswith("#")]
    assert titles == ["### Model `mlp`", "### Model `cnn`", "### Training, of any model"]
    for name, number in (("num_blocks", 1), ("dropout", 2), ("epochs", 1)):
        assert parameters_table().count(f"| `{name}` |") == number


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("parameters", {"num_blocks": 2}),
        ("sampelr", "random"),
        ("sampler", "oracle"),
        ("dataset", "imagenet"),
        ("parameters", {"activation": "rellu"}),
        ("parameters", {"layer_size": 0}),
        ("parameters", {"epochs": {"low": 1, "hihg": 3}}),
        ("pruner", {"type": "median", "patience": 3}),
        ("budget", {"trials": 0}),
    ],
)
def test_editors_mark_what_the_validation_refuses(key, value):
    bad = {**GOOD, key: value}
    with pytest.raises(jsonschema.ValidationError, match=r"."):
        jsonschema.validate(bad, search_space_schema())
    with pytest.raises(sweep.SearchSpaceError, match=r"."):
        sweep.load_space(bad)
