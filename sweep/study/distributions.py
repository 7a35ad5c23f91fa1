"""The search space in Optuna's words."""

from __future__ import annotations

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from sweep.space import Choices, SearchSpace

__all__ = ["distributions"]


def distributions(space: SearchSpace) -> dict[str, BaseDistribution]:
    """Optuna's distribution of each sampled parameter."""
    found: dict[str, BaseDistribution] = {}
    for name, domain in space.sampled.items():
        if isinstance(domain, Choices):
            found[name] = CategoricalDistribution(domain.choices)
        elif isinstance(domain.low, int):
            found[name] = IntDistribution(
                domain.low, domain.high, log=domain.log, step=domain.step or 1
            )
        else:
            found[name] = FloatDistribution(
                domain.low, domain.high, log=domain.log, step=domain.step
            )
    return found
