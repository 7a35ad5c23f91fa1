"""SIGINT and SIGTERM in each phase of a command, and what must follow."""

from __future__ import annotations

import math
import os
import signal
import time
from pathlib import Path

from helpers import wait_for, workers
from killing import (
    ENGINES,
    Accident,
    check_gone,
    disturb,
    kill_all,
    read_study,
    start_driver,
    start_interpreter,
)
from zygote import ForkedProcess

TRIALS = 4
PHASES = {
    "start": ("acquire", "before", 1),
    "opening": ("write_study", "after", 1),
    "asking": ("ask", "after", 2),
    "training": ("report", "after", 6),
    "recording": ("write_outcome", "after", 1),
    "telling": ("tell", "before", 2),
}
SIGNALS = ("SIGINT", "SIGTERM")
NEXT = "sweep: interrupted; what was finished is in the store. Next: sweep resume small"
# The promise is five; a test machine may stall for a while.
_SECONDS = 20


def check_interrupted(code: int | None, name: str, output: str, errors: str) -> None:
    assert code == 128 + signal.Signals[name], errors
    assert output == ""
    assert "Traceback" not in errors
    assert errors.splitlines()[-1].startswith("sweep: interrupted; "), errors


def interrupt(folder: Path, phase: str, name: str, engine: str) -> None:
    """Signal a sweep in this phase: it ends in time, with its workers, and says how to continue."""
    point, when, call = PHASES[phase]
    accident = Accident(point, when, call, action=name)
    with start_driver(folder, "run", "space.yaml", *ENGINES[engine], accidents=(accident,)) as run:
        try:
            output, errors = run.communicate()
        except BaseException:
            kill_all(run)
            raise
    check_interrupted(run.returncode, name, output, errors)
    sent = float((folder / "accident").read_text())
    assert time.time() - sent < _SECONDS
    if phase not in ("start", "opening"):
        assert errors.splitlines()[-1] == NEXT
    check_gone(folder)


def interrupt_report(folder: Path, name: str) -> None:
    """Signal reports of a finished study before and after they read the test split."""
    for when, call in (("before", 1), ("after", 1), ("after", 2)):
        accident = Accident("write_test_reading", when, call, action=name)
        with start_driver(folder, "report", "small", accidents=(accident,)) as run:
            output, errors = run.communicate()
        check_interrupted(run.returncode, name, output, errors)
        assert time.time() - float((folder / "accident").read_text()) < _SECONDS
        assert errors.splitlines()[-1].endswith("run the report again")
        assert not (folder / "report" / "report.html").exists()
    with start_driver(folder, "report", "small") as run:
        _, errors = run.communicate()
    assert run.returncode == 0, errors
    assert (folder / "report" / "report.html").exists()
    # Two readings were begun: the interrupted one is not hidden.
    assert len(read_study(folder).test_readings) == 2


def interrupt_imports(folder: Path, name: str) -> None:
    """Signal the command while it imports its libraries."""
    with start_interpreter("run", "space.yaml", *ENGINES["sequential"], cwd=folder) as run:
        maps = Path(f"/proc/{run.pid}/maps")
        wait_for(lambda: "_sqlite3" in maps.read_text() or run.poll() is not None)
        run.send_signal(signal.Signals[name])
        output, errors = run.communicate(timeout=600)
    check_interrupted(run.returncode, name, output, errors)
    assert errors == "sweep: interrupted; no trial was started\n"
    assert not (folder / "studies.db").exists()
    check_gone(folder)


def interrupt_twice(folder: Path, name: str, engine: str) -> None:
    """Signal a sweep that is stuck in `tell` twice: it ends at once, with its workers."""
    held, until, noted = folder / "held", folder / "never", folder / "noted"
    for file in (held, noted):
        file.unlink(missing_ok=True)
    accident = Accident("tell", "before", 2, action="hold", held=str(held), until=str(until))
    with start_driver(folder, "run", "space.yaml", *ENGINES[engine], accidents=(accident,)) as run:
        try:
            wait_for(lambda: held.exists() or run.poll() is not None)
            run.send_signal(signal.Signals[name])
            wait_for(lambda: noted.exists() or run.poll() is not None)  # lest the two merge
            assert run.poll() is None
            run.send_signal(signal.Signals[name])
            _, errors = run.communicate()
        except BaseException:
            kill_all(run)
            raise
    # After some seconds it would have ended by itself, and said so.
    assert "interrupted" not in errors
    assert run.returncode == 128 + signal.Signals[name]
    assert "Traceback" not in errors
    check_gone(folder)


def interrupt_with_a_deaf_worker(folder: Path, name: str, engine: str) -> None:
    """Signal a sweep whose worker is stopped and answers nothing: it ends in time."""
    sent = math.nan

    def happen(run: ForkedProcess) -> None:
        nonlocal sent
        (worker,) = workers(run.pid)
        os.kill(worker, signal.SIGSTOP)
        sent = time.monotonic()
        run.send_signal(signal.Signals[name])

    run = disturb(folder, happen, "run", "space.yaml", *ENGINES[engine], call=3)
    assert time.monotonic() - sent < _SECONDS
    check_interrupted(run.returncode, name, run.stdout, run.stderr)
    check_gone(folder)
