"""Looks into the file of a user's network in a process of its own: the driver never runs it.

The process is asked what the network's function takes and, once the data are known, to try some
configurations.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import TypeVar

from sweep.codec import decode, encode
from sweep.errors import InputError
from sweep.execution.forking import last_words, start_interpreter
from sweep.records import DataSpec, NetworkArgument, NetworkSource, OwnNetwork, Probed

__all__ = ["Inspector", "inspecting"]

_ANSWER_SECONDS = 120.0
_EXIT_SECONDS = 5.0
_Answer = TypeVar("_Answer", bound=Hashable)


@dataclass(frozen=True, slots=True)
class _Load:
    """To the process: load this file."""

    source: NetworkSource


@dataclass(frozen=True, slots=True)
class _Loaded:
    """From the process: what the function takes, or why it cannot be used."""

    arguments: tuple[NetworkArgument, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Try:
    """To the process: try this configuration on data of this form."""

    params: Mapping[str, int | float | str]
    spec: DataSpec


class Inspector:
    """A process that looks into a user's network; use `inspecting` to have it ended."""

    def __init__(self, source: NetworkSource) -> None:
        self._source = source
        self._known: dict[Hashable, Probed] = {}
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        self._connection, theirs = Pipe()
        with theirs:
            self._process = start_interpreter(
                f"from sweep.execution.inspection import main\nmain({theirs.fileno()})",
                theirs.fileno(),
                self._output,
            )

    def load(self) -> OwnNetwork:
        """The network with what its function takes. Call it once, before anything else.

        Raises:
            InputError: the file cannot be loaded, or its function cannot be used.
        """
        found = self._ask(_Load(self._source), _Loaded)
        if found.problem:
            raise InputError(found.problem)
        return OwnNetwork(self._source, found.arguments)

    def costs(
        self, spec: DataSpec, configurations: Sequence[Mapping[str, int | float | str]]
    ) -> list[Probed]:
        """Try configurations of the network on data of this form, each of them once."""
        found = []
        for params in configurations:
            key = (tuple(sorted(params.items())), spec)
            if key not in self._known:
                self._known[key] = self._ask(_Try(params, spec), Probed)
            found.append(self._known[key])
        return found

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_EXIT_SECONDS)
        self._output.close()

    def _ask(self, request: Hashable, kind: type[_Answer]) -> _Answer:
        try:
            self._connection.send_bytes(encode(request))
            if not self._connection.poll(_ANSWER_SECONDS):
                raise InputError(
                    f"{self._source.file} takes more than {_ANSWER_SECONDS:.0f} s to be loaded, or "
                    "to build one network and train it for a step: it may wait for something, or "
                    "the network is too large for this machine"
                )
            return decode(kind, self._connection.recv_bytes())
        except (EOFError, OSError):
            self._process.wait(_EXIT_SECONDS)
            words = last_words(self._output).splitlines()
            reason = words[-1] if words else f"exit code {self._process.poll()}"
            raise InputError(
                f"{self._source.file} ended the process that looks into it: {reason}"
            ) from None


@contextlib.contextmanager
def inspecting(source: NetworkSource) -> Iterator[Inspector]:
    """An inspector, ended with the block."""
    inspector = Inspector(source)
    try:
        yield inspector
    finally:
        inspector.close()


def main(descriptor: int) -> None:
    """Answer an `Inspector` until it is gone."""
    with Connection(descriptor) as connection, contextlib.suppress(EOFError, OSError):
        source = decode(_Load, connection.recv_bytes()).source
        from sweep.families.own import OwnFamily, load_function, network_arguments, told
        from sweep.families.probing import probe

        try:
            arguments = network_arguments(load_function(source), source)
        except InputError as error:
            connection.send_bytes(encode(_Loaded(problem=str(error))))
            return
        connection.send_bytes(encode(_Loaded(arguments)))
        family = OwnFamily(OwnNetwork(source, arguments))
        while True:
            request = decode(_Try, connection.recv_bytes())
            try:
                answer = probe(family, request.params, request.spec)
            except Exception as error:  # noqa: BLE001 - whatever a user's network raises
                answer = Probed(problem=told(error, source.file))
            connection.send_bytes(encode(answer))
