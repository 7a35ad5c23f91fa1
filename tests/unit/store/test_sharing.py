"""Several stores in a folder, several processes on a store."""

import subprocess
import sys

from helpers import sqlite_url

from sweep.store import Store
from sweep.store.artifacts import artifacts_folder


def test_stores_that_differ_in_their_ending_share_no_folder(tmp_path):
    names = ["x.db", "x.sqlite", "x", "exp.2026-01", "exp.2026-02", "exp.db"]
    folders = {artifacts_folder(tmp_path / name, "study") for name in names}
    assert len(folders) == len(names)
    assert artifacts_folder(tmp_path / "x.db", "study") == tmp_path / "x.artifacts" / "study"


def test_processes_that_make_a_store_at_the_same_time_all_succeed(tmp_path):
    code = "import sys; from sweep.store import Store; Store(sys.argv[1], to_write=True).storage"
    makers = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code, sqlite_url(tmp_path)],
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    assert [maker.communicate()[1] for maker in makers] == [""] * 4
    assert [maker.returncode for maker in makers] == [0] * 4
    assert Store(sqlite_url(tmp_path), to_write=False).study_names() == []
