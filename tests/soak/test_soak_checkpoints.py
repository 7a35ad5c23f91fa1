"""Checkpoints truncated at every KiB, and with flipped bits."""

from __future__ import annotations

from pathlib import Path

import pytest
from damage import (
    SPACE,
    TRIALS,
    check_refused,
    checkpoint_files,
    copy_of,
    flipped,
    interrupted,
    truncated,
)
from killing import ENGINES, check_same, check_whole, finish, undisturbed_study

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module", params=ENGINES)
def engine(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def cut_off(tmp_path_factory, engine) -> Path:
    return interrupted(tmp_path_factory.mktemp("cut-off"), engine)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    return undisturbed_study(tmp_path_factory.mktemp("undisturbed"), SPACE)


def test_no_damaged_checkpoint_is_read(cut_off, tmp_path, tally):
    folder = copy_of(cut_off, tmp_path)
    newest = checkpoint_files(folder)[0].read_bytes()
    for name, cases in (
        ("checkpoints cut off at every KiB", list(truncated(newest))),
        ("checkpoints with a flipped bit", list(flipped(newest, 50))),
    ):
        tally(name, tried=len(cases))
        tally(name, survived=check_refused(folder, iter(cases)))


def damage_newest(folder: Path) -> None:
    file = checkpoint_files(folder)[0]
    file.write_bytes(file.read_bytes()[: len(file.read_bytes()) // 2])


def empty_newest(folder: Path) -> None:
    checkpoint_files(folder)[0].write_bytes(b"")


def lose_newest(folder: Path) -> None:
    checkpoint_files(folder)[0].unlink()


def lose_both(folder: Path) -> None:
    for file in checkpoint_files(folder):
        file.unlink()


def flip_both(folder: Path) -> None:
    for file in checkpoint_files(folder):
        file.write_bytes(next(flipped(file.read_bytes(), 1, seed=7)))


def exchange(folder: Path) -> None:
    """Undamaged files, but of other epochs than the store says."""
    newest, previous = checkpoint_files(folder)
    contents = newest.read_bytes(), previous.read_bytes()
    previous.write_bytes(contents[0])
    newest.write_bytes(contents[1])


DAMAGES = [damage_newest, empty_newest, lose_newest, lose_both, flip_both, exchange]


@pytest.mark.parametrize("do_damage", DAMAGES)
def test_the_study_ends_as_if_nothing_had_happened(
    cut_off, undisturbed, tmp_path, engine, do_damage, tally
):
    name = "studies finished with damaged checkpoints"
    tally(name, tried=1)
    folder = copy_of(cut_off, tmp_path)
    do_damage(folder)
    done = finish(folder, engine)
    assert "checkpoint" in done.stderr
    check_whole(folder, TRIALS, to_the_last_bit=engine == "sequential", is_damaged=True)
    if engine == "sequential":
        check_same(folder, undisturbed)
    tally(name, survived=1)
