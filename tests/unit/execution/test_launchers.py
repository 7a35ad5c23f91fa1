"""Both launchers keep their promises, and processes those that only processes can."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from helpers import children, is_alive, make_config, wait_for
from launcher_contract import LauncherContract, next_of, ready, start, train, with_digits

from sweep.execution import Ended, ForkServer, InlineLauncher, ProcessLauncher, fork_server
from sweep.execution.fork_server import STOP_SIGNALS
from sweep.execution.forking import import_path
from sweep.execution.wire import pack
from sweep.records import Assignment, Checkpoint, Train


class TestInline(LauncherContract):
    @pytest.fixture
    def launcher(self) -> Iterator[InlineLauncher]:
        launcher = with_digits(InlineLauncher())
        yield launcher
        launcher.close()

    def test_pytorch_is_left_as_it_was(self, launcher: InlineLauncher) -> None:
        before = torch.get_num_threads()
        start(launcher, num_threads=before + 2)
        assert torch.get_num_threads() == before + 2
        launcher.close()
        assert torch.get_num_threads() == before


class TestProcesses(LauncherContract):
    @pytest.fixture
    def launcher(self, fork_server: ForkServer) -> Iterator[ProcessLauncher]:
        launcher = with_digits(ProcessLauncher(server=fork_server))
        yield launcher
        launcher.close()

    @pytest.fixture
    def process(self, launcher: ProcessLauncher, fork_server: ForkServer):
        """A worker that is ready, and its process id."""
        before = children(fork_server._process.pid)
        link = ready(launcher)
        (pid,) = children(fork_server._process.pid) - before
        return link, pid

    def test_a_shared_server_outlives_a_launcher_and_no_worker_does(
        self, launcher, process, fork_server
    ) -> None:
        _, pid = process
        launcher.close()
        assert not is_alive(pid)
        assert fork_server.is_alive
        later = with_digits(ProcessLauncher(server=fork_server))
        ready(later)
        later.close()

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
    def test_a_signal_that_ended_a_worker_is_named(self, launcher, process, number) -> None:
        link, pid = process
        os.kill(pid, number)
        assert next_of(launcher) == (link, Ended(f"signal {int(number)}", by_itself=False))

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_signals_to_a_whole_job_are_the_drivers_to_handle(
        self, launcher, process, fork_server, number
    ) -> None:
        link, pid = process
        os.kill(pid, number)
        os.kill(fork_server._process.pid, number)
        train(link, 1, lease=1, epochs=1)
        assert isinstance(next_of(launcher)[1], bytes)
        ready(launcher)

    @pytest.mark.slow
    def test_so_are_those_that_come_while_the_server_starts(self) -> None:
        launcher = with_digits(ProcessLauncher())
        try:
            for number in STOP_SIGNALS:
                os.kill(launcher._server._process.pid, number)
            ready(launcher)
        finally:
            launcher.close()

    def test_a_worker_that_reads_nothing_holds_up_nobody(self, launcher, process) -> None:
        link, pid = process
        os.kill(pid, signal.SIGSTOP)
        started = time.process_time()
        config = make_config(number=1)
        for _ in range(10):
            state = bytes(10_000_000)
            link.send(pack(Train((Assignment(1, config, Checkpoint(1, 0, 0, state)),))))
        assert launcher.receive(0.1) is None
        link.kill()
        assert not is_alive(pid)
        assert time.process_time() - started < 60, "it was waited for in a loop"

    def test_a_worker_is_where_its_driver_is(
        self, launcher, fork_server, monkeypatch, tmp_path: Path
    ) -> None:
        monkeypatch.chdir(tmp_path)
        before = children(fork_server._process.pid)
        ready(launcher)
        (pid,) = children(fork_server._process.pid) - before
        assert Path(f"/proc/{pid}/cwd").readlink() == tmp_path
        assert os.getsid(pid) == pid, "a signal to the driver's terminal does not reach it"

    @pytest.mark.slow
    def test_workers_end_with_their_server_and_the_next_one_has_another(self) -> None:
        launcher = with_digits(ProcessLauncher())
        try:
            link = ready(launcher)
            first = launcher._server._process.pid
            (worker,) = children(first)
            os.kill(worker, signal.SIGSTOP)
            os.kill(first, signal.SIGKILL)
            wait_for(lambda: not is_alive(worker), 60)  # the system does it at once
            ended = Ended("signal 9", by_itself=False, is_innocent=True)
            assert next_of(launcher) == (link, ended)
            ready(launcher)
            second = launcher._server._process.pid
        finally:
            launcher.close()
        assert not is_alive(first)
        assert not is_alive(second)


BECOME = """
import json, os, signal, sys
from sweep.execution.fork_server import _become_worker
request = {"environment": {"A": "1"}, "path": ["x", *sys.path], "folder": sys.argv[1]}
output = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
_become_worker(request, output, os.getppid())
print(json.dumps([dict(os.environ), sys.path[0], os.getcwd(), os.getsid(0) == os.getpid()]))
print(sys.stdin.read() == "", file=sys.stderr)
"""


def test_a_worker_takes_on_the_environment_of_its_driver(tmp_path: Path) -> None:
    code = [sys.executable, "-c", BECOME, str(tmp_path), str(tmp_path / "output")]
    subprocess.run(code, check=True, capture_output=True, stdin=subprocess.PIPE)
    said, errors = (tmp_path / "output").read_text().splitlines()
    assert json.loads(said) == [{"A": "1"}, "x", str(tmp_path), True]
    assert errors == "True"


def test_a_server_that_cannot_start_says_why(monkeypatch) -> None:
    monkeypatch.setattr("sweep.execution.forking._HOME", "nowhere")
    launcher = with_digits(ProcessLauncher())
    try:
        link = start(launcher)
        speaker, ended = next_of(launcher)
        assert speaker is link
        assert isinstance(ended, Ended)
        assert (ended.reason, ended.by_itself) == ("exit code 1", True)
        assert "Error" in ended.last_words
    finally:
        launcher.close()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="there is no affinity")
def test_workers_have_all_cores_of_their_driver(monkeypatch) -> None:
    """OpenMP would bind the server to one core, and the workers with it."""
    monkeypatch.setenv("OMP_PROC_BIND", "true")
    launcher = with_digits(ProcessLauncher())
    try:
        ready(launcher)
        (worker,) = children(launcher._server._process.pid)
        assert os.sched_getaffinity(worker) == os.sched_getaffinity(0)
    finally:
        launcher.close()


@pytest.mark.slow
@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_worker_that_was_stopped_by_somebody_is_innocent(monkeypatch, number) -> None:
    """What it trains may have made it obey. In place of the server, the test says how it ended."""
    servers: list[socket.socket] = []

    def spawn(_server: ForkServer, theirs: socket.socket) -> subprocess.Popen[bytes]:
        servers.append(theirs.dup())
        return subprocess.Popen(["sleep", "600"])

    monkeypatch.setattr(ForkServer, "_spawn", spawn)
    launcher = with_digits(ProcessLauncher())
    link = start(launcher)
    request, files = fork_server.receive(servers[0])
    for file in files:
        os.close(file)
    fork_server.send(servers[0], {"ended": request["fork"], "code": -number})
    ended = Ended(f"signal {number:d}", by_itself=False, is_innocent=True)
    assert next_of(launcher) == (link, ended)
    servers[0].close()
    launcher.close()


def test_a_driver_tells_its_workers_where_it_imports_from(monkeypatch, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    monkeypatch.setattr(sys, "path", ["", ".", "beside", "/lib.zip", Path("/no text")])
    assert import_path() == [str(gone), str(gone / "beside"), "/lib.zip"]
    gone.rmdir()
    assert import_path() == ["/lib.zip"]


@pytest.mark.slow
def test_a_server_that_stands_still_is_ended_with_its_workers() -> None:
    launcher = with_digits(ProcessLauncher())
    ready(launcher)
    server = launcher._server._process.pid
    (worker,) = children(server)
    os.kill(server, signal.SIGSTOP)
    launcher.close()
    assert not is_alive(server)
    wait_for(lambda: not is_alive(worker), 60)


def test_a_server_that_still_starts_is_not_waited_for() -> None:
    launcher = with_digits(ProcessLauncher())
    server = launcher._server._process.pid
    start(launcher)
    launcher.close()
    assert not is_alive(server)
    assert not launcher._server._is_loaded


def test_a_worker_that_cannot_be_forked_is_said_and_the_others_go_on(monkeypatch) -> None:
    """In a server of this process: `fork` fails for want of processes, once."""
    ours, theirs = socket.socketpair()
    fork, failed = os.fork, []

    def fail_once() -> int:
        if not failed:
            failed.append(True)
            raise BlockingIOError(errno.EAGAIN, "too many")
        return fork()

    monkeypatch.setattr(os, "fork", fail_once)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(signal, "set_wakeup_fd", lambda *_, **__: None)
    server = fork_server.Server(theirs, lambda *_: os._exit(7))
    said, output = os.pipe()
    for number in range(2):
        fork_server.send(ours, {"fork": number}, [os.dup(output)])
        server._answer()
    assert os.read(said, 100) == b"it could not be forked: [Errno 11] too many"
    assert fork_server.receive(ours)[0] == {"ended": 0, "code": 1}
    wait_for(lambda: server._reap() or not server._children)
    assert fork_server.receive(ours)[0] == {"ended": 1, "code": 7}
    server._close_all()
    ours.close()
    os.close(said)
    os.close(output)
