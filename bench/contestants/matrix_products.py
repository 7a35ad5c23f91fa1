"""Bare matrix products with the shapes of training and nothing else: the ceiling.

Random numbers instead of images, preallocated results, no activations, loss or optimiser. All steps
have a full batch (in training, the last of an epoch is smaller: a difference of a thousandth).
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from contestants import workload
from contestants.serving import Prepared, Settings, serve

_WARM_UP_STEPS = 10


def build_product(
    product: workload.Product, dtype: torch.dtype, device: torch.device | str = "cpu"
) -> Callable[[], object]:
    """A function that computes the product once."""

    def factor(rows: int, columns: int, *, transposed: bool) -> torch.Tensor:
        shape = (columns, rows) if transposed else (rows, columns)
        stored = torch.randn(product.count, *shape, device=device).to(dtype)
        return stored.mT if transposed else stored

    left = factor(product.rows, product.inner, transposed=product.left_transposed)
    right = factor(product.inner, product.columns, transposed=product.right_transposed)
    result = torch.empty(product.count, product.rows, product.columns, dtype=dtype, device=device)
    if product.count == 1:
        return lambda: torch.mm(left[0], right[0], out=result[0])
    return lambda: torch.bmm(left, right, out=result)


def prepare(settings: Settings) -> Prepared:
    torch.set_num_threads(settings.threads)
    dtype = getattr(torch, settings.precision)
    products = [
        build_product(product, dtype)
        for product in workload.step_products(settings.width, settings.lanes)
    ]

    def steps(count: int) -> None:
        with torch.inference_mode():
            for _ in range(count):
                for product in products:
                    product()

    steps(_WARM_UP_STEPS)

    num_steps = settings.steps or settings.epochs * workload.NUM_STEPS

    def go() -> float:
        steps(num_steps)
        return num_steps / workload.NUM_STEPS * settings.lanes

    return Prepared(go)


if __name__ == "__main__":
    serve(prepare, ("torch",))
