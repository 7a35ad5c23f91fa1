"""Which number formats a name means, and what the hardware has to say about it."""

from __future__ import annotations

import pytest
import torch

from sweep.training import PRECISION_NAMES
from sweep.training.precision import PRECISIONS, choose_precision

CPU, CUDA = torch.device("cpu"), torch.device("cuda:0")


@pytest.fixture
def hardware(monkeypatch):
    """Pretend that hardware multiplies bfloat16, or not; undo what is set for TF32."""
    before = torch.backends.cuda.matmul.allow_tf32

    def pretend(*, amx: bool = False, avx512: bool = False, gpu: bool = False) -> None:
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
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
def test_auto_is_what_the_processor_multiplies(hardware, supported, name):
    hardware(**supported)
    assert choose_precision("auto", CPU) is PRECISIONS[name]


@pytest.mark.parametrize(
    ("supported", "name"), [({"gpu": True}, "bfloat16"), ({"amx": True, "avx512": True}, "tf32")]
)
def test_auto_is_what_the_gpu_multiplies(hardware, supported, name):
    hardware(**supported)
    assert choose_precision("auto", CUDA).name == name


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float64"])
def test_a_name_is_taken_at_its_word(hardware, name):
    hardware(amx=True, avx512=True, gpu=True)
    assert choose_precision(name, CPU).name == name
    hardware()
    assert choose_precision(name, CPU).name == name


@pytest.mark.parametrize(
    ("name", "recorded", "allowed"),
    [("float32", "tf32", True), ("bfloat16", "bfloat16", False), ("float64", "float64", False)],
)
def test_float32_is_tf32_on_a_gpu_and_says_so(hardware, name, recorded, allowed):
    hardware(gpu=True)
    torch.backends.cuda.matmul.allow_tf32 = False
    assert choose_precision(name, CUDA).name == recorded
    assert torch.backends.cuda.matmul.allow_tf32 is allowed


def test_float32_is_float32_on_a_processor(hardware):
    hardware()
    torch.backends.cuda.matmul.allow_tf32 = False
    assert choose_precision("float32", CPU).name == "float32"
    assert torch.backends.cuda.matmul.allow_tf32 is False


@pytest.mark.parametrize("device", [CPU, CUDA], ids=str)
@pytest.mark.parametrize("name", PRECISION_NAMES)
def test_weights_are_never_less_than_float32(hardware, name, device):
    hardware(amx=True, gpu=True)
    precision = choose_precision(name, device)
    assert precision.weights is torch.float32
    expected = torch.float32 if name == "float32" else torch.bfloat16
    assert precision.products is expected


def test_double_precision_is_double_throughout():
    precision = choose_precision("float64", CPU)
    assert (precision.weights, precision.products) == (torch.float64, torch.float64)


def test_an_unknown_name_is_an_error():
    with pytest.raises(KeyError, match="float16"):
        choose_precision("float16", CPU)


def test_this_machine_has_a_precision():
    assert choose_precision("auto", CPU).name in ("float32", "bfloat16")
