"""The process that has PyTorch loaded and forks workers: milliseconds instead of seconds.

It has one thread, opens no device and never trains. When the socket to its driver closes, it ends
its workers and itself. A worker gets the driver's environment at the time of the request.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import mmap
import os
import select
import signal
import socket
import struct
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any, NoReturn

from sweep.codec import encode, from_plain
from sweep.records import CalibrationRequest, TrainingSettings

__all__ = ["STOP_SIGNALS", "Server", "main", "receive", "send"]

_LENGTH = struct.Struct("<I")  # bytes of the message that follows
_MAX_FILES = 8  # sent with one request

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What stops all processes of a job. Workers leave it to the driver, and end with it."""

_PR_SET_PDEATHSIG = 1


def main(file_descriptor: int) -> None:
    """Fork workers until the driver is gone. It has blocked `STOP_SIGNALS` until here."""
    for each in STOP_SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    # Everything that a worker needs, loaded before the first fork.
    import sweep.execution.worker
    import sweep.training.engine
    import sweep.training.sequential
    import sweep.training.stacked  # noqa: F401

    gc.collect()
    gc.freeze()  # keeps what is loaded in memory that the workers share
    with socket.socket(fileno=file_descriptor) as driver:
        Server(driver, partial(_work, os.getpid())).run()
    os._exit(0)  # shutting PyTorch down takes a while, and there is nothing to clean up


class Server:
    """Forks a child for each fork request of the driver, and kills it on request.

    `work` is what a child does with its request and the file descriptors that came with it.
    """

    def __init__(self, driver: socket.socket, work: Callable[[dict[str, Any], list[int]], None]):
        self._driver = driver
        self._work = work
        self._children: dict[int, int] = {}  # the driver's numbers, by process id
        self._wakeup, alarm = socket.socketpair()
        alarm.setblocking(False)
        self._alarm = alarm
        signal.set_wakeup_fd(alarm.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def run(self) -> None:
        """Answer the driver and reap children until the driver is gone, then kill them."""
        with contextlib.suppress(EOFError, OSError):
            send(self._driver, {"loaded": True})
            while True:
                readable, _, _ = select.select([self._driver, self._wakeup], [], [])
                if self._wakeup in readable:
                    self._wakeup.recv(4096)
                    self._reap()
                if self._driver in readable:
                    self._answer()
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
        for pid in self._children:
            os.waitpid(pid, 0)

    def _answer(self) -> None:
        request, descriptors = receive(self._driver)
        if "fork" in request:
            self._fork(request, descriptors)
            return
        for pid, number in self._children.items():
            if number == request["kill"]:
                os.kill(pid, signal.SIGKILL)

    def _fork(self, request: dict[str, Any], descriptors: list[int]) -> None:
        try:
            pid = os.fork()
        except OSError as error:  # too many processes, or too little memory
            with contextlib.suppress(OSError):
                os.write(descriptors[-1], f"it could not be forked: {error}".encode())
            send(self._driver, {"ended": request["fork"], "code": 1})
        else:
            if pid == 0:
                self._run_child(request, descriptors)
            self._children[pid] = request["fork"]
        for descriptor in descriptors:
            os.close(descriptor)

    def _run_child(self, request: dict[str, Any], descriptors: list[int]) -> NoReturn:
        try:
            self._close_all()
            self._work(request, descriptors)
        except BaseException:  # noqa: BLE001 - this is the end of the process
            _print_error()
        finally:
            os._exit(1)

    def _close_all(self) -> None:
        """Close what belongs to the server."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for each in (self._driver, self._wakeup, self._alarm):
            each.close()

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            number, code = self._children.pop(pid), os.waitstatus_to_exitcode(status)
            send(self._driver, {"ended": number, "code": code})


def _become_worker(request: Mapping[str, Any], output: int, server: int) -> None:
    """Take over the driver's environment, and die with the server."""
    os.setsid()
    if sys.platform == "linux":
        # This kills even a stopped process.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != server:
            os._exit(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(output)
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path[:] = request["path"]
    with contextlib.suppress(OSError):  # a folder that has been deleted
        os.chdir(request["folder"])


def _work(server: int, request: dict[str, Any], descriptors: list[int]) -> None:
    """Do what the driver asks for until it is gone."""
    from sweep.execution.freed_memory import keep_freed_memory

    keep_freed_memory()
    pipe, output, *data = descriptors
    _become_worker(request, output, server)
    with Connection(pipe) as connection:
        _WORK[request["work"]](request["value"], connection, *data)


def _train(settings: object, connection: Connection, data: int) -> None:
    """Train what messages say, on the data in this file."""
    from sweep.execution.worker import load_worker

    inbox: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(connection, inbox), daemon=True).start()
    try:
        packed = mmap.mmap(data, 0, access=mmap.ACCESS_READ)  # the engine copies what it needs
        os.close(data)
        wanted = from_plain(TrainingSettings, settings)
        worker = load_worker(packed, wanted, connection.send_bytes)
        del packed
        while True:
            while worker.is_idle or not inbox.empty():
                worker.receive(inbox.get())
            worker.advance()
    except (BrokenPipeError, ConnectionResetError):
        os._exit(0)


def _calibrate(request: object, connection: Connection) -> None:
    """Measure this machine and send what was found."""
    from sweep.training.timing import calibrate

    connection.send_bytes(encode(calibrate(from_plain(CalibrationRequest, request))))
    os._exit(0)


_WORK: dict[str, Callable[..., None]] = {
    "train": _train,
    "calibrate": _calibrate,
}


def _listen(connection: Connection, inbox: SimpleQueue[bytes]) -> None:
    """Receive messages while the process trains; when the driver is gone, exit at once."""
    try:
        while True:
            inbox.put(connection.recv_bytes())
    except (EOFError, OSError):
        os._exit(0)
    except BaseException:  # noqa: BLE001 - without messages the process is useless
        _print_error()
        os._exit(1)


def _print_error() -> None:
    with contextlib.suppress(OSError):
        traceback.print_exc()
        sys.stderr.flush()


def send(
    target: socket.socket, message: Mapping[str, Any], descriptors: Sequence[int] = ()
) -> None:
    """Send a request or an answer, with file descriptors."""
    text = json.dumps(message).encode()
    socket.send_fds(target, [_LENGTH.pack(len(text))], descriptors)
    target.sendall(text)


def receive(source: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """A request or an answer with its file descriptors; EOFError if the other side is gone."""
    head, descriptors, _, _ = socket.recv_fds(source, _LENGTH.size, _MAX_FILES)
    head += _read(source, _LENGTH.size - len(head)) if head else b""
    if not head:
        raise EOFError
    message: dict[str, Any] = json.loads(_read(source, _LENGTH.unpack(head)[0]))
    return message, descriptors


def _read(source: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = source.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data
