"""What the hardware offers: number formats, memory, and what running out of it looks like."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

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
    monkeypatch.setattr(hardware, "Path", lambda path: tmp_path / str(path).lstrip("/"))

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
def multiplies(host, monkeypatch):
    """Pretend that hardware multiplies bfloat16, or not; undo what is set for TF32."""
    before = torch.backends.cuda.matmul.allow_tf32

    def pretend(*, amx: bool = False, avx512: bool = False, gpu: bool = False) -> None:
        flags = ["fpu", "amx_tile"] if amx else ["fpu", "avx512f"]
        flags += ["avx512_bf16"] if avx512 else ["amx_int8"]
        host(cpuinfo=f"vendor_id\t: x\nflags\t\t: {' '.join(flags)}\n\nflags\t\t: amx_tile\n")
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: gpu)

    yield pretend
    torch.backends.cuda.matmul.allow_tf32 = before


@pytest.mark.parametrize(
    ("supported", "name"),
    [
        ({}, "float32"),
        ({"gpu": True}, "float32"),
        ({"amx": True}, "bfloat16"),
        ({"avx512": True}, "bfloat16"),
        ({"amx": True, "avx512": True}, "bfloat16"),
    ],
    ids=str,
)
def test_auto_is_what_the_processor_multiplies(multiplies, supported, name):
    multiplies(**supported)
    assert choose_precision("auto", CPU) is PRECISIONS[name]


@pytest.mark.parametrize(
    ("supported", "name"), [({"gpu": True}, "bfloat16"), ({"amx": True, "avx512": True}, "tf32")]
)
def test_auto_is_what_the_gpu_multiplies(multiplies, supported, name):
    multiplies(**supported)
    assert choose_precision("auto", CUDA).name == name


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16", "float64"])
def test_a_name_is_taken_at_its_word(multiplies, name):
    multiplies(amx=True, avx512=True, gpu=True)
    assert choose_precision(name, CPU).name == name
    multiplies()
    assert choose_precision(name, CPU).name == name


@pytest.mark.parametrize(
    ("name", "recorded", "allowed"),
    [("float32", "tf32", True), ("bfloat16", "bfloat16", False), ("float64", "float64", False)],
)
def test_float32_is_tf32_on_a_gpu_and_says_so(multiplies, name, recorded, allowed):
    multiplies(gpu=True)
    torch.backends.cuda.matmul.allow_tf32 = False
    assert choose_precision(name, CUDA).name == recorded
    assert torch.backends.cuda.matmul.allow_tf32 is allowed


def test_float32_is_float32_on_a_processor(multiplies):
    multiplies()
    torch.backends.cuda.matmul.allow_tf32 = False
    assert choose_precision("float32", CPU).name == "float32"
    assert torch.backends.cuda.matmul.allow_tf32 is False


@pytest.mark.parametrize("device", [CPU, CUDA], ids=str)
@pytest.mark.parametrize("name", PRECISION_NAMES)
def test_weights_are_never_less_than_float32(multiplies, name, device):
    multiplies(amx=True, gpu=True)
    precision = choose_precision(name, device)
    assert precision.weights is torch.float32
    expected = torch.bfloat16 if name == "auto" else getattr(torch, name)
    assert precision.products is expected


def test_double_precision_is_double_throughout():
    precision = choose_precision("float64", CPU)
    assert (precision.weights, precision.products) == (torch.float64, torch.float64)


def test_an_unknown_name_is_an_error():
    with pytest.raises(KeyError, match="float8"):
        choose_precision("float8", CPU)


def test_this_machine_multiplies_what_pytorch_says():
    """PyTorch has said it in public since version 2.10 or so."""
    if not hasattr(torch.cpu, "get_capabilities"):
        pytest.skip("needs a newer PyTorch")
    known = torch.cpu.get_capabilities()
    expected = known.get("amx_tile", False) or known.get("avx512_bf16", False)
    assert choose_precision("auto", CPU).name == ("bfloat16" if expected else "float32")


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


def test_the_processors_allocator_says_it_like_that():
    with pytest.raises(RuntimeError, match="can't allocate memory") as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
