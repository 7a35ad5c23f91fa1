"""`sweep doctor`: what is damaged or left over is listed with advice, and nothing is changed."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from helpers import begin, space_mapping, sqlite_url
from test_opening import CUT_OFF

from sweep.definitions import DATASETS
from sweep.errors import StoreError
from sweep.records import Checkpoint, DataFacts, StudyState
from sweep.space import load_space
from sweep.store import Examination, Store, StoredStudy, examine
from sweep.study import StudySession

SPACE = load_space(space_mapping())
FACTS = DataFacts(DATASETS["digits"], "f" * 64, bytes([1, 2, 3]))


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def examined(folder: Path) -> Examination:
    before = files(folder)
    found = examine(sqlite_url(folder))
    assert files(folder) == before
    return found


def advice(found: Examination, words: str) -> str:
    (finding,) = [finding for finding in found.findings if words in finding.what]
    return finding.advice


@pytest.fixture
def interrupted(tmp_path) -> Store:
    """A study with one trial under way, which has two checkpoints."""
    store = Store(sqlite_url(tmp_path), to_write=True)
    session = StudySession(store.storage, "small", SPACE)
    with store.lock("small"):
        store.write_study("small", StoredStudy(space=SPACE.to_json(), data=FACTS))
        begin(store, "small", session)
        store.trials("small").write_checkpoints([Checkpoint(0, 1, 0, b"one")])
        store.trials("small").write_checkpoints([Checkpoint(0, 2, 0, b"two")])
    return store


def test_a_whole_store_has_nothing_to_do(finished, tmp_path):
    found = examined(tmp_path)
    assert not found.is_damaged
    assert (found.integrity, found.findings) == ((), ())
    assert [(s.name, s.state, s.num_trials) for s in found.studies] == [
        ("small", StudyState.FINISHED, 3)
    ]


def test_orphans_are_listed_and_are_no_damage(interrupted, tmp_path):
    found = examined(tmp_path)
    assert not found.is_damaged
    assert f"`sweep resume small --storage {interrupted.url}`" in advice(found, "1 trial under way")
    assert advice(found, "under way").endswith("takes up where the driver stopped")


def test_a_study_at_work_has_no_orphans(interrupted, tmp_path):
    with interrupted.lock("small"):
        found = examine(interrupted.url)
    assert found.findings == ()
    assert found.studies[0].state is StudyState.RUNNING


def test_damaged_checkpoints_are_listed_with_what_a_resume_makes_of_them(interrupted, tmp_path):
    newest, earlier = interrupted.trials("small").recorded_checkpoints(0)
    newest.write_bytes(b"half")
    found = examined(tmp_path)
    assert found.is_damaged
    assert advice(found, "1 of 2 checkpoints of trial 0").endswith("continues after epoch 1")
    earlier.unlink()
    assert advice(examined(tmp_path), "2 of 2 checkpoints").endswith("starts it again")


def test_missing_and_damaged_weights_are_listed(finished, tmp_path):
    first, second, third = sorted(tmp_path.rglob("trial-*.safetensors"))
    first.unlink()
    second.write_bytes(second.read_bytes()[:-1])
    found = examined(tmp_path)
    assert found.is_damaged
    assert "restore the file" in advice(found, "the weights of trial 0 are missing")
    assert "restore the file" in advice(found, f"trial 1, {str(second)!r}, are damaged")
    assert len(found.findings) == 2
    third.unlink()
    second.unlink()
    assert not examined(tmp_path).is_damaged  # a store may be copied without its folder


def test_what_a_crash_left_and_folders_of_no_study_are_listed(finished, tmp_path):
    folder = tmp_path / "studies.artifacts"
    (folder / "small" / "trial-00007.tmp").write_bytes(b"half")
    (folder / "small" / "checkpoint-00000-0123456789abcdef.safetensors").write_bytes(b"old")
    (folder / "small" / "trial-00099.safetensors").write_bytes(b"whose")
    (folder / "gone").mkdir()
    found = examined(tmp_path)
    assert not found.is_damaged
    for words in ("trial-00007.tmp", "checkpoint-00000", "trial-00099", "belongs to no study"):
        assert "delete" in advice(found, words)


def test_a_study_that_cannot_be_read_is_named_beside_those_that_can(interrupted, tmp_path):
    StudySession(interrupted.storage, "other", SPACE)
    interrupted.write_study("other", StoredStudy(space=SPACE.to_json(), data=FACTS))
    with closing(sqlite3.connect(tmp_path / "studies.db")) as database, database:
        database.execute("UPDATE study_system_attributes SET value_json = '1' WHERE study_id = 2")
    found = examined(tmp_path)
    assert found.is_damaged
    assert [(s.name, s.state is None) for s in found.studies] == [("other", True), ("small", False)]
    assert ".recover | sqlite3" in advice(found, "study 'other'")


def test_a_write_that_was_cut_off_is_examined_on_a_copy(finished, tmp_path):
    writer = [sys.executable, "-c", CUT_OFF, str(tmp_path / "studies.db")]
    assert subprocess.run(writer, check=False).returncode == 9
    found = examined(tmp_path)
    assert not found.is_damaged
    assert "rolls that write back" in advice(found, "in the middle of a write")
    assert found.studies[0].state is StudyState.FINISHED


@pytest.mark.parametrize("content", [b"name: text", b"SQLite format 3\0" + b"\xaa" * 5000])
def test_a_file_that_is_damaged_altogether_has_advice(tmp_path, content):
    (tmp_path / "studies.db").write_bytes(content)
    found = examined(tmp_path)
    assert found.is_damaged
    assert found.integrity
    assert "restore it from a copy" in found.findings[0].advice


def test_an_empty_file_is_no_damage(tmp_path):
    (tmp_path / "studies.db").touch()
    assert not examined(tmp_path).is_damaged


def test_what_is_no_store_is_refused(tmp_path):
    with pytest.raises(StoreError, match="there is no store"):
        examine(sqlite_url(tmp_path))
    with closing(sqlite3.connect(tmp_path / "studies.db")) as database:
        database.execute("CREATE TABLE recipes (title TEXT)")
    with pytest.raises(StoreError, match=r"another program \(its tables: recipes\)"):
        examine(sqlite_url(tmp_path))


# ---------------------------------------------------------------- the command


def test_the_command_takes_a_path_or_a_url(finished, main):
    for store in ("", "studies.db", finished):
        output, errors = main(f"doctor {store}", code=0)
        assert errors == ""
        assert "integrity check: ok" in output
        assert "study small: finished, 3 trials" in output


def test_the_command_says_what_is_damaged_and_exits_with_1(finished, tmp_path, main):
    (tmp_path / "studies.artifacts" / "small" / "trial-00000.safetensors").write_bytes(b"x")
    output, _ = main("doctor", code=1)
    assert "DAMAGED: study small: the weights of trial 0" in output
    assert "what to do: restore the file" in output
    document = json.loads(main("doctor --json", code=1)[0])
    assert document["damaged"] is True
    assert document["findings"][0]["study"] == "small"


def test_the_command_without_a_store_is_exit_code_2(main):
    output, errors = main("doctor nowhere.db", code=2)
    assert (output, errors.count("\n")) == ("", 1)


def test_a_store_that_another_process_holds_is_not_called_damaged(
    tmp_path, interrupted, monkeypatch
):
    monkeypatch.setattr("sweep.store.database_file.LOCK_WAIT_SECONDS", 0.1)
    with closing(sqlite3.connect(tmp_path / "studies.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="cannot be read now: another process does not let go"):
            examine(sqlite_url(tmp_path))
    assert not examined(tmp_path).is_damaged
