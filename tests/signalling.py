"""SIGINT and SIGTERM in each phase of a command, and what must come of them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from helpers import children, is_alive, run_cli, start_cli, wait_for
from killing import (
    ENGINES,
    Accident,
    check_whole,
    go_on,
    kill_all,
    read_study,
    start_driver,
    wait_for_lines,
)

TRIALS = 4
PHASES = {
    "start": ("acquire", "before", 1),
    "opening": ("write_study", "after", 1),
    "asking": ("ask", "after", 2),
    "training": ("report", "after", 12),
    "recording": ("write_outcome", "after", 1),
    "telling": ("tell", "before", 2),
}
SIGNALS = ("SIGINT", "SIGTERM")
NEXT = "sweep: interrupted; what was finished is in the store. Next: sweep resume small"
_SECONDS = 5


def check_interrupted(
    run: subprocess.Popen[str] | subprocess.CompletedProcess[str], name: str, errors: str
) -> None:
    assert run.returncode == 128 + signal.Signals[name], errors
    assert "Traceback" not in errors
    assert errors.splitlines()[-1].startswith("sweep: interrupted; "), errors


def interrupt(folder: Path, phase: str, name: str, engine: str) -> None:
    """Signal a sweep in this phase; it leaves in time and says how to go on, and that works."""
    point, when, call = PHASES[phase]
    accident = Accident(point, when, call, action=name)
    with start_driver(folder, "run", "space.yaml", *ENGINES[engine], accidents=(accident,)) as run:
        try:
            _, errors = run.communicate(timeout=600)
        except BaseException:
            kill_all(run)
            raise
    check_interrupted(run, name, errors)
    sent = float((folder / "accident").read_text())
    assert time.time() - sent < _SECONDS
    if phase not in ("start", "opening"):
        assert errors.splitlines()[-1] == NEXT
    done = go_on(folder, *ENGINES[engine])
    assert done.returncode == 0, done.stderr
    check_whole(folder, TRIALS, to_the_last_bit=engine == "sequential")


def interrupt_report(folder: Path, name: str) -> None:
    """Signal reports of a finished study around the reading of the test split."""
    for when, call in (("before", 1), ("after", 1), ("after", 2)):
        accident = Accident("write_test_reading", when, call, action=name)
        with start_driver(folder, "report", "small", accidents=(accident,)) as run:
            _, errors = run.communicate(timeout=600)
        check_interrupted(run, name, errors)
        assert time.time() - float((folder / "accident").read_text()) < _SECONDS
        assert errors.splitlines()[-1].endswith("run the report again")
        assert not (folder / "report" / "report.html").exists()
    done = run_cli("report", "small", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "report" / "report.html").exists()
    # Two were begun: the one that was cut off is not hidden.
    assert len(read_study(folder).test_readings) == 2


def interrupt_imports(folder: Path, name: str) -> None:
    """Signal the command while it still imports its libraries."""
    with start_cli("run", "space.yaml", *ENGINES["sequential"], cwd=folder) as run:
        maps = Path(f"/proc/{run.pid}/maps")
        wait_for(lambda: "_sqlite3" in maps.read_text() or run.poll() is not None)
        run.send_signal(signal.Signals[name])
        _, errors = run.communicate(timeout=600)
    check_interrupted(run, name, errors)
    assert errors == "sweep: interrupted; no trial was started\n"
    assert not (folder / "studies.db").exists()


def interrupt_twice(folder: Path, name: str, engine: str) -> None:
    """Signal a sweep whose stop is stuck, in `tell`, twice: it leaves at once, with its workers."""
    held, until = folder / "held", folder / "never"
    accident = Accident("tell", "before", 2, action="hold", held=str(held), until=str(until))
    with start_driver(folder, "run", "space.yaml", *ENGINES[engine], accidents=(accident,)) as run:
        try:
            wait_for(lambda: held.exists() or run.poll() is not None)
            workers = children(run.pid)
            run.send_signal(signal.Signals[name])
            time.sleep(1)  # or the two would be one
            assert run.poll() is None
            sent = time.monotonic()
            run.send_signal(signal.Signals[name])
            _, errors = run.communicate(timeout=600)
        except BaseException:
            kill_all(run)
            raise
    # After three and a half it would have left by itself, and said so.
    assert time.monotonic() - sent < 3
    assert "interrupted" not in errors
    assert run.returncode == 128 + signal.Signals[name]
    assert "Traceback" not in errors
    wait_for(lambda: not any(map(is_alive, workers)), _SECONDS)
    done = go_on(folder, *ENGINES[engine])
    assert done.returncode == 0, done.stderr
    check_whole(folder, TRIALS, to_the_last_bit=engine == "sequential")


def interrupt_with_a_deaf_worker(folder: Path, name: str, engine: str) -> None:
    """Signal a sweep whose worker stands still and answers nothing: it leaves in time."""
    with start_driver(folder, "run", "space.yaml", *ENGINES[engine]) as run:
        try:
            wait_for_lines(folder, run, 5)
            (worker,) = children(run.pid)
            os.kill(worker, signal.SIGSTOP)
            sent = time.monotonic()
            run.send_signal(signal.Signals[name])
            _, errors = run.communicate(timeout=600)
        except BaseException:
            kill_all(run)
            raise
    assert time.monotonic() - sent < _SECONDS
    check_interrupted(run, name, errors)
    wait_for(lambda: not is_alive(worker), _SECONDS)
    done = go_on(folder, *ENGINES[engine])
    assert done.returncode == 0, done.stderr
    check_whole(folder, TRIALS, to_the_last_bit=engine == "sequential")
