"""The four forms of the section `dataset`, and what is wrong with others."""

from __future__ import annotations

import pytest
from helpers import space_mapping

from sweep.errors import SearchSpaceError
from sweep.space import ArraysFile, BuiltIn, ImageFolder, TableFile, load_space


def dataset(value):
    return load_space(space_mapping(dataset=value)).dataset


@pytest.mark.parametrize(
    ("value", "kind", "title"),
    [
        ("digits", BuiltIn, "digits"),
        ({"name": "digits", "validation": 0.2}, BuiltIn, "digits"),
        ({"folder": "photos/", "image_size": [32, 48], "channels": "grey"}, ImageFolder, "photos/"),
        ({"arrays": "a.npz", "test": 0.3, "validation": 10}, ArraysFile, "a.npz"),
        ({"table": "a.csv", "target": "kind"}, TableFile, "a.csv"),
    ],
)
def test_the_key_tells_the_form(value, kind, title):
    found = dataset(value)
    assert type(found) is kind
    assert found.title == title
    assert load_space(load_space(space_mapping(dataset=value)).to_json()).dataset == found


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"validation": 3}, "dataset: needs one of name, folder, arrays, table$"),
        ({"foldr": "x"}, r"needs one of .* \(did you mean 'folder'\?\)"),
        ({"folder": "x", "arrays": "y"}, "unknown key 'arrays'.*allowed: .*image_size"),
        ({"folder": ""}, "dataset.folder: must not be empty"),
        ({"table": "a.csv"}, "dataset.target is missing"),
        ({"name": "digits", "test": 0.2}, "unknown key 'test'.*allowed: "),
        ({"folder": "x", "image_size": [0, 2]}, r"must be \[height, width\].*found \[0, 2\]"),
        ({"folder": "x", "image_size": True}, r"must be \[height, width\].*found True"),
        ({"folder": "x", "channels": "rgb"}, "must be one of grey, colour; found 'rgb'"),
        ({"arrays": "x", "test": 0}, "a share between 0 and 1; found 0"),
        ({"arrays": "x", "test": 1.5}, "a share between 0 and 1; found 1.5"),
        ({"arrays": "x", "validation": -1}, "a share between 0 and 1; found -1"),
        ({"arrays": "x", "validation": True}, "a share between 0 and 1; found "),
        ({"name": "digits", "validation": 1437}, "must be below 1,437, .* of digits; found 1,437"),
        (
            {"arrays": "sha256:../ab"},
            "must be a file, or sha256: and the 64 digits .* found",
        ),
        (7, "must be a name, or a mapping of keys to values; found 7"),
        ("mnst", r"must be one of .*; found 'mnst' \(did you mean 'mnist'\?\)"),
    ],
)
def test_what_is_wrong_is_said(value, message):
    with pytest.raises(SearchSpaceError, match=message):
        dataset(value)
