"""What the hardware offers: number formats, memory, and what running out of it looks like."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from sweep.control_groups import processor
from sweep.training import PRECISION_NAMES, hardware
from sweep.training.hardware import (
    PRECISIONS,
    available_bytes,
    choose_precision,
    describe_device,
    is_out_of_memory,
)

CPU, CUDA = torch.device("cpu"), torch.device("cuda:1")
GIB = 2**30


@pytest.fixture
def host(monkeypatch, tmp_path):
    """Pretend that the kernel says this."""
    monkeypatch.setattr(hardware, "processor", lambda: processor(tmp_path))

    def pretend(**files: str) -> None:
        paths = {
            "cpuinfo": "proc/cpuinfo",
        }
        for name, text in files.items():
            path: Path = tmp_path / paths[name]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return pretend


# ---------------------------------------------------------------- precision


@pytest.fixture
def tf32():
    """Undo what is set for TF32."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    yield torch.backends.cuda.matmul
    torch.backends.cuda.matmul.allow_tf32 = before


@pytest.mark.parametrize("name", PRECISIONS)
def test_a_name_is_taken_at_its_word(name):
    assert choose_precision(name, CPU) is PRECISIONS[name]


@pytest.mark.parametrize(
    ("name", "recorded", "allowed"),
    [("float32", "tf32", True), ("bfloat16", "bfloat16", False), ("float64", "float64", False)],
)
def test_float32_is_tf32_on_a_gpu_and_says_so(tf32, name, recorded, allowed):
    assert choose_precision(name, CUDA).name == recorded
    assert tf32.allow_tf32 is allowed


def test_float32_is_float32_on_a_processor(tf32):
    assert choose_precision("float32", CPU).name == "float32"
    assert tf32.allow_tf32 is False


@pytest.mark.parametrize("device", [CPU, CUDA], ids=str)
@pytest.mark.parametrize("name", PRECISION_NAMES)
def test_weights_are_never_less_than_float32(tf32, name, device):
    precision = choose_precision(name, device)
    assert precision.weights is torch.float32
    assert precision.products is getattr(torch, name)


def test_double_precision_is_double_throughout():
    precision = choose_precision("float64", CPU)
    assert (precision.weights, precision.products) == (torch.float64, torch.float64)


def test_an_unknown_name_is_an_error():
    with pytest.raises(KeyError, match="float8"):
        choose_precision("float8", CPU)


# ---------------------------------------------------------------- names


def test_a_processor_has_the_name_that_the_kernel_gives_it(host):
    host(cpuinfo="processor\t: 0\nmodel name\t: A 64-Core: fast\n\nmodel name\t: another\n")
    assert re.fullmatch(r"cpu \(A 64-Core: fast, \d+ threads?\)", describe_device(CPU))


def test_without_a_kernel_that_says_it_a_processor_has_the_name_of_its_kind(host, monkeypatch):
    host()
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert describe_device(CPU).startswith("cpu (arm64, ")


# ---------------------------------------------------------------- memory


def test_the_host_gives_most_of_what_is_available(monkeypatch):
    monkeypatch.setattr(hardware, "available_host_bytes", lambda: 10 * GIB)
    assert 0.5 * 10 * GIB <= available_bytes(CPU, 1) <= 0.9 * 10 * GIB
    assert available_bytes(CPU, 4) == available_bytes(CPU, 1) // 4


def test_what_nobody_says_is_not_limited(monkeypatch):
    monkeypatch.setattr(hardware, "available_host_bytes", lambda: None)
    assert available_bytes(CPU, 3) is None


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="needs /proc")
def test_this_machine_says_something():
    assert 2**20 < available_bytes(CPU, 1) < 2**50


def test_a_gpu_says_what_is_free_on_it(monkeypatch):
    asked = []
    monkeypatch.setattr(
        torch.cuda, "mem_get_info", lambda device: asked.append(device) or (40 * GIB, 80 * GIB)
    )
    assert 0.5 * 40 * GIB <= available_bytes(CUDA, 1) <= 0.9 * 40 * GIB
    assert available_bytes(CUDA, 2) == available_bytes(CUDA, 1) // 2
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


def test_an_error_that_hides_another_is_as_the_other():
    def end_a_capture(first: Exception) -> None:
        try:
            raise first
        finally:
            raise RuntimeError("CUDA error: operation failed due to a previous error")

    for first, answer in ((torch.OutOfMemoryError(), True), (ZeroDivisionError(), False)):
        with pytest.raises(RuntimeError, match="previous error") as caught:
            end_a_capture(first)
        assert is_out_of_memory(caught.value) is answer


def test_the_processors_allocator_says_it_like_that():
    with pytest.raises(RuntimeError, match="can't allocate memory") as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
