"""Processes on this machine, forked by a server that has PyTorch loaded.

The server is a fresh interpreter, not started by multiprocessing: scripts and notebooks need no
`if __name__ == "__main__"`, no thread of the driver is forked, and nothing is pickled.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any

from sweep.codec import to_plain
from sweep.execution.fork_server import STOP_SIGNALS, receive, send
from sweep.execution.launcher import Ended

__all__ = [
    "EXIT_SECONDS",
    "Child",
    "ForkServer",
    "early_server",
    "import_path",
    "last_words",
    "shared_server",
    "start_interpreter",
]

EXIT_SECONDS = 5.0
"""From the end of a process's pipe to the news of its exit."""

_CLOSE_SECONDS = 1.0  # of the five that an interrupted command has to end
_LAST_WORDS = 4000  # bytes
_HOME = str(Path(__file__).absolute().parents[2])  # a folder, or a zip file

# Loads the driver's own package, whatever else of its name is on the path.
_CODE = """
import sys
sys.path[:] = {path!r}
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
spec = PathFinder.find_spec("sweep", [{home!r}])
sys.modules["sweep"] = module_from_spec(spec)
spec.loader.exec_module(sys.modules["sweep"])
{call}
"""


class Child:
    """A process that the server forked."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.has_ended = threading.Event()
        self.ended = Ended("an unknown reason", by_itself=False)

    def end(self, ended: Ended) -> None:
        """Note how it ended."""
        self.ended = ended
        self.has_ended.set()


class ForkServer:
    """Starts worker processes for all launchers that share it; a context manager."""

    def __init__(self) -> None:
        self._children: dict[int, Child] = {}
        self._num_forked = 0
        self._is_loaded = False
        self.is_alive = True
        self._started_at = time.monotonic()
        self._sending = threading.Lock()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the server
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = self._spawn(theirs)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def age_seconds(self) -> float:
        """Since it was started."""
        return time.monotonic() - self._started_at

    def fork(
        self,
        work: str,
        value: Hashable,
        pipe: Connection,
        output: IO[bytes],
        *data: int,
        threads: int = 1,
    ) -> Child:
        """Start a process with its end of the pipe; `output` gets what it prints.

        Its work is to `train`, by `TrainingSettings`, on the data in a file (a descriptor), or to
        `calibrate`, by a `CalibrationRequest`.
        """
        child = Child(self._num_forked)
        self._num_forked += 1
        self._children[child.number] = child
        count = str(threads)
        request = {
            "fork": child.number,
            "work": work,
            "value": to_plain(value),
            "environment": os.environ | {"OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count},
            "path": import_path(),
            "folder": _current_folder() or os.sep,
        }
        self._send(request, (pipe.fileno(), output.fileno(), *data))
        return child

    def kill(self, child: Child) -> None:
        """Kill a worker at once; if the server does not answer, kill the server."""
        self._send({"kill": child.number})
        if not child.has_ended.wait(EXIT_SECONDS) and self._is_loaded:
            self._process.kill()
            child.has_ended.wait(EXIT_SECONDS)

    def close(self) -> None:
        """End the server and all its workers."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        if not self._is_loaded:
            self._process.kill()  # it has no workers and is busy loading for seconds
        try:
            self._process.wait(_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:  # perhaps it is stopped
            self._process.kill()
            self._process.wait()
        self._listener.join(EXIT_SECONDS)
        self._socket.close()
        self._errors.close()

    def _send(self, request: Mapping[str, Any], files: Sequence[int] = ()) -> None:
        """Send a request; if the server is gone, the listener reports it."""
        with self._sending, contextlib.suppress(OSError):
            send(self._socket, request, files)

    def _spawn(self, theirs: socket.socket) -> subprocess.Popen[bytes]:
        call = f"from sweep.execution.fork_server import main\nmain({theirs.fileno()})"
        with _stop_signals_blocked():  # the new process inherits that
            return start_interpreter(call, theirs.fileno(), self._errors)

    def _listen(self) -> None:
        """Note which workers ended; with the end of the server, all have."""
        with contextlib.suppress(EOFError, OSError):
            while True:
                answer, _ = receive(self._socket)
                self._is_loaded = True
                if "ended" in answer:
                    self._children.pop(answer["ended"]).end(_ended(answer["code"]))
        self.is_alive = False
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(EXIT_SECONDS)
        code = self._process.poll()
        ended = _ended(1 if code is None else code)
        if self._is_loaded:
            ended = replace(ended, by_itself=False, is_innocent=True)
        ended = replace(ended, last_words=last_words(self._errors))
        for child in list(self._children.values()):
            child.end(ended)


_early: ContextVar[ForkServer | None] = ContextVar("_early", default=None)


@contextlib.contextmanager
def early_server() -> Iterator[None]:
    """Context whose launchers share a server that starts now.

    It loads PyTorch, which takes longest, while the driver does its own imports.
    """
    try:
        server = ForkServer()
    except OSError:  # the launcher says so, if one is needed
        yield
        return
    with server:
        before = _early.set(server)
        try:
            yield
        finally:
            _early.reset(before)


def shared_server() -> ForkServer | None:
    """The server of the `early_server` that this is in, if it is in one."""
    return _early.get()


def start_interpreter(call: str, descriptor: int, output: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a fresh interpreter that runs `call` with the driver's own package.

    It inherits the file descriptor; `output` gets what it prints.
    """
    path = import_path()
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    code = _CODE.format(path=path, home=_HOME, call=call)
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, *flags, "-P", "-c", code],
        pass_fds=[descriptor],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd=None if _current_folder() else os.sep,
        # A signal to the driver's process group is the driver's to handle.
        start_new_session=True,
        env=os.environ
        | {
            # Libraries that start threads when they are loaded would make forks unsafe.
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            # Else the process takes one core, and what it forks has only that.
            "OMP_PROC_BIND": "false",
            # Relative entries would count from the folder that is current now.
            "PYTHONPATH": os.pathsep.join(path),
        },
    )


def import_path() -> list[str]:
    """The driver's `sys.path`, made absolute, for its workers.

    Without '', which lets an interactive driver import from its current folder.
    """
    entries = [entry for entry in sys.path if isinstance(entry, str) and entry]
    folder = _current_folder()
    if folder is None:
        return [entry for entry in entries if Path(entry).is_absolute()]
    return [str(Path(folder, entry)) for entry in entries]


@contextlib.contextmanager
def _stop_signals_blocked() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ended(code: int) -> Ended:
    reason = f"signal {-code}" if code < 0 else f"exit code {code}"
    # These are sent by somebody who stops a job; crashes and a lack of memory have others.
    return Ended(reason, by_itself=code > 0, is_innocent=-code in STOP_SIGNALS)


def last_words(output: IO[bytes]) -> str:
    """The end of what a process has written to a file."""
    output.seek(0, os.SEEK_END)
    output.seek(max(0, output.tell() - _LAST_WORDS))
    return output.read().decode(errors="replace").strip()


def _current_folder() -> str | None:
    try:
        return str(Path.cwd())
    except OSError:
        return None  # it has been deleted
