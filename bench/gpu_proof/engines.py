"""Both engines on the device, in each precision, against the sequential one in float32 on the CPU.

A tolerance is for losses after every epoch (see `training.gap`). Rounding grows over the steps, so
that they are for the five epochs of this comparison and no others.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch

from gpu_proof.findings import Found, Setting, verdict_of
from gpu_proof.training import CPU, apart, config, losses_of, plain_float32
from sweep.training.hardware import PRECISIONS, choose_precision

# For bfloat16, ten times what was found on a CPU; TF32 has three more bits.
TOLERANCES = {"float32": 1e-3, "tf32": 0.01, "bfloat16": 0.03}

# Batch normalisation takes a constant pixel out again: its weights have gradients of nothing but
# rounding, of which Adam would make steps.
_NETWORKS = (
    {"num_layers": 1},
    {"num_layers": 2, "layer_size": 48, "activation": "tanh", "optimizer": "sgd"},
    {"num_layers": 3, "layer_size": 64, "normalization": "batch", "optimizer": "sgd"},
    {"num_layers": 4, "layer_size": 96, "activation": "gelu", "normalization": "layer"},
    {"num_layers": 3, "layer_size": 80, "optimizer": "muon"},
    {"num_layers": 5, "layer_size": 64, "width_shape": "pyramid", "optimizer": "nadam"},
)


def prove(setting: Setting) -> Found:
    """Compare every engine and precision that the device has."""
    device = torch.device(setting.device)
    fixed = {"epochs": 2 if setting.small else 5, "batch_size": 64}
    configs = [config(number, **fixed, **params) for number, params in enumerate(_NETWORKS)]
    with plain_float32() as precision:
        reference = losses_of("sequential", configs, CPU, precision)
    gaps: dict[str, float] = {}
    wrong = []
    for name in ("float32", "tf32", "bfloat16") if setting.is_gpu else ("float32", "bfloat16"):
        with plain_float32() if name == "float32" else nullcontext():
            precision = choose_precision("float32", device) if name == "tf32" else PRECISIONS[name]
            for engine in ("stacked", "sequential"):
                found = apart(losses_of(engine, configs, device, precision), reference)
                gaps[f"{engine}, {name}"] = found
                if not found <= TOLERANCES[name]:
                    wrong.append(f"{engine}, {name}: {found:.2g} apart, over {TOLERANCES[name]:g}")
    words = ", ".join(f"{name} {found:.1g}" for name, found in gaps.items())
    return verdict_of(wrong, f"losses apart by {words}", gaps=gaps, tolerances=TOLERANCES)
