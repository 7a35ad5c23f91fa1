"""Files that a driver left in the middle of a write, busy files, files that are no files."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from helpers import run_cli, sqlite_url

from sweep.errors import StoreError
from sweep.store import Store, database_file
from sweep.store.database_file import has_unfinished_write

CUT_OFF = """
import os, sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.execute("PRAGMA cache_size = 1")  # so that pages are written before the commit
database.execute("UPDATE trial_system_attributes SET value_json = replace(value_json, '0.', '9.')")
database.execute("UPDATE trial_values SET value = 9")
assert os.path.getsize(sys.argv[1] + "-journal") > 4096
os._exit(9)
"""


@pytest.fixture
def cut_off(finished, tmp_path) -> str:
    """A store whose writer died in the middle of a commit, some of whose pages were written."""
    before = (tmp_path / "studies.db").read_bytes()
    writer = [sys.executable, "-c", CUT_OFF, str(tmp_path / "studies.db")]
    assert subprocess.run(writer, check=False).returncode == 9
    assert (tmp_path / "studies.db").read_bytes() != before
    assert has_unfinished_write(tmp_path / "studies.db")
    return finished


@pytest.mark.parametrize("to_write", [False, True])
def test_a_write_that_was_cut_off_is_taken_back(cut_off, finished_folder, tmp_path, to_write):
    study = Store(cut_off, to_write=to_write).read_study("small")
    assert study == Store(sqlite_url(finished_folder), to_write=False).read_study("small")
    assert not has_unfinished_write(tmp_path / "studies.db")


def test_where_nothing_can_be_written_the_message_says_what_to_do(cut_off, tmp_path, monkeypatch):
    # Tests may run as root, for whom nothing is read-only: ask the system in their place.
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    before = {path: path.read_bytes() for path in tmp_path.glob("studies.db*")}
    with pytest.raises(StoreError, match=r"in the middle of a write.*'studies.db-journal'"):
        Store(cut_off, to_write=False)
    assert {path: path.read_bytes() for path in tmp_path.glob("studies.db*")} == before


@pytest.mark.slow
def test_the_command_line_reads_on_after_a_write_that_was_cut_off(cut_off, tmp_path):
    done = run_cli("list", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "small" in done.stdout


def test_a_store_that_another_program_keeps_is_busy_and_not_damaged(
    finished, tmp_path, monkeypatch
):
    monkeypatch.setattr(database_file, "LOCK_WAIT_SECONDS", 0.05)
    with closing(sqlite3.connect(tmp_path / "studies.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="another process does not let go") as caught:
            Store(finished, to_write=False)
        assert "damaged" not in str(caught.value)


def test_a_pipe_is_no_store_and_nobody_waits_for_it(tmp_path):
    os.mkfifo(tmp_path / "studies.db")
    with pytest.raises(StoreError, match="is not a file"):
        Store(sqlite_url(tmp_path), to_write=False)


def test_damage_to_the_files_structure_is_found_before_optuna_reads_it(finished, tmp_path):
    with closing(sqlite3.connect(tmp_path / "studies.db")) as database:
        (page,) = database.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'ix_trials_study_id'"
        ).fetchone()
    content = bytearray((tmp_path / "studies.db").read_bytes())
    content[page * 4096 - 1] ^= 1  # in the last entry of an index that reading does not use
    (tmp_path / "studies.db").write_bytes(content)
    with pytest.raises(StoreError, match=r"is damaged \(.*index.*\); restore it from a copy"):
        Store(finished, to_write=False)


def test_reading_leaves_the_file_as_it_is(finished, tmp_path):
    def files() -> dict[Path, tuple[int, bytes]]:
        return {
            path: (path.stat().st_mtime_ns, path.read_bytes())
            for path in tmp_path.rglob("*")
            if path.is_file()
        }

    before = files()
    Store(finished, to_write=False).read_study("small")
    assert files() == before


def test_a_store_whose_making_was_cut_off_is_empty_and_can_be_made(tmp_path, main):
    """Optuna writes the version of its tables last, and a full disk may come before that."""
    url = sqlite_url(tmp_path)
    _ = Store(url, to_write=True).storage
    with closing(sqlite3.connect(tmp_path / "studies.db")) as database, database:
        database.execute("DELETE FROM alembic_version")
        database.execute("DELETE FROM version_info")
    assert Store(url, to_write=False).all_names() == []
    output, _ = main("doctor", code=0)
    assert "it has no tables yet" in output
    _ = Store(url, to_write=True).storage
    assert "it has no tables yet" not in main("doctor", code=0)[0]
