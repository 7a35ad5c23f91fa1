"""The checks of the tests that kill: they find what is wrong, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from killing import check_trained_once

STARTED, EPOCH, SAVED = "started", "epoch", "saved"
Lines = list[tuple[str, int]]


def ledger(folder: Path, lines: Lines) -> Path:
    text = [json.dumps({"trial": 0, "kind": kind, "epoch": epoch}) for kind, epoch in lines]
    (folder / "ledger.jsonl").write_text("\n".join([*text, ""]))
    return folder


BEFORE: Lines = [(STARTED, 0), (EPOCH, 1), (EPOCH, 2), (SAVED, 2), (EPOCH, 3), (EPOCH, 4)]


@pytest.mark.parametrize(
    "after",
    [
        [(STARTED, 0), (EPOCH, 3), (EPOCH, 4), (EPOCH, 5)],
        [(STARTED, 0), (EPOCH, 3), (SAVED, 4), (EPOCH, 4)],  # the checkpoint came with the epoch
        [(EPOCH, 3), (SAVED, 4), (EPOCH, 4)],  # a lost worker under the same driver
    ],
)
def test_epochs_after_the_checkpoint_may_be_trained_again(tmp_path, after):
    check_trained_once(ledger(tmp_path, BEFORE + after))


@pytest.mark.parametrize(
    "after", [[(STARTED, 0), (EPOCH, 2)], [(EPOCH, 1)], [(SAVED, 4), (STARTED, 0), (EPOCH, 3)]]
)
def test_epochs_that_a_checkpoint_has_may_not(tmp_path, after):
    with pytest.raises(AssertionError, match="which was saved"):
        check_trained_once(ledger(tmp_path, BEFORE + after))
