"""Lock, weights and checkpoints belong to the file, whatever it is called."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from helpers import HERE, SMALL

import sweep
from sweep.cli.study_text import deletion_text
from sweep.errors import StoreError, StudyLockedError
from sweep.records import StudyState
from sweep.runner.deletion import plan_deletion
from sweep.store import Store, examine


def weights_of(url: str, study: str = "small") -> bytes | None:
    store = Store(url, to_write=False)
    return store.trials(study).read_weights(store.read_study(study).best.number)


def link_to_the_file(folder: Path) -> str:
    (folder / "link.db").symlink_to(folder / "studies.db")
    return f"sqlite:///{folder}/link.db"


def link_in_another_folder(folder: Path) -> str:
    (folder / "deep").mkdir()
    (folder / "deep" / "other.sqlite").symlink_to("../studies.db")
    return f"sqlite:///{folder}/deep/other.sqlite"


def link_to_a_link(folder: Path) -> str:
    link_to_the_file(folder)
    (folder / "again.db").symlink_to("link.db")
    return f"sqlite:///{folder}/again.db"


def linked_folder(folder: Path) -> str:
    (folder / "same").symlink_to(folder)
    return f"sqlite:///{folder}/same/studies.db"


def way_around(folder: Path) -> str:
    (folder / "deep").mkdir()
    return f"sqlite:///{folder}/deep/..//./studies.db"


def relative(folder: Path) -> str:
    return f"sqlite:///{os.path.relpath(folder)}/studies.db"


NAMES = [
    link_to_the_file, link_in_another_folder, link_to_a_link, linked_folder, way_around, relative,
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES, ids=lambda name: name.__name__)
def test_a_file_has_one_lock_and_one_folder_however_it_is_called(finished, tmp_path, name):
    url = name(tmp_path)
    assert weights_of(url) == weights_of(finished) is not None
    folders = sorted(tmp_path.rglob("*.artifacts"))
    with Store(finished, to_write=True).lock("small"):
        assert Store(url, to_write=False).read_study("small").state is StudyState.RUNNING
        with pytest.raises(StudyLockedError, match="study 'small' is held by process"):
            sweep.resume("small", storage=url, trials=5, **HERE)
    sweep.resume("small", storage=url, trials=4, **HERE)
    assert sorted(tmp_path.rglob("*.artifacts")) == folders
    assert weights_of(finished) is not None


def test_a_new_store_behind_a_link_is_made_where_the_link_points(tmp_path):
    (tmp_path / "big").mkdir()
    (tmp_path / "link.db").symlink_to("big/real.db")
    sweep.run(SMALL, storage=f"sqlite:///{tmp_path}/link.db", trials=1, **HERE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["big", "link.db"]
    assert weights_of(f"sqlite:///{tmp_path}/big/real.db") is not None


def test_a_hard_link_is_refused_for_writing(finished, tmp_path):
    """SQLite's journal, which undoes what a crash left, lies beside one name only."""
    os.link(tmp_path / "studies.db", tmp_path / "second.db")
    for name in ("studies", "second"):
        with pytest.raises(StoreError, match=r"has a second name \(a hard link\).*: copy it"):
            sweep.resume("small", storage=f"sqlite:///{tmp_path}/{name}.db", trials=5, **HERE)
    assert Store(finished, to_write=False).read_study("small").num_trials == 3
    # What the message advises:
    shutil.copy(tmp_path / "second.db", tmp_path / "copy.db")
    (tmp_path / "copy.db").rename(tmp_path / "second.db")
    sweep.resume("small", storage=finished, trials=4, **HERE)


def test_the_current_folder_may_change_while_a_store_is_open(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = Store("sqlite:///studies.db", to_write=False)
    monkeypatch.chdir("/")
    assert store.read_study("small").state is StudyState.FINISHED
    assert store.trials("small").read_weights(0) is not None


def test_a_relative_path_in_a_deleted_folder_is_refused(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(StoreError, match="the current folder was deleted; change to another one"):
        Store("sqlite:///studies.db", to_write=False)


# ---------------------------------------------------------------- copies and moves


def rename(folder: Path) -> Path:
    return (folder / "studies.db").rename(folder / "mine.sqlite")


def copy(folder: Path) -> Path:
    return Path(shutil.copy(folder / "studies.db", folder / "mine.db"))


def move_all(folder: Path) -> Path:
    (folder / "new").mkdir()
    for path in (folder / "studies.db", folder / "studies.artifacts"):
        path.rename(folder / "new" / path.name)
    return (folder / "new" / "studies.db").rename(folder / "new" / "mine.db")


@pytest.mark.parametrize("change", [rename, copy, move_all], ids=lambda each: each.__name__)
def test_a_store_that_was_copied_or_renamed_keeps_its_weights(finished, tmp_path, change):
    before = weights_of(finished)
    url = f"sqlite:///{change(tmp_path)}"
    assert weights_of(url) == before is not None
    assert examine(url).findings == ()
    sweep.resume("small", storage=url, trials=4, **HERE)
    assert weights_of(url) is not None


def test_weights_of_another_study_of_the_same_name_are_not_taken(finished, tmp_path):
    space = {**SMALL, "sampler": {"type": "random", "seed": 99}}
    url = f"sqlite:///{tmp_path}/other.db"
    sweep.run(space, storage=url, **HERE)
    shutil.rmtree(tmp_path / "other.artifacts")
    assert weights_of(url) is None
    assert "there are no weights beside the store" in examine(url).findings[0].what


def test_links_beside_the_store_are_not_followed(finished, tmp_path):
    (tmp_path / "studies.artifacts").rename(tmp_path / "elsewhere")
    (tmp_path / "x.artifacts").mkdir()
    (tmp_path / "x.artifacts" / "small").symlink_to(tmp_path / "elsewhere" / "small")
    assert weights_of(finished) is None


def test_what_a_renamed_store_leaves_in_its_old_folder_is_said_when_it_is_deleted(
    finished, tmp_path
):
    for old in tmp_path.glob("studies.db*"):
        old.rename(old.with_name(old.name.replace("studies.db", "moved.db")))
    deleted = sweep.delete("small", storage=f"sqlite:///{tmp_path}/moved.db")
    assert deleted.left == (tmp_path / "studies.artifacts" / "small",)
    assert "small' stays, which may be from before" in deletion_text(deleted)
    assert list(deleted.left[0].glob("*.safetensors"))


def test_the_folder_of_another_store_is_nobodys_to_speak_of(finished, tmp_path):
    other = tmp_path / "other.artifacts" / "small"
    other.mkdir(parents=True)
    (tmp_path / "other.db").touch()
    assert plan_deletion(Store(finished, to_write=False), "small").left == ()
