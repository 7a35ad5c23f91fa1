"""Seconds of work that a device does while the host is ahead of it."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

__all__ = ["seconds_of", "seconds_of_call"]


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(work: Callable[[], object], device: torch.device, times: int = 1) -> float:
    """Of all these calls together."""
    wait(device)
    started = time.perf_counter()
    for _ in range(times):
        work()
    wait(device)
    return time.perf_counter() - started


def seconds_of_call(work: Callable[[], object], device: torch.device, seconds: float) -> float:
    """Of one of as many calls as take about so many seconds."""
    first = seconds_of(work, device, 3) / 3
    times = max(1, int(seconds / max(first, 1e-7)))
    return seconds_of(work, device, times) / times
