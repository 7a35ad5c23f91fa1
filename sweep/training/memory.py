"""How much memory a worker may use, and what running out of it looks like."""

from __future__ import annotations

from pathlib import Path

import torch

__all__ = ["available_bytes", "is_out_of_memory"]

_SHARE = 0.8

# PyTorch on the CPU; and what allocates on a GPU past PyTorch: streams, graphs, cuBLAS.
_WORDS = ("can't allocate memory", "CUDA error: out of memory", "ALLOC_FAILED")


def available_bytes(device: torch.device, num_sharing: int) -> float:
    """Memory that one of `num_sharing` workers may take on a device; infinite if unknown."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return _SHARE * free / num_sharing
    return _SHARE * _available_on_host() / num_sharing


def _available_on_host() -> float:
    """What Linux says is available, within the limit of the process's control group."""
    limits = [float("inf")]
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            limits.append(int(line.split()[1]) * 1024)
    limit, used = _lines("/sys/fs/cgroup/memory.max"), _lines("/sys/fs/cgroup/memory.current")
    if limit and used and limit[0].isdigit():
        limits.append(int(limit[0]) - int(used[0]))
    return min(limits)


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def is_out_of_memory(error: Exception) -> bool:
    """Whether an exception says that memory ran out, on a GPU or on the CPU."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)
