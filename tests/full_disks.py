"""Full disks: a limit on file sizes, and a small file system."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path

from helpers import PARAMETERS, space_mapping
from killing import start_driver

NUM_TRIALS = 6
URL = "sqlite:///disk/studies.db"
WORK = ("--storage", URL, "--workers", "1", "--engine", "sequential")
RUN = ("run", "space.yaml", *WORK)
RESUME = ("resume", "small", *WORK)
SHOW = ("show", "small", "--json", "--storage", URL)
DOCTOR = ("doctor", "disk/studies.db")


def write_space(folder: Path) -> None:
    space = space_mapping(budget={"trials": NUM_TRIALS}, parameters={**PARAMETERS, "epochs": 2})
    (folder / "space.yaml").write_text(json.dumps(space))  # JSON is YAML


def can_mount() -> bool:
    """Whether users may mount file systems on this machine."""
    if shutil.which("unshare") is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder]
        done = subprocess.run(["unshare", "-Urm", *mount], capture_output=True, check=False)
    return done.returncode == 0


class SmallDisk:
    """A disk of a given size at `folder/disk`, visible only to commands that are run on it.

    Its files are copied to `folder/kept` when it is closed.
    """

    def __init__(self, folder: Path, size: str) -> None:
        self._folder = folder
        (folder / "disk").mkdir(exist_ok=True)
        self._shell = subprocess.Popen(
            ["unshare", "-Urm", "sh"],
            cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip
        self._do(f"mount -t tmpfs -o size={size} tmpfs disk")

    def __enter__(self) -> SmallDisk:
        return self

    def __exit__(self, *_: object) -> None:
        with self._shell:
            self._do("cp -r disk kept")
            self._shell.communicate("exit\n", timeout=60)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `sweep` with these arguments."""
        with start_driver(self._folder, *arguments, inside=self._shell.pid) as process:
            output, errors = process.communicate()
        return subprocess.CompletedProcess(arguments, process.returncode, output, errors)

    def make_room(self) -> None:
        """Enlarge the disk."""
        self._do("mount -o remount,size=200m disk")

    def _do(self, line: str) -> None:
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{line}; echo $?\n")
        assert self._shell.stdout.readline() == "0\n", line


def problem_of(errors: str) -> str:
    """The one line that a failed command prints on standard error besides its progress."""
    lines = [
        line
        for line in errors.splitlines()
        if not line.startswith("[") and "trials done" not in line
    ]
    assert len(lines) == 1, errors
    return lines[0]


def assert_whole(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def assert_finished(shown: str) -> None:
    """`sweep show --json` shows a study with all its trials."""
    study = json.loads(shown)
    states = [trial["state"] for trial in study["trials"]]
    assert (study["state"], states) == ("finished", ["COMPLETE"] * NUM_TRIALS)
