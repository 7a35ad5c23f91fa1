"""Disks that are full: a limit on the size of files, and a small file system of one's own."""

from __future__ import annotations

import json
import resource
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from helpers import PARAMETERS, cli_environment, space_mapping

NUM_TRIALS = 6
URL = "sqlite:///disk/studies.db"
WORK = ("--storage", URL, "--workers", "1", "--engine", "sequential")


def write_space(folder: Path) -> None:
    space = space_mapping(budget={"trials": NUM_TRIALS}, parameters={**PARAMETERS, "epochs": 4})
    (folder / "space.yaml").write_text(json.dumps(space))  # JSON is YAML


def limit_files(size: int) -> Callable[[], None]:
    """What a process calls before it starts, so that none of its files exceeds a size."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def can_mount() -> bool:
    """Whether this machine lets its users have file systems of their own."""
    if shutil.which("unshare") is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder]
        done = subprocess.run(["unshare", "-Urm", *mount], capture_output=True, check=False)
    return done.returncode == 0


def on_small_disk(folder: Path, size: str, *steps: str) -> list[subprocess.CompletedProcess[str]]:
    """Run commands of `sweep`, or `room` to make the disk large, on a disk of a size.

    The disk is `folder/disk`; it goes away with the processes, its files are then in
    `folder/kept`.
    """
    lines = ["mkdir -p disk", f"mount -t tmpfs -o size={size} tmpfs disk || exit 99"]
    for number, step in enumerate(steps):
        if step == "room":
            lines.append("mount -o remount,size=200m disk")
            continue
        command = f"{shlex.quote(sys.executable)} -m sweep {step}"
        lines.append(f"{command} > {number}.out 2> {number}.err; echo $? > {number}.code")
    lines.append("cp -r disk kept")
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", "\n".join(lines)],
        cwd=folder, env=cli_environment(), capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [
        subprocess.CompletedProcess(
            step,
            int((folder / f"{number}.code").read_text()),
            (folder / f"{number}.out").read_text(),
            (folder / f"{number}.err").read_text(),
        )
        for number, step in enumerate(steps)
        if step != "room"
    ]


def problem_of(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that a failed command says beside its progress."""
    lines = [
        line
        for line in done.stderr.splitlines()
        if not line.startswith("[") and "trials done" not in line
    ]
    assert len(lines) == 1, done.stderr
    return lines[0]


def assert_whole(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def assert_finished(shown: str) -> None:
    """`sweep show --json` tells of a study that has all its trials."""
    study = json.loads(shown)
    states = [trial["state"] for trial in study["trials"]]
    assert (study["state"], states) == ("finished", ["COMPLETE"] * NUM_TRIALS)
