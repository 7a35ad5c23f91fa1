"""How much memory there is, and what running out of it looks like."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from sweep.training import memory
from sweep.training.memory import available_bytes, is_out_of_memory

CPU, CUDA = torch.device("cpu"), torch.device("cuda:1")
GIB = 2**30


@pytest.fixture
def host(monkeypatch, tmp_path):
    """Pretend that the kernel says this about memory."""
    monkeypatch.setattr(memory, "Path", lambda path: tmp_path / str(path).lstrip("/"))

    def pretend(**files: str) -> None:
        paths = {
            "meminfo": "proc/meminfo",
            "limit": "sys/fs/cgroup/memory.max",
            "used": "sys/fs/cgroup/memory.current",
        }
        for name, text in files.items():
            path: Path = tmp_path / paths[name]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return pretend


MEMINFO = f"""MemTotal:       {64 * GIB // 1024} kB
MemFree:         1000000 kB
MemAvailable:   {10 * GIB // 1024} kB
SwapTotal:             0 kB
"""


def test_the_host_gives_most_of_what_is_available(host):
    host(meminfo=MEMINFO)
    assert 0.5 * 10 * GIB <= available_bytes(CPU, 1) <= 0.9 * 10 * GIB


def test_workers_share_it(host):
    host(meminfo=MEMINFO)
    assert available_bytes(CPU, 4) == pytest.approx(available_bytes(CPU, 1) / 4)


def test_a_control_group_limits_it(host):
    host(meminfo=MEMINFO)
    free = available_bytes(CPU, 1)
    host(limit=f"{6 * GIB}\n", used=f"{2 * GIB}\n")
    assert available_bytes(CPU, 1) == pytest.approx(free * 4 / 10)


@pytest.mark.parametrize(("limit", "used"), [("max\n", "5\n"), (f"{50 * GIB}\n", "5\n")])
def test_a_control_group_may_be_wider_than_the_host(host, limit, used):
    host(meminfo=MEMINFO)
    free = available_bytes(CPU, 1)
    host(limit=limit, used=used)
    assert available_bytes(CPU, 1) == free


def test_a_control_group_alone_is_enough(host):
    host(limit=f"{6 * GIB}\n", used=f"{2 * GIB}\n")
    assert 2 * GIB <= available_bytes(CPU, 1) <= 4 * GIB


def test_what_nobody_says_is_not_limited(host):
    host()
    assert available_bytes(CPU, 3) == math.inf


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="needs /proc")
def test_this_machine_says_something():
    assert 2**20 < available_bytes(CPU, 1) < 2**50


def test_a_gpu_says_what_is_free_on_it(monkeypatch, host):
    host(meminfo=MEMINFO)
    asked = []
    monkeypatch.setattr(
        torch.cuda, "mem_get_info", lambda device: asked.append(device) or (40 * GIB, 80 * GIB)
    )
    assert 0.5 * 40 * GIB <= available_bytes(CUDA, 1) <= 0.9 * 40 * GIB
    assert available_bytes(CUDA, 2) == pytest.approx(available_bytes(CUDA, 1) / 2)
    assert set(asked) == {CUDA}


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied (1x2 and 3x4)"), False),
        (ValueError("can't allocate memory"), False),
        (ZeroDivisionError(), False),
    ],
)
def test_what_running_out_of_memory_looks_like(error, answer):
    assert is_out_of_memory(error) is answer


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_libraries_on_a_gpu_run_out_of_memory_in_their_own_words(error):
    """Where a call allocates past PyTorch's allocator: streams, graphs, cuBLAS handles."""
    assert is_out_of_memory(error)


def test_the_processors_allocator_says_it_like_that():
    with pytest.raises(RuntimeError, match="can't allocate memory") as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
