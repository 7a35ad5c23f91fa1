"""On a terminal, progress is shown live."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

import pytest
from helpers import PARAMETERS, cli_environment, space_mapping
from killing import Interpreter, start_interpreter


def read_all(terminal: FileIO) -> str:
    """Everything written to a terminal until its other end is closed."""
    pieces = []
    while True:
        try:
            piece = terminal.read(65536)
        except OSError:  # Linux raises EIO at the end
            break
        if not piece:
            break
        pieces.append(piece)
    return b"".join(pieces).decode()


@contextmanager
def in_a_terminal(folder: Path, term: str = "xterm") -> Iterator[tuple[Interpreter, FileIO]]:
    """A sweep whose standard error is a terminal of 160 columns: the driver, and our end of it.

    It lasts long enough to be drawn several times, even where training is fast.
    """
    space = space_mapping(parameters={**PARAMETERS, "epochs": 80})
    (folder / "space.yaml").write_text(json.dumps(space))
    ours, theirs = pty.openpty()
    resize(ours, rows=50, columns=160)
    with start_interpreter(
        "run", "space.yaml", "--workers", 1, "--engine", "sequential",
        cwd=folder, stderr=theirs, env=cli_environment() | {"TERM": term},
    ) as driver, FileIO(ours) as terminal:  # fmt: skip
        os.close(theirs)
        yield driver, terminal


def resize(descriptor: int, *, rows: int, columns: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


@pytest.mark.slow
def test_a_terminal_shows_trials_and_the_best_so_far(tmp_path: Path):
    with in_a_terminal(tmp_path) as (driver, terminal):
        shown = read_all(terminal)
        output, _ = driver.communicate(timeout=600)
    assert driver.returncode == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert "small" in text
    assert re.search(r"trial  epoch  value\s+num_layers  layer_size  learning_rate\s", text)
    assert re.search(r"\b[1-9]\d*/80\s+\d+\.\d\d%\s+[12]\s+(16|32)\s+0\.0", text), text[-2000:]
    assert re.search(r"best so far: trial \d, validation_accuracy \d+\.\d\d%", text)
    assert "2 of 3 trials" in text
    assert "\x1b" not in output
    assert output.startswith("study small: finished")


@pytest.mark.slow
@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_a_terminal_that_goes_away_takes_the_progress_and_not_the_sweep(tmp_path: Path, term):
    with in_a_terminal(tmp_path, term) as (driver, terminal):
        shown = terminal.read(65536)
        terminal.close()
        output, _ = driver.communicate(timeout=600)
    assert driver.returncode == 0
    assert output.startswith("study small: finished, 3 of 3 trials (3 complete)")
    assert (b"\x1b" in shown) == (term == "xterm")


@pytest.mark.slow
def test_a_terminal_may_be_resized(tmp_path: Path):
    with in_a_terminal(tmp_path) as (driver, terminal):
        wide = b""
        while b"learning_rate" not in wide:
            wide += terminal.read(65536)
        resize(terminal.fileno(), rows=12, columns=24)
        shown = read_all(terminal)
        driver.communicate(timeout=600)
    assert driver.returncode == 0
    frames = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "\n", shown).splitlines()
    rows = [line.rstrip() for line in frames if re.match(r"\d +\d+/80", line)]
    assert rows
    assert all(re.fullmatch(r"\d +\d+/80  (starting|\d+\.\d\d%)", row) for row in rows[-3:])
    assert any(line.startswith("not shown for want of") for line in frames)
