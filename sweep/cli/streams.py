"""Standard output and error, which may be full, closed or gone before the work is done.

Progress that cannot be shown must not end a sweep. So writing to these streams never raises: what
cannot be written is dropped, and a command asks once, after its result, whether that arrived.
"""

from __future__ import annotations

import io
import os
import select
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["open_streams", "output_failure"]


class _Descriptor(io.FileIO):
    """A file descriptor that drops what it cannot write.

    `failure` is the first reason, except for a terminal: where that has gone, so has its reader.
    """

    failure: OSError | None = None

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self._is_terminal = self.isatty()

    def write(self, data: ReadableBuffer, /) -> int:
        """The number of bytes that need no other attempt."""
        try:
            # Nothing is written at once to a full pipe that whoever started us does not wait for.
            while (written := super().write(data)) is None:
                select.select([], [self], [])
        except OSError as error:
            if not self._is_terminal:
                self.failure = self.failure or error
            return memoryview(data).nbytes
        return written


def open_streams() -> None:
    """Replace `sys.stdout` and `sys.stderr`, for good: Python itself flushes them at exit.

    A descriptor that was closed at the start is taken, lest the next file to be opened get its
    number and what is printed. Writing to a closed standard output still fails.
    """
    for descriptor, flags in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, flags)  # the lowest free number: all below are taken
            os.set_inheritable(descriptor, True)
    sys.stdout, sys.stderr = _text(1, sys.stdout), _text(2, sys.stderr)


def output_failure() -> OSError | None:
    """Why a part of standard output could not be written, or None."""
    raw = sys.stdout.buffer.raw  # type: ignore[union-attr]
    assert isinstance(raw, _Descriptor)  # noqa: S101 - for the type checker
    return raw.failure


def _text(descriptor: int, given: TextIO | None) -> io.TextIOWrapper:
    encoding = given.encoding if given is not None else "utf-8"
    # A name or a dash that the encoding lacks is no reason to fail, either.
    return io.TextIOWrapper(
        io.BufferedWriter(_Descriptor(descriptor)),
        encoding,
        errors="backslashreplace",
        line_buffering=True,
    )
