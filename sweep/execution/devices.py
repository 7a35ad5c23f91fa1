"""Which devices there are, and how many workers each gets.

Imports torch only where a GPU driver is present, to keep it out of the driver process.
"""

from __future__ import annotations

import contextlib
import ctypes
import re
from collections import Counter

from sweep.control_groups import available_cores
from sweep.errors import DeviceError, InputError
from sweep.records import Slot
from sweep.training import load_torch

__all__ = ["place_workers"]


def place_workers(device: str, num_workers: int | None) -> list[Slot]:
    """A slot on this machine for each worker; GPUs are dealt out in turn.

    `device` is `auto`, `cpu`, `cuda` (all GPUs) or `cuda:0,1` (these GPUs). Without `num_workers`
    there is one worker per CPU core (see `available_cores`) or per GPU.

    Raises:
        DeviceError: the device does not exist.
        InputError: `device` or `num_workers` is invalid.
    """
    if num_workers is not None and num_workers < 1:
        raise InputError(f"workers must be at least 1; found {num_workers}")
    cores = available_cores()
    gpus = _choose_gpus(device)
    if not gpus:
        count = num_workers or cores
        threads = max(1, cores // count)
        return [Slot(str(index), "cpu", threads, num_sharing=count) for index in range(count)]
    count = num_workers or len(gpus)
    threads = max(1, cores // count)
    devices = [f"cuda:{gpus[index % len(gpus)]}" for index in range(count)]
    sharing = Counter(devices)
    return [
        Slot(str(index), device, threads, sharing[device]) for index, device in enumerate(devices)
    ]


def _choose_gpus(device: str) -> list[int]:
    """The GPUs that `device` names; none for the CPU."""
    if device == "cpu":
        return []
    if device == "auto":
        return list(range(_count_gpus()))
    match = re.fullmatch(r"cuda(?::(\d{1,3}(?:,\d{1,3})*))?", device)
    if match is None:
        raise InputError(f"device must be auto, cpu, cuda or cuda:0,1; found {device!r}")
    available = _count_gpus()
    if available == 0:
        raise DeviceError(
            f"device {device!r} was asked for, but CUDA finds no GPU here; use --device cpu"
        )
    chosen = [int(n) for n in match[1].split(",")] if match[1] else list(range(available))
    missing = [n for n in chosen if n >= available]
    if missing:
        raise DeviceError(
            f"device {device!r} names GPU {missing[0]}, but there are {available}, numbered from 0"
        )
    return sorted(set(chosen))


def _count_gpus() -> int:
    """GPUs that torch can use."""
    if not _gpu_driver_present():
        return 0
    load_torch()
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _gpu_driver_present() -> bool:
    """Whether the library of NVIDIA's or AMD's driver can be loaded."""
    for library in ("libcuda.so.1", "libamdhip64.so"):
        with contextlib.suppress(OSError):
            ctypes.CDLL(library)
            return True
    return False
