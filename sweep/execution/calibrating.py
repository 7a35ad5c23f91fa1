"""Calibrations of this machine: measured in a process of their own, then kept in the user's cache.

The driver imports no torch, and what is measured must not share a process with anything else.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import tempfile
from contextlib import nullcontext
from dataclasses import replace
from importlib.metadata import version
from multiprocessing import Pipe
from pathlib import Path

from sweep.codec import decode, encode, to_plain
from sweep.control_groups import processor
from sweep.data.cache import cache_folder, write_whole
from sweep.execution.forking import ForkServer, last_words
from sweep.provenance import __version__
from sweep.records import Calibration, CalibrationRequest

__all__ = ["cached_calibration", "calibrated", "measure"]

_log = logging.getLogger(__name__)

_ANSWER_SECONDS = 120.0  # PyTorch may be loaded from a slow disk, and single steps may be slow
_EXIT_SECONDS = 5.0
_FORMAT = 3  # of a calibration: it grows when what is measured changes its meaning


def cached_calibration(request: CalibrationRequest) -> Calibration | None:
    """What was measured earlier for this request on this machine, if anything."""
    try:
        return decode(Calibration, _file(request).read_bytes())
    except (OSError, ValueError):
        return None


def calibrated(request: CalibrationRequest, server: ForkServer | None = None) -> Calibration | None:
    """The cached calibration, or a new one, which is cached; None if it cannot be measured.

    Without a server, one is started, which takes as long as PyTorch takes to load; measuring takes
    less than two seconds.
    """
    found = cached_calibration(request)
    if found is None:
        with nullcontext(server) if server else ForkServer() as forking:
            found = measure(request, forking)
        if found is not None:
            with contextlib.suppress(OSError):  # without a cache it is measured again
                write_whole(_file(request), encode(found))
    return found


def measure(request: CalibrationRequest, server: ForkServer) -> Calibration | None:
    """A new calibration, from a process that the server forks; None, and a warning, if it fails."""
    connection, theirs = Pipe()
    with tempfile.TemporaryFile() as output, connection:
        with theirs:
            child = server.fork("calibrate", request, theirs, output)
        try:
            if connection.poll(_ANSWER_SECONDS):
                found = decode(Calibration, connection.recv_bytes())
                return replace(found, start_seconds=server.age_seconds - found.seconds)
            reason = f"no answer within {_ANSWER_SECONDS:.0f} s"
        except (EOFError, OSError, ValueError) as error:
            child.has_ended.wait(_EXIT_SECONDS)  # it still writes why
            reason = last_words(output) or repr(error)
        finally:
            server.kill(child)
    _log.warning("this machine could not be calibrated: %s", reason.splitlines()[-1])
    return None


def _folder() -> Path:
    return cache_folder() / "calibrations"


def _file(request: CalibrationRequest) -> Path:
    """By all that the answer depends on."""
    known = [
        _FORMAT,
        __version__,
        version("torch"),
        processor(),
        os.uname().machine,
        _gpu_name(request.device),
        to_plain(request),
    ]
    return _folder() / f"{hashlib.sha256(json.dumps(known).encode()).hexdigest()}.json"


def _gpu_name(device: str) -> str:
    if not device.startswith("cuda"):
        return ""
    import torch  # loaded when the GPUs were counted

    return torch.cuda.get_device_name(device)
