"""The command line as a separate process, without seconds of imports.

A process that has imported everything and done nothing else forks a child whenever a test needs
one. The child is a real process that can be signalled, stopped and killed, and so are its fork
server and its workers; only their imports are done already. Tests of startup use `subprocess`.

Each process that runs tests has its own zygote, which ends with that process, as do its children.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from sweep.execution import fork_server

__all__ = ["ForkedProcess", "fork"]

_PATIENCE_SECONDS = 600.0  # a hang ends

# ------------------------------------------------------------ the tests' side


class ForkedProcess:
    """The parts of `subprocess.Popen` that tests need; a failed test does not wait for it."""

    def __init__(self, arguments: Sequence[str], stdout: int, stderr: int) -> None:
        self.args = list(arguments)
        self.pid = 0
        self.stdout = _as_text(stdout)
        self.stderr = _as_text(stderr)
        self._code: int | None = None
        self._has_ended = threading.Event()

    @property
    def returncode(self) -> int | None:
        return self._code

    def poll(self) -> int | None:
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        if not self._has_ended.wait(timeout):
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        assert self._code is not None
        return self._code

    def communicate(self, timeout: float = _PATIENCE_SECONDS) -> tuple[str, str]:
        end = time.monotonic() + timeout
        found = {self.stdout: "", self.stderr: ""}

        def read(stream: IO[str]) -> None:
            with contextlib.suppress(ValueError):  # it has been closed
                found[stream] = stream.read()

        readers = [threading.Thread(target=read, args=(s,), daemon=True) for s in found]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(max(0.0, end - time.monotonic()))
            if reader.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout)
        self.wait(max(0.0, end - time.monotonic()))
        for stream in found:
            stream.close()
        return found[self.stdout], found[self.stderr]

    def send_signal(self, number: int) -> None:
        if self._code is None:
            with contextlib.suppress(ProcessLookupError):  # ended, but not reported yet
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.kill()
        try:
            self.wait(_PATIENCE_SECONDS)
        finally:
            self.kill()
            self.stdout.close()
            self.stderr.close()

    def end(self, code: int) -> None:
        self._code = code
        self._has_ended.set()


def _as_text(descriptor: int) -> IO[str]:
    return open(descriptor, encoding="utf-8", errors="backslashreplace")


class _Zygote:
    def __init__(self, preload: str) -> None:
        self._children: dict[int, ForkedProcess] = {}  # running ones, by number
        self._num_forked = 0
        self._lock = threading.Lock()
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        self._socket, theirs = socket.socketpair()
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        environment.pop("LD_PRELOAD", None)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._words,
                stderr=self._words,
                start_new_session=True,
                env=environment | ({"LD_PRELOAD": preload} if preload else {}),
            )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        atexit.register(self._end)

    def fork(
        self, kind: str, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str],
        inside: int | None,
    ) -> ForkedProcess:  # fmt: skip
        pipes = [os.pipe() for _ in range(3)]
        said, output, errors = (read for read, _ in pipes)
        child = ForkedProcess(arguments, output, errors)
        with self._lock:
            number = self._num_forked
            self._num_forked += 1
            self._children[number] = child
            request = {
                "fork": number,
                "kind": kind,
                "arguments": list(arguments),
                "folder": str(cwd),
                "environment": dict(environment),
                "inside": inside,
            }
            with contextlib.suppress(OSError):  # the zygote is gone, which is reported below
                fork_server.send(self._socket, request, [write for _, write in pipes])
        for _, write in pipes:
            os.close(write)
        with os.fdopen(said) as stream:
            pid = stream.read()
        if not pid:
            # Without the zygote there are no children either.
            words = child.stderr.read() if self._listener.is_alive() else self._last_words()
            child.stdout.close()
            child.stderr.close()
            raise RuntimeError(f"a child ended before it began: {words}")
        child.pid = int(pid)
        return child

    def _listen(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                answer, _ = fork_server.receive(self._socket)
                if "ended" in answer:
                    with self._lock:
                        child = self._children.pop(answer["ended"])
                    child.end(answer["code"])
        with self._lock:
            for child in self._children.values():
                child.end(-signal.SIGKILL)

    def _last_words(self) -> str:
        self._words.seek(0)
        return f"the zygote is gone: {self._words.read().decode(errors='replace')}"

    def _end(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


_zygotes: dict[str, _Zygote] = {}
_starting = threading.Lock()


def fork(
    kind: str,
    arguments: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    inside: int | None = None,
) -> ForkedProcess:
    """Fork the command line, or a `ledger_driver`.

    Args:
        kind: `cli` or `ledger`.
        arguments: Of the command line, or the path of the driver's plan.
        cwd: The working directory.
        environment: The environment. Libraries are preloaded when a process starts, so each value
            of `LD_PRELOAD` has its own zygote.
        inside: A process whose file systems it shares.
    """
    preload = environment.get("LD_PRELOAD", "")
    with _starting:
        if preload not in _zygotes:
            _zygotes[preload] = _Zygote(preload)
    return _zygotes[preload].fork(kind, arguments, cwd, environment, inside)


# ------------------------------------------------------------ the zygote's side


def _main(descriptor: int) -> None:
    _load()
    threads = list(Path("/proc/self/task").iterdir())
    assert len(threads) == 1, f"a fork would leave {len(threads) - 1} threads behind"
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=descriptor) as tests:
        fork_server.Server(tests, _work).run()
    os._exit(0)


def _load() -> None:
    """Import what commands import lazily, and what their workers import."""
    import ledger_driver  # noqa: F401
    import optuna
    from helpers import made_up_calibration, read_migrations_once

    import sweep.cli.answer_text
    import sweep.cli.check_text
    import sweep.cli.checks
    import sweep.cli.json_output
    import sweep.cli.progress
    import sweep.cli.study_text
    import sweep.estimate
    import sweep.evaluation
    import sweep.execution.calibrating
    import sweep.execution.worker
    import sweep.fresh_seeds
    import sweep.reporting.writing
    import sweep.runner
    import sweep.store.examination
    import sweep.training.engine
    import sweep.training.sequential
    import sweep.training.stacked
    from sweep.execution.forking import ForkServer

    # Loads what Optuna and SQLAlchemy import with the first store.
    optuna.storages.RDBStorage("sqlite://").engine.dispose()
    read_migrations_once()
    sweep.execution.calibrating.measure = made_up_calibration
    sweep.execution.calibrating.write_whole = lambda *_: None
    ForkServer._spawn = _fork_server  # type: ignore[assignment, method-assign]


def _work(request: dict[str, Any], descriptors: list[int]) -> None:
    """Become the command line."""
    said, output, errors = descriptors
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (errors, 2)):
        os.dup2(source, target)
    for each in (nothing, output, errors):
        os.close(each)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(request["environment"])
    if request["inside"]:
        _enter(request["inside"])
    os.chdir(request["folder"])
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, "utf-8", "backslashreplace", closefd=False)
    os.write(said, str(os.getpid()).encode())
    os.close(said)
    os._exit(_exit_code(request["kind"], request["arguments"]))


def _enter(process: int) -> None:
    """Enter the mount and user namespaces of another process."""
    libc = ctypes.CDLL(None, use_errno=True)
    for kind in ("user", "mnt"):
        descriptor = os.open(f"/proc/{process}/ns/{kind}", os.O_RDONLY)
        if libc.setns(descriptor, 0):
            raise OSError(ctypes.get_errno(), f"cannot enter the {kind} namespace of {process}")
        os.close(descriptor)


def _exit_code(kind: str, arguments: list[str]) -> int:
    code = 0
    try:
        if kind == "ledger":
            import ledger_driver

            ledger_driver.main(json.loads(Path(arguments[0]).read_text()))
        else:
            import sweep.cli

            sys.argv = ["sweep", *arguments]
            sweep.cli.main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            sys.stderr.write(end.code + "\n")
    except BaseException:  # noqa: BLE001 - as Python itself
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined] - waits for threads, as Python itself
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = code or 120  # as Python itself
    return code


class _ForkedServer:
    """The fork server of a driver, with the interface of `subprocess.Popen`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None
        self._lock = threading.Lock()  # two of the driver's threads may wait for it

    def poll(self) -> int | None:
        with self._lock:
            if self._code is None:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                self._code = os.waitstatus_to_exitcode(status) if pid else None
            return self._code

    def wait(self, timeout: float = _PATIENCE_SECONDS) -> int:
        end = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("fork server", timeout)
            time.sleep(0.002)
        return code

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def _fork_server(server: Any, theirs: socket.socket) -> _ForkedServer:
    """`ForkServer._spawn` without the imports."""
    pid = os.fork()
    if pid:
        return _ForkedServer(pid)
    try:
        os.setsid()
        kept = os.dup(theirs.fileno())
        errors = server._errors.fileno()
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (errors, 1), (errors, 2)):
            os.dup2(source, target)
        os.closerange(3, kept)
        os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))
        fork_server.main(kept)
    except BaseException:  # noqa: BLE001 - this is the end of the process
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(1)


if __name__ == "__main__":
    _main(int(sys.argv[1]))
