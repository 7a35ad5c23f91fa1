"""The real command line, with a witness and with accidents at planned moments.

`zygote` forks it with a plan. The witness is a ledger beside the store: one line for everything
that the driver has acknowledged, on disk before the sweep continues. Accidents happen in this
process, before or after the n-th call of a named function, so that a moment of a microsecond is hit
every time.
"""

from __future__ import annotations

import faulthandler
import json
import math
import os
import pathlib
import resource
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import Any

import filelock
import optuna
from helpers import children
from sketches import sketch

from sweep import cli
from sweep.cli.exits import Interruption
from sweep.execution import Pool, workload
from sweep.records import (
    Epoch,
    Message,
    Objective,
    Paused,
    StudyOpened,
    TrialOutcome,
    TrialStarted,
)
from sweep.runner import sweeps
from sweep.runner.loop import Loop
from sweep.store import Store, artifacts
from sweep.store.connection import BatchConnection
from sweep.store.trials import Trials
from sweep.study import StudySession

POINTS: dict[str, tuple[Any, ...]] = {
    "acquire": (filelock.FileLock, "acquire"),
    "create_study": (optuna, "create_study"),
    "write_study": (Store, "write_study"),
    "enqueue": (StudySession, "enqueue"),
    "enqueue_again": (StudySession, "enqueue_again"),
    "write_retry": (Trials, "change", "retry_of"),
    "recover": (StudySession, "recover"),
    "ask": (StudySession, "ask"),
    "write_config": (Trials, "change", "config"),
    "write_copy": (Trials, "write_copy"),
    "copy": (StudySession, "copy"),
    "report": (StudySession, "report"),
    "write_audited": (Trials, "change", "audited"),
    "write_checkpoints": (Trials, "write_checkpoints"),
    "decide": (Pool, "decide"),
    "write_paused": (Trials, "write_paused"),
    "pause": (Loop, "_pause"),
    "promote": (StudySession, "promote"),
    "go_on_with": (Loop, "_go_on_with"),
    "resubmit": (Pool, "resubmit"),
    "discard_checkpoints": (Trials, "discard_checkpoints"),
    "finish_study": (Loop, "_finish_study"),
    "write_outcome": (Trials, "write_outcome"),
    "tell": (StudySession, "tell"),
    "write_finished": (Store, "change_study", "finished_by"),
    "write_test_reading": (Store, "write_test_reading"),
    "write_file": (artifacts, "write_file"),
    "fsync": (os, "fsync"),
    "replace": (pathlib.Path, "replace"),
    "delete_files": (artifacts, "delete_files"),
    "unlink": (pathlib.Path, "unlink"),
    "unlink_weights": (pathlib.Path, "unlink"),
    "commit": (BatchConnection, "commit"),
}
"""The named functions, some with the option that a call must have to count.

`statement` is a further point: each statement that SQLite executes.
"""

_fsync = os.fsync  # the ledger's own calls must not be counted


class Accident:
    """What happens at one point.

    Args:
        plan: `point`, `when` (before or after), `call` (from 1) and `action`: `kill`, the name of a
            signal, or `hold`, with a file to create (`held`) and one to wait for (`until`).
    """

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self._calls = 0
        if plan["point"] == "statement":
            self._watch_statements()
        else:
            owner, name, *_ = POINTS[plan["point"]]
            setattr(owner, name, self._wrap(getattr(owner, name)))

    def _wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def wrapped(*args: Any, **options: Any) -> Any:
            if not self._counts(args, options):
                return function(*args, **options)
            self._calls += 1
            is_it = self._calls == self._plan["call"]
            if is_it and self._plan["when"] == "before":
                self._happen()
            result = function(*args, **options)
            if is_it and self._plan["when"] == "after":
                self._happen()
            return result

        return wrapped

    def _counts(self, args: tuple[Any, ...], options: dict[str, Any]) -> bool:
        """Only commits that reach the file count, and deletions of weights and checkpoints."""
        if options.keys().isdisjoint(needed := POINTS[self._plan["point"]][2:]) and needed:
            return False
        match self._plan["point"], args:
            case "commit", (BatchConnection() as connection,):
                return connection.in_transaction and not connection.is_in_batch
            case "unlink", (Path() as path, *_):
                return path.suffix == ".safetensors" and path.exists()
            case "unlink_weights", (Path() as path, *_):
                return path.match("trial-*.safetensors") and path.exists()
        return True

    def _watch_statements(self) -> None:
        def look(_statement: str) -> None:
            self._calls += 1
            if self._calls == self._plan["call"]:
                self._happen()

        original = BatchConnection.__init__

        def init(connection: BatchConnection, *args: Any, **options: Any) -> None:
            original(connection, *args, **options)
            sqlite3.Connection.set_trace_callback(connection, look)

        BatchConnection.__init__ = init  # type: ignore[method-assign]

    def _happen(self) -> None:
        Path("accident").write_text(str(time.time()))
        match self._plan["action"]:
            case "kill":
                kill_workers()
                os.kill(os.getpid(), signal.SIGKILL)
            case "hold":
                Path(self._plan["held"]).touch()
                wait_for_file(self._plan["until"])
            case name:
                os.kill(os.getpid(), signal.Signals[name])


def kill_workers() -> None:
    for process in children(recursive=True):
        os.kill(process, signal.SIGKILL)


def wait_for_file(path: str) -> None:
    """Wait for a file; thanks to the time limit a failed test leaves no processes behind."""
    end = time.monotonic() + 600
    while not Path(path).exists():
        if time.monotonic() > end:
            sys.exit(f"{path} never came")
        time.sleep(0.002)


class Ledger:
    """Appends what was acknowledged; each line is on disk before anything else happens."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._objective = Objective("validation_accuracy", "maximize")

    def write(self, event: Message) -> None:
        match event:
            case StudyOpened(study):
                self._objective = study.objective
            case TrialStarted(config):
                self.append(config.number, kind="started", config=asdict(config))
            case Epoch(epoch):
                for metrics in epoch:
                    value = self._objective.value(metrics)
                    self.append(metrics.trial, kind="epoch", epoch=metrics.epoch, value=value)
            case Paused(outcome):
                self.append(outcome.trial, kind="paused", epoch=len(outcome.history))
            case TrialOutcome():
                best = event.best and self._objective.value(event.best)
                self.append(event.trial, kind="finished", state=event.state, value=best)

    def append(self, trial: int, **line: Any) -> None:
        """Append a line about a trial."""
        text = json.dumps({"trial": trial, **line}) + "\n"
        os.write(self._descriptor, text.encode())
        _fsync(self._descriptor)


def note_checkpoints(ledger: Ledger) -> None:
    """Append a line for each checkpoint that is on disk."""
    write = Trials.write_checkpoints

    def write_and_note(trials: Trials, checkpoints: Any) -> None:
        write(trials, checkpoints)
        for checkpoint in checkpoints:
            ledger.append(checkpoint.trial, kind="saved", epoch=checkpoint.epoch)

    Trials.write_checkpoints = write_and_note  # type: ignore[method-assign]


def watched(start: Callable[..., Any], ledger: Ledger) -> Callable[..., Any]:
    def with_ledger(what: Any, *, on_event: Callable[[Message], None], **options: Any) -> Any:
        def both(event: Message) -> None:
            ledger.write(event)
            on_event(event)

        return start(what, on_event=both, **options)

    return with_ledger


def note_signals() -> None:
    """Create a file once a signal has been handled."""
    handle = Interruption.handle

    def handle_and_note(interruption: Interruption, number: int, frame: Any) -> None:
        try:
            handle(interruption, number, frame)
        finally:
            Path("noted").touch()

    Interruption.handle = handle_and_note  # type: ignore[method-assign]


def main(plan: dict[str, Any]) -> None:
    faulthandler.register(signal.SIGUSR1)  # a hanging driver can print its stacks
    # One thread per worker: threads that wait for each other on a busy machine take minutes.
    os.sched_getaffinity = lambda _process: {0}  # type: ignore[assignment]
    # A first step or a disk that is slow would space out the checkpoints that tests wait for.
    workload._LONG_WAVE_SECONDS = math.inf
    note_signals()
    sketch()
    ledger = Ledger(plan["ledger"])
    sweeps.run, sweeps.resume = watched(sweeps.run, ledger), watched(sweeps.resume, ledger)
    note_checkpoints(ledger)
    for accident in plan["accidents"]:
        Accident(accident)
    if "limit" in plan:  # on the size of files, in bytes
        resource.setrlimit(resource.RLIMIT_FSIZE, (plan["limit"], plan["limit"]))
    if "ready" in plan:
        Path(plan["ready"]).touch()
        wait_for_file(plan["go"])
    sys.argv = ["sweep", *plan["arguments"]]
    cli.main()
