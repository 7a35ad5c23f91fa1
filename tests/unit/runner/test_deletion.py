"""`delete`: a study goes with its confirmation and its files, and nothing else does."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from helpers import HERE, SMALL, sqlite_url

import sweep
from sweep.errors import Interrupted, StoreError, StudyLockedError
from sweep.store import Store, examine


def names(url: str) -> list[str]:
    return Store(url, to_write=False).all_names()


def test_a_study_goes_with_its_confirmation_and_its_files(confirmed, tmp_path):
    sweep.run({**SMALL, "name": "other"}, storage=confirmed, trials=1, **HERE)
    deleted = sweep.delete("small", storage=confirmed)
    assert deleted.studies == {"small": 3, "small.confirm": 8}
    assert {path.suffix for path in deleted.files} >= {".safetensors"}
    assert not any(path.exists() for path in deleted.files)
    assert names(confirmed) == ["other"]
    assert [path.name for path in (tmp_path / "studies.artifacts").iterdir() if path.is_dir()] == [
        "other"
    ]
    assert Store(confirmed, to_write=False).trials("other").read_weights(0) is not None
    with closing(sqlite3.connect(tmp_path / "studies.db")) as database:
        assert database.execute("SELECT COUNT(*) FROM trials").fetchone() == (1,)
        assert database.execute("SELECT COUNT(*) FROM trial_system_attributes").fetchone() == (1,)


def test_a_name_is_free_again(confirmed):
    sweep.delete("small", storage=confirmed)
    assert sweep.run(SMALL, storage=confirmed, **HERE).identity is not None


def test_a_confirmation_alone_is_not_deleted_as_a_search_is_confirmed_once(confirmed):
    with pytest.raises(sweep.InputError, match=r"confirmed once; `sweep delete small .*` deletes"):
        sweep.delete("small.confirm", storage=confirmed)
    assert names(confirmed) == ["small", "small.confirm"]


def test_a_confirmation_without_results_is_deleted_and_begun_anew_with_other_options(finished):
    """It may have been begun by mistake, and there is nothing of it to choose by."""

    def stop(event: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="continues"):
        sweep.confirm("small", top=2, seeds=2, storage=finished, on_event=stop, **HERE)
    with pytest.raises(sweep.InputError, match=r"or delete it by `sweep delete small.confirm .*`"):
        sweep.confirm("small", top=1, seeds=1, storage=finished, **HERE)
    assert [*sweep.delete("small.confirm", storage=finished).studies] == ["small.confirm"]
    assert names(finished) == ["small"]
    assert sweep.confirm("small", top=1, seeds=1, storage=finished, **HERE).num_seeds == 1


def test_what_a_driver_works_on_stays(confirmed):
    for held in ("small", "small.confirm"):
        with (
            Store(confirmed, to_write=True).lock(held),
            pytest.raises(StudyLockedError, match=f"study '{held}' is held"),
        ):
            sweep.delete("small", storage=confirmed)
    assert names(confirmed) == ["small", "small.confirm"]


def test_a_study_of_another_program_stays(finished, tmp_path):
    optuna.create_study(study_name="theirs", storage=finished)
    with pytest.raises(StoreError, match="was not made by sweep"):
        sweep.delete("theirs", storage=finished)
    with pytest.raises(StoreError, match=r"no study 'x' in .*: it has small, theirs"):
        sweep.delete("x", storage=finished)
    assert names(finished) == ["small", "theirs"]
    folders = [path.name for path in (tmp_path / "studies.artifacts").iterdir() if path.is_dir()]
    assert folders == ["small"]


def test_a_copy_and_a_damaged_study_can_be_deleted(finished, tmp_path):
    optuna.copy_study(
        from_study_name="small", from_storage=finished, to_storage=finished, to_study_name="copy"
    )
    assert sweep.delete("copy", storage=finished).studies == {"copy": None}
    with closing(sqlite3.connect(tmp_path / "studies.db")) as database, database:
        database.execute("UPDATE trial_values SET value = 0.99 WHERE trial_id = 1")
    assert sweep.delete("small", storage=finished).studies == {"small": None}
    assert names(finished) == []


def test_links_in_a_studys_folder_are_deleted_and_not_followed(finished, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("mine")
    (tmp_path / "studies.artifacts" / "small" / "link").symlink_to(precious)
    sweep.delete("small", storage=finished)
    assert (precious / "file").read_text() == "mine"


def test_a_folder_that_is_left_from_a_crash_is_named(finished, tmp_path, monkeypatch):
    def die(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sweep.runner.deletion.delete_folder", die)
    with pytest.raises(KeyboardInterrupt):
        sweep.delete("small", storage=finished)
    assert names(finished) == []
    (finding,) = examine(finished).findings
    assert "belongs to no study of this store" in finding.what


# ---------------------------------------------------------------- the command


def test_the_command_refuses_where_nobody_can_be_asked(confirmed, main):
    what = "study 'small' (3 trials), study 'small.confirm' (8 trials) and "
    _, errors = main("delete small", code=2)
    assert errors.startswith(f"sweep: this deletes {what}")
    assert errors.endswith("files, and nobody can be asked: give --yes\n")
    assert names(confirmed) == ["small", "small.confirm"]


@pytest.mark.parametrize(("answer", "left"), [("n", 2), ("", 2), ("y", 0)])
def test_the_answer_decides(confirmed, main, monkeypatch, answer, left):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: answer)
    output, errors = main("delete small", code=0 if answer == "y" else 2)
    assert len(names(confirmed)) == left
    if answer == "y":
        assert output.startswith("deleted study 'small' (3 trials), study 'small.confirm'")
    else:
        assert errors.endswith("sweep: nothing was deleted\n")


def test_yes_needs_no_answer(finished, main):
    output, _ = main("delete small --yes", code=0)
    assert output.startswith("deleted study 'small' (3 trials) and ")
    assert json.loads(main("list --json", code=0)[0]) == []
    assert "no study 'small'" in main("delete small --yes", code=2)[1]
    assert sqlite_url(Path.cwd()) == finished


def test_an_orphan_confirmation_can_be_deleted_whoever_has_its_searchs_name(confirmed):
    optuna.delete_study(study_name="small", storage=confirmed)
    optuna.create_study(study_name="small", storage=confirmed, directions=["minimize", "maximize"])
    assert sweep.delete("small.confirm", storage=confirmed).studies == {"small.confirm": 8}


def test_a_copys_name_gives_no_right_to_the_files_of_another_study(finished):
    sweep.run({**SMALL, "name": "other"}, storage=finished, trials=1, **HERE)
    places = {"from_storage": finished, "to_storage": finished}
    optuna.copy_study(from_study_name="small", to_study_name="kept", **places)
    optuna.delete_study(study_name="small", storage=finished)
    optuna.copy_study(from_study_name="other", to_study_name="small", **places)
    assert sweep.delete("small", storage=finished).files == ()
    optuna.copy_study(from_study_name="kept", to_study_name="small", **places)
    assert Store(finished, to_write=False).trials("small").read_weights(0) is not None
