"""Random numbers of a trial that must not depend on what is trained beside it."""

from __future__ import annotations

import numpy as np
import torch

__all__ = ["dropout_generator"]


def dropout_generator(seed: int, device: torch.device) -> torch.Generator:
    """The source of a trial's dropout masks, unrelated to its initial weights.

    Args:
        seed: The trial's seed, which its initial weights are drawn with.
        device: Where the masks are drawn; the CPU and GPUs draw different ones.
    """
    entropy = np.random.SeedSequence((seed, *b"dropout")).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(entropy) >> 1)
