"""Storage URLs and files: every bad one is refused, and nothing is created by asking."""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from helpers import sqlite_url

from sweep.errors import StoreError
from sweep.store import Store
from sweep.store.database_file import database_path
from sweep.words import DEFAULT_STORAGE


@pytest.mark.parametrize(
    ("url", "path"),
    [
        (DEFAULT_STORAGE, "studies.db"),
        ("sqlite:///a/b.db", "a/b.db"),
        ("sqlite:////a/b.db", "/a/b.db"),
        ("sqlite:///with space & {braces}.db", "with space & {braces}.db"),
    ],
)
def test_a_url_names_a_file(url, path):
    assert database_path(url) == Path(path)


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("studies.db", "did you mean 'sqlite:///studies.db'?"),
        ("", ""),
        ("sqlite://studies.db", ""),
        ("sqlite:///", ""),
        ("sqlite:///:memory:", ""),
        ("sqlite:///a.db?mode=ro", ""),
        ("sqlite:///a\0b", ""),
        ("postgresql://host/db", ""),
    ],
)
def test_other_urls_are_refused(url, hint):
    with pytest.raises(
        StoreError, match=f"must be sqlite:/// and a path.*found .*{re.escape(hint)}$"
    ):
        database_path(url)


@pytest.mark.parametrize("to_write", [False, True])
@pytest.mark.parametrize("name", [b"b\xff.db", b"\xe9t\xe9/b.db"])
def test_a_path_that_is_not_utf_8_is_told_so(tmp_path, name, to_write):
    """It is not called damaged: the file may be as whole as it likes."""
    path = os.path.join(os.fsencode(tmp_path), name)  # noqa: PTH118 - pathlib takes no bytes
    os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE studies (name TEXT)")
    with pytest.raises(StoreError, match=r"path must be UTF-8, .*; found '.*\\udc.*': rename"):
        Store(f"sqlite:///{os.fsdecode(path)}", to_write=to_write)


def make_directory(path: Path) -> None:
    path.mkdir()


def make_text(path: Path) -> None:
    path.write_text("name: not a database")


def make_foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE recipes (title TEXT)")


def make_truncated(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE studies (name TEXT)")
    path.write_bytes(path.read_bytes()[:600])


def make_scrambled(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + b"\xaa" * 5000)


BAD = [
    (make_directory, "is a directory; name a file in it"),
    (make_text, "is not an SQLite database"),
    (make_foreign, r"is a database of another program \(its tables: recipes\)"),
    (make_truncated, "is damaged"),
    (make_scrambled, "is damaged"),
]


@pytest.mark.parametrize("to_write", [False, True])
@pytest.mark.parametrize(("make", "reason"), BAD, ids=lambda value: getattr(value, "__name__", ""))
def test_what_is_no_store_is_refused_and_left_alone(tmp_path, make, reason, to_write):
    path = tmp_path / "studies.db"
    make(path)
    content = None if path.is_dir() else path.read_bytes()
    with pytest.raises(StoreError, match=reason):
        Store(sqlite_url(tmp_path), to_write=to_write).all_names()
    assert [p.name for p in tmp_path.iterdir()] == ["studies.db"]
    assert content is None or path.read_bytes() == content


@pytest.mark.parametrize("to_write", [False, True])
def test_asking_creates_nothing(tmp_path, to_write):
    store = Store(sqlite_url(tmp_path), to_write=to_write)
    assert store.all_names() == []
    assert not store.has_study("x")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_an_empty_store(tmp_path):
    (tmp_path / "studies.db").touch()
    store = Store(sqlite_url(tmp_path), to_write=True)
    assert store.all_names() == []
    assert (tmp_path / "studies.db").read_bytes() == b""


def test_a_missing_directory_is_refused(tmp_path):
    with pytest.raises(StoreError, match=r"cannot be made: there is no directory .*nowhere"):
        Store(sqlite_url(tmp_path / "nowhere"), to_write=True)


@pytest.mark.parametrize("name", ["x" * 300, "file/studies.db"])
def test_a_path_that_cannot_be_is_refused(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"the store .* cannot be (read|made)"):
        Store(f"sqlite:///{tmp_path}/{name}", to_write=True)


@pytest.mark.parametrize("read_only", ["studies.db", "."])
def test_a_read_only_place_is_refused_for_writing_only(finished, tmp_path, monkeypatch, read_only):
    # Tests may run as root, for whom nothing is read-only: ask the system in their place.
    closed = (tmp_path / read_only).resolve()
    real = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path).resolve() != closed and real(path, mode)
    )
    assert Store(finished, to_write=False).all_names() == ["small"]
    with pytest.raises(StoreError, match="is read-only; name another"):
        Store(finished, to_write=True)
