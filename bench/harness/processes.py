"""The harness's side of the protocol of `contestants.serving`."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from contestants.serving import Settings

BENCH = Path(__file__).parents[1]
_PATIENCE_SECONDS = 900
_LEAVE_SECONDS = 15
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class ContestantError(Exception):
    """A contestant cannot be measured; the message is one line."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """One row of the table.

    Attributes:
        kind: Its name on the command line.
        name: Its name in the table.
        module: The module that each of its processes runs.
        settings: The settings of each process.
        processes: How many run at the same time.
        package: Import name of the package that it needs.
        extra: This project's optional dependency that installs the package.
    """

    kind: str
    name: str
    module: str
    settings: Settings
    processes: int = 1
    package: str = "torch"
    extra: str = "bench"

    @property
    def layout(self) -> str:
        """Processes x threads x lanes."""
        return f"{self.processes} x {self.settings.threads} x {self.settings.lanes}"


@dataclass(frozen=True, slots=True)
class Measurement:
    """The answers to one `go`.

    Attributes:
        trial_epochs: Epochs of all trials of all processes.
        seconds: From the first `go` to the last answer.
        process_seconds: As measured by each process.
    """

    trial_epochs: float
    seconds: float
    process_seconds: tuple[float, ...]


class _Process:
    """One process of a contestant."""

    def __init__(self, module: str, settings: Settings, folder: str) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        threads = dict.fromkeys(_THREAD_VARIABLES, str(settings.threads))
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=BENCH,
            env=os.environ | threads | {"PYTHONPATH": _python_path(), "TMPDIR": folder},
            start_new_session=True,  # the harness handles Ctrl-C; a group can be ended at once
        )
        self.send(json.dumps(asdict(settings)))

    def send(self, line: str) -> None:
        # If the process is gone, `receive` says so.
        with contextlib.suppress(BrokenPipeError):
            self._input.write(line + "\n")
            self._input.flush()

    def receive(self) -> dict[str, Any]:
        """One answer. Raises ContestantError if the process ended or is silent."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            if not selector.select(_PATIENCE_SECONDS):
                raise ContestantError(f"no answer within {_PATIENCE_SECONDS} s")
        line = self._output.readline()
        if not line:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_LEAVE_SECONDS)
            raise ContestantError(self._last_words())
        return dict(json.loads(line))

    def dismiss(self) -> None:
        """Ask it to end, even in the middle of an epoch."""
        with contextlib.suppress(BrokenPipeError):
            self._input.close()
        self._process.terminate()

    def stop(self) -> None:
        """Wait until it has ended; kill what is left."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_LEAVE_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._output.close()
        self._errors.close()

    @property
    def _input(self) -> IO[str]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _output(self) -> IO[str]:
        assert self._process.stdout is not None
        return self._process.stdout

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        last = lines[-1].strip() if lines else "it printed nothing"
        return f"ended with exit code {self._process.poll()}: {last}"


class Team:
    """The processes of one contestant, with their temporary files in a folder."""

    def __init__(self, contestant: Contestant, folder: str) -> None:
        self.contestant = contestant
        self.versions: dict[str, str] = {}
        self.note = ""
        self._folder = folder
        self._processes: list[_Process] = []

    def prepare(self) -> None:
        """Start every process and wait until they are ready.

        Raises:
            ContestantError: its package is missing, or a process cannot be prepared.
        """
        contestant = self.contestant
        if importlib.util.find_spec(contestant.package) is None:
            raise ContestantError(f"not installed: pip install -e '.[{contestant.extra}]'")
        for _ in range(contestant.processes):
            process = _Process(contestant.module, contestant.settings, self._folder)
            self._processes.append(process)
        for process in self._processes:
            answer = process.receive()
            self.versions |= answer["versions"]
            self.note = answer["note"]

    def go(self) -> Measurement:
        """Have all processes train at the same time.

        Raises:
            ContestantError: a process ended or is silent.
        """
        started = time.perf_counter()
        for process in self._processes:
            process.send("go")
        answers = [process.receive() for process in self._processes]
        return Measurement(
            trial_epochs=sum(answer["trial_epochs"] for answer in answers),
            seconds=time.perf_counter() - started,
            process_seconds=tuple(answer["seconds"] for answer in answers),
        )

    def dismiss(self) -> None:
        """Ask every process to end."""
        for process in self._processes:
            process.dismiss()

    def stop(self) -> None:
        """End every process."""
        self.dismiss()
        for process in self._processes:
            process.stop()
        self._processes.clear()


@contextmanager
def assembled(contestants: Sequence[Contestant]) -> Iterator[list[Team]]:
    """Teams that are not prepared yet; in any case, no process or file of theirs is left behind."""
    # A short name, because the paths of Ray's sockets in this folder have a limit.
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        teams = [Team(contestant, folder) for contestant in contestants]
        try:
            yield teams
        finally:
            for team in teams:
                team.dismiss()
            for team in teams:
                team.stop()


def leave_on_signals() -> None:
    """Turn SIGINT and SIGTERM into an exception, so that contestants are ended before this is."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: sys.exit(128 + number))


def _python_path() -> str:
    """`bench/` before the inherited path; a contestant's own processes inherit both."""
    inherited = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(BENCH), *([inherited] if inherited else [])])
