"""Optimisers by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch

from sweep.records import TrialConfig

__all__ = ["OPTIMIZERS", "build_optimizer"]

_Build = Callable[[Iterable[torch.nn.Parameter], TrialConfig], torch.optim.Optimizer]

OPTIMIZERS: dict[str, _Build] = {
    "adamw": lambda parameters, config: torch.optim.AdamW(
        parameters, config.learning_rate, weight_decay=config.weight_decay, fused=True
    ),
    "adam": lambda parameters, config: torch.optim.Adam(
        parameters, config.learning_rate, weight_decay=config.weight_decay, fused=True
    ),
    "sgd": lambda parameters, config: torch.optim.SGD(
        parameters,
        config.learning_rate,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        fused=True,
    ),
}


def build_optimizer(
    parameters: Iterable[torch.nn.Parameter], config: TrialConfig
) -> torch.optim.Optimizer:
    """The optimiser that a configuration names, fused: one kernel updates all tensors."""
    return OPTIMIZERS[config.optimizer](parameters, config)
