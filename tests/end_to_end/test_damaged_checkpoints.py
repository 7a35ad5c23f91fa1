"""A damaged checkpoint is never used: the one before it is, or none, and a message says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from damage import (
    SPACE,
    TRIAL,
    TRIALS,
    check_refused,
    checkpoint_files,
    copy_of,
    flipped,
    interrupted,
    read_checkpoints,
    truncated,
)
from killing import check_same, check_whole, finish, read_ledger, undisturbed_study


@pytest.fixture(scope="module")
def cut_off(tmp_path_factory) -> Path:
    return interrupted(tmp_path_factory.mktemp("cut-off"), "sequential")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    return undisturbed_study(tmp_path_factory.mktemp("undisturbed"), SPACE)


def epochs_after(folder: Path, num_lines: int) -> list[int]:
    lines = read_ledger(folder)[num_lines:]
    return [line["epoch"] for line in lines if line["kind"] == "epoch" and line["trial"] == TRIAL]


@pytest.mark.slow
def test_no_damaged_checkpoint_is_read(cut_off, tmp_path):
    folder = copy_of(cut_off, tmp_path)
    newest = checkpoint_files(folder)[0].read_bytes()
    assert check_refused(folder, truncated(newest)) > 10
    assert check_refused(folder, flipped(newest, 10)) == 10


@pytest.mark.slow
@pytest.mark.parametrize("num_damaged", [1, 2])
def test_the_last_whole_checkpoint_is_used_and_the_result_is_the_same(
    cut_off, undisturbed, tmp_path, num_damaged
):
    folder = copy_of(cut_off, tmp_path)
    before = len(read_ledger(folder))
    finished = [checkpoint.epoch for checkpoint in read_checkpoints(folder) if checkpoint]
    for file in checkpoint_files(folder)[:num_damaged]:
        file.write_bytes(next(flipped(file.read_bytes(), 1)))
    done = finish(folder, "sequential")

    notices = [line for line in done.stderr.splitlines() if "checkpoint" in line]
    assert [f"trial {TRIAL}: its checkpoint is" in notice for notice in notices] == [True]
    assert epochs_after(folder, before)[0] == [*finished, 0][num_damaged] + 1
    check_whole(folder, TRIALS, to_the_last_bit=True, is_damaged=True)
    check_same(folder, undisturbed)
