"""Environments that other programs leave behind: whose files are imported, what is missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import cli_environment, space_mapping, sqlite_url
from killing import start_interpreter

import sweep

SPACE = space_mapping(parameters={"layer_size": 16, "epochs": 1}, budget={"trials": 1})
PACKAGE = str(Path(sweep.__file__).parents[1])


@pytest.fixture
def space(tmp_path: Path) -> Path:
    file = tmp_path / "space.yaml"
    file.write_text(json.dumps(SPACE))
    return file


def succeed(*arguments: object, **options: object) -> tuple[str, str]:
    """Run the command line in a fresh interpreter."""
    with start_interpreter(*arguments, **options) as command:
        output, errors = command.communicate(timeout=600)
    assert command.returncode == 0, errors
    return output, errors


@pytest.mark.slow
def test_files_in_the_current_folder_are_not_imported(tmp_path, space):
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("random", "torch", "secrets", "click", "optuna"):
        (folder / f"{name}.py").write_text("print('my own notes'); raise SystemExit(3)\n")
    environment = {**cli_environment(), "PYTHONPATH": PACKAGE}
    options = ("--workers", 1, "--storage", sqlite_url(tmp_path))
    output, errors = succeed("run", space, *options, cwd=folder, env=environment)
    assert "my own notes" not in output + errors
    assert "1 of 1 trial" in output


@pytest.mark.slow
def test_a_folder_that_was_deleted_is_not_needed(tmp_path, space):
    where = ("--storage", sqlite_url(tmp_path))
    environment = {**cli_environment(), "PYTHONPATH": PACKAGE}
    for arguments in (("run", space, "--workers", 1), ("report", "small", "--out", tmp_path / "r")):
        folder = tmp_path / "gone"
        folder.mkdir()
        line = [sys.executable, "-m", "sweep", *map(str, (*arguments, *where))]
        program = ["sh", "-c", 'rmdir "$PWD"; exec "$@"', "sh"]
        succeed(*line, program=program, cwd=folder, env=environment)
    assert (tmp_path / "r" / "report.html").exists()


@pytest.mark.slow
def test_standard_input_may_be_closed(tmp_path, space):
    line = [sys.executable, "-m", "sweep", "run", str(space), "--workers", "1"]
    program = ["sh", "-c", 'exec "$@" <&-', "sh"]
    output, _ = succeed(*line, program=program, cwd=tmp_path)
    assert "1 of 1 trial" in output


SERVER = """
import sys
sys.path.insert(0, {package!r})
from pathlib import Path
from sweep.execution import ForkServer
with ForkServer() as server:
    line = b""
    while not line:  # the system is starting it
        line = Path(f"/proc/{{server._process.pid}}/cmdline").read_bytes()
    print(line.decode().split("\\0")[1:])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="command lines are listed in /proc")
@pytest.mark.parametrize("flags", [["-I", "-O"], ["-s", "-Werror"], []])
def test_workers_run_under_the_flags_of_their_driver(flags):
    code = [sys.executable, *flags, "-c", SERVER.format(package=PACKAGE)]
    printed = subprocess.check_output(code, text=True, env=os.environ)
    for flag in [*flags, "-P"]:
        assert f"'{flag}'" in printed.split("'-c'")[0]
