"""Several stores in a folder, several processes on a store."""

from __future__ import annotations

import json
from contextlib import ExitStack

import pytest
from helpers import space_mapping, sqlite_url, start_cli

from sweep.store import Store
from sweep.store.artifacts import artifacts_folder


def test_stores_that_differ_in_their_ending_share_no_folder(tmp_path):
    names = ["x.db", "x.sqlite", "x", "exp.2026-01", "exp.2026-02", "exp.db"]
    folders = {artifacts_folder(tmp_path / name, "study") for name in names}
    assert len(folders) == len(names)
    assert artifacts_folder(tmp_path / "x.db", "study") == tmp_path / "x.artifacts" / "study"


@pytest.mark.slow
def test_processes_that_make_a_store_at_the_same_time_all_succeed(tmp_path):
    space = space_mapping(parameters={"num_layers": 1, "epochs": 1}, budget={"trials": 1})
    (tmp_path / "space.yaml").write_text(json.dumps(space))
    names = ["one", "three", "two"]
    options = ("--workers", 1, "--device", "cpu")
    with ExitStack() as stack:
        makers = [
            stack.enter_context(
                start_cli("run", "space.yaml", "--study", name, *options, cwd=tmp_path)
            )
            for name in names
        ]
        errors = [maker.communicate()[1] for maker in makers]
    assert [maker.returncode for maker in makers] == [0] * 3, errors
    store = Store(sqlite_url(tmp_path), to_write=False)
    assert sorted(store.all_names()) == names
