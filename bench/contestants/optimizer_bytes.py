"""The optimiser's memory traffic alone: a triad over arrays far larger than any cache."""

from __future__ import annotations

import torch

from contestants import workload
from contestants.serving import Prepared, Settings, serve

_NUMBERS = 2**25  # in each of three arrays of float32: 128 MiB
_BYTES = 3 * 4 * _NUMBERS  # two arrays are read, one is written
_BYTES_ENOUGH = 10 * _BYTES  # a shorter measurement says little


def prepare(settings: Settings) -> Prepared:
    torch.set_num_threads(settings.threads)
    first, second, result = torch.ones(3, _NUMBERS)
    num_steps = settings.steps or settings.epochs * workload.NUM_STEPS
    per_epoch = workload.NUM_STEPS * workload.optimizer_bytes(settings.width)
    wanted = max(num_steps * workload.optimizer_bytes(settings.width), _BYTES_ENOUGH)
    passes = round(wanted / _BYTES)

    def go() -> float:
        for _ in range(passes):
            torch.add(first, second, alpha=0.5, out=result)
        return passes * _BYTES / per_epoch

    go()
    return Prepared(go, "28 bytes a parameter and step, as fast as a triad moves them")


if __name__ == "__main__":
    serve(prepare, ("torch",))
