"""Which number formats a trial is computed in."""

from __future__ import annotations

from dataclasses import dataclass

import torch

__all__ = ["PRECISIONS", "Precision", "choose_precision"]


@dataclass(frozen=True, slots=True)
class Precision:
    """Number formats of one trial.

    Attributes:
        name: As it is recorded with the outcome.
        weights: Of weights, gradients and the optimiser's state.
        products: Of matrix products and activations.
    """

    name: str
    weights: torch.dtype
    products: torch.dtype


# float64 is for comparing engines, where rounding must not hide a mistake.
PRECISIONS = {
    "float32": Precision("float32", torch.float32, torch.float32),
    "bfloat16": Precision("bfloat16", torch.float32, torch.bfloat16),
    "float64": Precision("float64", torch.float64, torch.float64),
}


def choose_precision(name: str, device: torch.device) -> Precision:
    """The precision of this name; on a GPU, float32 lets products be computed as TF32.

    Args:
        name: `auto` or a name of `PRECISIONS`. `auto` is bfloat16 where the hardware multiplies
            it (AMX, AVX512-BF16, or a GPU that does), float32 elsewhere.
        device: Where the trial is trained.
    """
    if name == "auto":
        name = "bfloat16" if _multiplies_bfloat16(device) else "float32"
    if name == "float32" and device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = True
        return Precision("tf32", torch.float32, torch.float32)
    return PRECISIONS[name]


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
