"""What limits a step, measured on the device: its bare matrix products, and copying memory."""

from __future__ import annotations

import torch
from contestants import workload
from contestants.matrix_products import build_product

from gpu_proof.timing import seconds_of_call
from sweep.training.graphs import Repeated

__all__ = ["copied_bytes_per_second", "moved_bytes", "product_seconds"]

# AdamW reads weight, gradient and two moments and writes all but the gradient, which was written.
_NUMBERS_MOVED = 8


def product_seconds(
    width: int, lanes: int, device: torch.device, dtype: torch.dtype, seconds: float
) -> float:
    """Of the products of one step, all in one graph on a GPU."""
    products = [
        build_product(product, dtype, device) for product in workload.step_products(width, lanes)
    ]

    def step() -> None:
        for product in products:
            product()

    repeated = Repeated(step, device)
    with torch.inference_mode():
        for _ in range(4):
            repeated()
        return seconds_of_call(repeated, device, seconds)


def copied_bytes_per_second(device: torch.device, mebibytes: int, seconds: float) -> float:
    """Bytes read and written, together, by a copy of so much memory."""
    source = torch.zeros(mebibytes << 20, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * len(source) / seconds_of_call(lambda: target.copy_(source), device, seconds)


def moved_bytes(num_parameters: int, lanes: int) -> int:
    """The least that a step of AdamW moves: weights, gradients and moments, no activations."""
    return 4 * _NUMBERS_MOVED * num_parameters * lanes
