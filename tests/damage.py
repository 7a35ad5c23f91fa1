"""A study interrupted after several checkpoints of a trial, and ways to damage those."""

from __future__ import annotations

import random
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

from helpers import sqlite_url
from killing import ENGINES, Accident, go_on, prepare, small_space

from sweep.records import Checkpoint
from sweep.store import Store

TRIALS = 2
TRIAL = 0
SPACE = small_space(
    TRIALS,
    parameters={
        "num_layers": 3,
        "layer_size": 32,
        "learning_rate": {"low": 1e-3, "high": 1e-2, "log": True},
        "epochs": 20,
        "dropout": 0.1,
        "batch_size": 64,
    },
)
KIBIBYTE = 1024


def interrupted(folder: Path, engine: str) -> Path:
    """Kill a sweep after two checkpoints of its first trial.

    How many are written in an epoch depends on the machine: another sweep is killed later, if one
    of them is from before the first epoch's end, or earlier, if its first trial has finished.
    """
    for call in (4, 6, 8, 10, 12, 3, 2):
        attempt = prepare(folder / str(call), SPACE)
        accident = Accident("write_checkpoints", "after", call)
        killed = go_on(attempt, *ENGINES[engine], accidents=(accident,))
        assert killed.returncode in (0, -signal.SIGKILL), killed.stderr
        epochs = [found.epoch for found in read_checkpoints(attempt) if found is not None]
        if killed.returncode and len(epochs) == 2 and all(epochs):
            return attempt
    raise AssertionError("no sweep had two checkpoints of its first trial")


def copy_of(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to, dirs_exist_ok=True)
    return to


def read_checkpoints(folder: Path) -> list[Checkpoint | None]:
    return Store(sqlite_url(folder), to_write=False).trials("small").read_checkpoints(TRIAL)


def checkpoint_files(folder: Path) -> list[Path]:
    """The files of the two checkpoints, newest first."""
    by_content = {path.read_bytes(): path for path in folder.rglob(f"checkpoint-{TRIAL:05d}-*")}
    return [by_content[c.state] for c in read_checkpoints(folder) if c is not None]


def truncated(content: bytes) -> Iterator[bytes]:
    """Truncated at every KiB, and by one byte."""
    for length in (*range(0, len(content), KIBIBYTE), len(content) - 1):
        yield content[:length]


def flipped(content: bytes, number: int, seed: int = 0) -> Iterator[bytes]:
    """Copies with one flipped bit each, at random places."""
    chance = random.Random(seed)  # noqa: S311 - no secrets
    for _ in range(number):
        damaged = bytearray(content)
        damaged[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        yield bytes(damaged)


def check_refused(folder: Path, cases: Iterator[bytes]) -> int:
    """None of these is accepted as the newest checkpoint; the previous one always is."""
    store = Store(sqlite_url(folder), to_write=False)
    newest, previous = store.trials("small").read_checkpoints(TRIAL)
    assert newest is not None
    file = checkpoint_files(folder)[0]
    count = 0
    for damaged in cases:
        file.write_bytes(damaged)
        assert store.trials("small").read_checkpoints(TRIAL) == [None, previous], f"case {count}"
        count += 1
    file.write_bytes(newest.state)
    assert store.trials("small").read_checkpoints(TRIAL) == [newest, previous]
    return count
