"""What the hardware offers: its name, its number formats, its free memory."""

from __future__ import annotations

import platform
from dataclasses import dataclass

import torch

from sweep.control_groups import available_host_bytes, processor

__all__ = [
    "PRECISIONS",
    "Precision",
    "available_bytes",
    "choose_precision",
    "describe_device",
    "hardware_name",
    "is_out_of_memory",
]

_SHARE = 0.8  # of the free memory, for all workers of a device together

# PyTorch on the CPU; and what allocates on a GPU past PyTorch: streams, graphs, cuBLAS.
_OUT_OF_MEMORY = ("can't allocate memory", "CUDA error: out of memory", "ALLOC_FAILED")


@dataclass(frozen=True, slots=True)
class Precision:
    """Number formats of one trial; `name` is recorded with its outcome."""

    name: str
    weights: torch.dtype  # of gradients and the optimiser's state, too
    products: torch.dtype  # of activations, too

    @property
    def scales_losses(self) -> bool:
        """Whether small gradients would be lost unless the loss is scaled."""
        return self.products is torch.float16


# float64 is for comparing engines, where rounding must not hide a mistake.
PRECISIONS = {
    "float32": Precision("float32", torch.float32, torch.float32),
    "bfloat16": Precision("bfloat16", torch.float32, torch.bfloat16),
    "float16": Precision("float16", torch.float32, torch.float16),
    "float64": Precision("float64", torch.float64, torch.float64),
}


def choose_precision(name: str, device: torch.device) -> Precision:
    """The precision of this name; on a GPU, float32 lets products be computed as TF32."""
    if name == "float32" and device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = True
        return Precision("tf32", torch.float32, torch.float32)
    return PRECISIONS[name]


def describe_device(device: torch.device) -> str:
    """The device and the name of its hardware."""
    name = hardware_name(device)
    if device.type == "cuda":
        return f"{device} ({name})"
    threads = torch.get_num_threads()
    return f"{device} ({name}, {threads} thread{'s' if threads > 1 else ''})"


def hardware_name(device: torch.device) -> str:
    """The name of the GPU or the processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return processor()["model name"] or platform.processor() or platform.machine()


def available_bytes(device: torch.device, num_sharing: int) -> int | None:
    """Memory that one of `num_sharing` workers may take on a device; None if unknown."""
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else available_host_bytes()
    return None if free is None else int(_SHARE * free / num_sharing)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on a GPU or on the CPU.

    An error may hide another: a capture in which memory runs out fails once more as it ends.
    """
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    if error.__context__ is not None and is_out_of_memory(error.__context__):
        return True
    return isinstance(error, RuntimeError) and any(each in str(error) for each in _OUT_OF_MEMORY)
