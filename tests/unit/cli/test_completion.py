"""A shell completes commands, options and studies."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from helpers import cli_environment

SOURCE = (
    "import sys; from sweep.cli import main; sys.argv[:] = ['sweep', 'completion', 'bash']; main()"
)


@pytest.fixture
def complete(main, monkeypatch):
    """The completions of the last word of a line."""

    def run(line: str) -> list[str]:
        monkeypatch.setenv("_SWEEP_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(line.count(" ")))
        output, errors = main("", code=0)
        assert errors == ""
        return [each.split(",", 1)[1] for each in output.split()]

    return run


def test_studies_are_completed(complete, finished, tmp_path):
    shutil.copy(tmp_path / "studies.db", tmp_path / "other.db")
    for command in ("show", "resume", "confirm", "reproduce", "predict", "export", "report"):
        assert complete(f"sweep {command} s") == ["small"], command
    assert complete("sweep show x") == []
    assert complete("sweep report small s") == ["small"]
    assert complete("sweep show --storage sqlite:///other.db sm") == ["small"]
    assert complete("sweep show --storage=sqlite:///other.db sm") == ["small"]


def test_commands_options_and_shells_are_completed(complete):
    assert complete("sweep re") == ["report", "reproduce", "resume"]
    assert complete("sweep run --worker") == ["--workers", "--worker-resources"]
    assert complete("sweep completion ") == ["bash", "zsh", "fish"]


@pytest.mark.parametrize("url", ["sqlite:///none.db", "sqlite:///text.db", "sqlite:///.", "x"])
def test_a_store_that_cannot_be_read_completes_nothing_and_stays_as_it_is(complete, tmp_path, url):
    (tmp_path / "text.db").write_text("not a database")
    assert complete(f"sweep show --storage {url} s") == []
    assert [each.name for each in tmp_path.iterdir()] == ["text.db"]


def test_names_that_a_shell_would_obey_are_left_out(complete, finished, tmp_path):
    with closing(sqlite3.connect(tmp_path / "studies.db")) as database, database:
        database.execute("INSERT INTO studies (study_name) VALUES ('small$(reboot)')")
        database.execute("INSERT INTO studies (study_name) VALUES ('small; x')")
    assert complete("sweep show s") == ["small"]


def test_an_answer_needs_neither_optuna_nor_torch(finished, tmp_path):
    code = """
import sys
from sweep.cli import main
try:
    main()
finally:
    print({"optuna", "pandas", "sqlalchemy", "torch"} & set(sys.modules))
"""
    asked = {"_SWEEP_COMPLETE": "bash_complete", "COMP_WORDS": "sweep show s", "COMP_CWORD": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, env=cli_environment() | asked, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "plain,small\nset()\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_printed(main, shell):
    output, errors = main(f"completion {shell}", code=0)
    assert errors == ""
    assert "_SWEEP_COMPLETE" in output


def test_bash_takes_the_script(tmp_path: Path):
    done = subprocess.run(
        ["bash", "-c", 'eval "$("$0" -c "$1")" && complete -p sweep', sys.executable, SOURCE],
        cwd=tmp_path, env=cli_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("_sweep_completion sweep\n")
