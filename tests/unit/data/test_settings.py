"""Where a search space's data lie, from the search space's folder to the store's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers import space_mapping

from sweep.data import data_settings
from sweep.errors import DataError
from sweep.records import DataSettings
from sweep.space import load_space
from sweep.store import Store

TABLE = {"table": "rows.csv", "target": "kind", "test_table": "more.csv", "group": "person"}


def settings(dataset: Any, folder: Path, **places: Any) -> DataSettings:
    """As `folder/space.yaml` has them."""
    path = folder / "space.yaml"
    path.write_text(yaml.safe_dump(space_mapping(dataset=dataset)))
    return data_settings(load_space(path).dataset, **places)


def test_own_data_lie_beside_the_search_space(tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEP_DATA_DIR", "elsewhere")  # for built-in data sets alone
    folder = settings({"folder": "photos", "image_size": 32, "test": 0.1}, tmp_path)
    assert (folder.kind, folder.name, folder.path) == ("folder", "photos", f"{tmp_path}/photos")
    assert (folder.image_size, folder.channels, folder.test) == ((32, 32), None, 0.1)
    table = settings({**TABLE, "split_seed": 3}, tmp_path)
    assert (table.path, table.test_path) == (f"{tmp_path}/rows.csv", f"{tmp_path}/more.csv")
    assert (table.target, table.group, table.split_seed) == ("kind", "person", 3)


def test_a_data_directory_stands_in_for_the_search_spaces_folder(tmp_path):
    assert settings({"arrays": "a/b.npz"}, tmp_path, data_dir="there").path == "there/a/b.npz"
    assert settings({"arrays": "/abs/b.npz"}, tmp_path, data_dir="there").path == "/abs/b.npz"
    assert settings("digits", tmp_path, data_dir="there").path == "there"


def test_from_python_own_data_start_from_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    space = load_space(space_mapping(dataset={"arrays": "mine.npz"}))
    monkeypatch.chdir("/")
    assert data_settings(space.dataset).path == f"{tmp_path}/mine.npz"


def test_a_stored_space_remembers_the_folder_and_is_the_same_search_without_it(tmp_path):
    spaces = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "space.yaml"
        path.write_text(yaml.safe_dump(space_mapping(dataset={"arrays": "mine.npz"})))
        spaces.append(load_space(path))
    one, two = spaces
    assert data_settings(load_space(one.to_json()).dataset).path == f"{tmp_path}/one/mine.npz"
    assert one.fingerprint == two.fingerprint
    assert one.differences(two) == []
    assert "relative_to" not in str(one.beyond_defaults())


def test_arrays_of_python_lie_beside_the_store(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/mine.db", to_write=False)
    sha256 = "ab" * 32
    found = settings({"arrays": f"sha256:{sha256}"}, tmp_path, kept=store.kept_data)
    assert found.path == f"{tmp_path}/mine.artifacts/.data/{sha256}.npz"
    assert found.sha256 == sha256
    assert found.name == "arrays from Python"
    with pytest.raises(DataError, match="given from Python and lie beside its store"):
        settings({"arrays": f"sha256:{sha256}"}, tmp_path)
