"""What becomes of a command whose standard output or error is full, closed or gone."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers import PARAMETERS, cli_environment, space_mapping
from optuna.study import StudyDirection

from sweep.cli.streams import open_streams
from sweep.store import Store

RUN = "run space.yaml --workers 1 --engine sequential"
OUTPUT, ERRORS = 1, 2
PIPE_BYTES = 1 << 16  # that a pipe holds of what nobody has read yet


@pytest.fixture
def space(tmp_path: Path) -> None:
    short = space_mapping(parameters={**PARAMETERS, "epochs": 1})
    (tmp_path / "space.yaml").write_text(json.dumps(short))


@contextmanager
def full(descriptor: int) -> Iterator[None]:
    """Let a standard stream be a file on a full disk."""
    device = os.open("/dev/full", os.O_WRONLY)
    with _moved(descriptor):
        os.dup2(device, descriptor)
        os.close(device)
        yield


@contextmanager
def closed(descriptor: int) -> Iterator[None]:
    with _moved(descriptor):
        os.close(descriptor)
        yield


@contextmanager
def gone(descriptor: int) -> Iterator[None]:
    """Let a standard stream be a pipe without a reader."""
    read, write = os.pipe()
    os.close(read)
    with _moved(descriptor):
        os.dup2(write, descriptor)
        os.close(write)
        yield


@contextmanager
def _moved(descriptor: int) -> Iterator[None]:
    kept = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    try:
        yield
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)


# ---------------------------------------------------------------- progress that cannot be shown


@pytest.mark.parametrize("broken", [full, closed, gone])
def test_progress_that_cannot_be_shown_does_not_end_a_sweep(main, space, broken):
    with broken(ERRORS):
        output, errors = main(RUN, code=0)
    assert errors == ""
    assert output.startswith("study small: finished, 3 of 3 trials (3 complete)")


@pytest.mark.parametrize("broken", [full, closed, gone])
def test_an_error_that_cannot_be_shown_keeps_its_exit_code(main, broken):
    with broken(ERRORS):
        main("show small", code=2)
        main("shwo small", code=2)


def test_a_warning_that_cannot_be_shown_ends_nothing(monkeypatch):
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # both are put back afterwards
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    for broken in (full, closed, gone):
        with broken(ERRORS):
            open_streams()
            sys.stderr.write("a warning\n")
            logging.lastResort.handle(logging.makeLogRecord({"msg": "a last resort"}))
            sys.stderr.flush()


# ---------------------------------------------------------------- results that cannot be written


def test_a_sweep_whose_result_cannot_be_written_says_where_it_is(main, space):
    with full(OUTPUT):
        _, errors = main(RUN, code=1)
    assert errors.splitlines()[-1] == (
        "sweep: standard output cannot be written: No space left on device; the study is in the "
        "store: `sweep show small` shows it"
    )
    (study,) = json.loads(main("list --json", code=0)[0])
    assert (study["state"], study["num_trials"]) == ("finished", 3)


def test_a_sweep_that_can_say_nothing_at_all_is_done_all_the_same(main, space):
    with closed(OUTPUT), closed(ERRORS):
        assert main(RUN, code=1) == ("", "")
    (study,) = json.loads(main("list --json", code=0)[0])
    assert (study["state"], study["num_trials"]) == ("finished", 3)


COMMANDS = [
    "list",
    "show small",
    "show small --json",
    "show small 0",
    "doctor",
    "check space.yaml",
    "--help",
    "run --help",
    "--version",
]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_result_that_cannot_be_written_is_one_line_and_exit_code_1(main, finished, space, line):
    with full(OUTPUT):
        _, errors = main(line, code=1)
    assert errors == "sweep: standard output cannot be written: No space left on device\n"
    with closed(OUTPUT):
        _, errors = main(line, code=1)
    assert errors == "sweep: standard output cannot be written: it is closed\n"
    with closed(OUTPUT), closed(ERRORS):
        main(line, code=1)


@pytest.mark.parametrize("line", COMMANDS)
def test_a_reader_that_has_gone_is_no_reason_to_speak(main, finished, space, line):
    with gone(OUTPUT):
        _, errors = main(line, code=128 + signal.SIGPIPE)
    assert errors == ""


def test_a_pipe_that_does_not_wait_gets_everything(tmp_path):
    """As where another program, which has the pipe too, made it non-blocking."""
    code = """
import os
from sweep.cli.exits import print_result
from sweep.cli.streams import open_streams
os.set_blocking(1, False)
open_streams()
print_result("x" * 1_000_000)
"""
    pipeline = '"$0" -c "$1" | { read -n 1 first; printf x; cat; } | wc -c'
    done = subprocess.run(
        ["bash", "-c", pipeline, sys.executable, code], capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("1000001", "")


# ---------------------------------------------------------------- the end of a real process


@pytest.mark.slow
@pytest.mark.parametrize(
    ("redirection", "code", "errors"),
    [
        ("2>&-", 0, ""),
        ("2>/dev/full", 0, ""),
        (">/dev/full", 1, "sweep: standard output cannot be written: No space left on device\n"),
        (">&-", 1, "sweep: standard output cannot be written: it is closed\n"),
        (">&- 2>&-", 1, ""),
        ("<&- >&- 2>&-", 1, ""),
    ],
)
def test_python_adds_nothing_at_exit(tmp_path, redirection, code, errors):
    done = subprocess.run(
        ["bash", "-c", f'"$0" -m sweep --version {redirection}', sys.executable],
        cwd=tmp_path, env=cli_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (code, errors)


@pytest.fixture
def many(finished: str) -> None:
    """A store with so many studies that their list as JSON is more than a pipe holds."""
    store = Store(finished, to_write=True)
    study = store.require_study("small")
    with store.transaction():
        for number in range(100):
            name = f"another-{number}"
            store.storage.create_new_study([StudyDirection.MAXIMIZE], name)
            store.write_study(name, study)


@pytest.fixture
def piped(tmp_path: Path):
    """Run a command whose output another program reads, in real processes."""

    def run(line: str, reader: str) -> tuple[int, str, str]:
        script = f'"$0" -m sweep {line} | {reader}; exit "${{PIPESTATUS[0]}}"'
        done = subprocess.run(
            ["bash", "-c", script, sys.executable],
            cwd=tmp_path, env=cli_environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.mark.slow
def test_a_long_list_whose_reader_leaves_early_is_silent(many, piped):
    assert int(piped("list --json", "wc -c")[1]) > PIPE_BYTES
    assert piped("list --json", "head -c 1") == (128 + signal.SIGPIPE, "[", "")
    # All of it was in the pipe before its reader left.
    code, first, errors = piped("list", "head -1")
    assert (code, first.split()[0], errors) == (0, "study", "")


@pytest.mark.slow
def test_a_pipeline_whose_reader_has_gone_is_silent(finished, space, piped):
    for line in COMMANDS:
        assert piped(line, "true") == (128 + signal.SIGPIPE, "", ""), line


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONUNBUFFERED": "1"},
    ],
    ids=["ascii", "C"],
)
def test_no_encoding_is_a_reason_to_fail(environment):
    code = "from sweep.cli.streams import open_streams; open_streams(); print('d \\u2013 \\udcff')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=cli_environment() | environment, capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"d ")
