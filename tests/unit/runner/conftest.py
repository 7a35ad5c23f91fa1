"""What tests of the runner share."""

from __future__ import annotations

import math
import time
from functools import partial
from typing import Any

import pytest
from helpers import HERE

from sweep.execution import LAUNCHERS, ForkServer, ProcessLauncher, workload


class Clock:
    """The time by which trials are limited and saved; a test can let hours pass."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(workload, "time", found)
    monkeypatch.setattr(workload, "_LONGEST_TURN_SECONDS", math.inf)
    return found


@pytest.fixture
def in_a_process(fork_server: ForkServer, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Options with which a study is trained in one worker process."""
    monkeypatch.setitem(LAUNCHERS, "processes", partial(ProcessLauncher, server=fork_server))
    return {**HERE, "executor": "processes"}
