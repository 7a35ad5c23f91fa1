"""Which hyperparameters a trial used, and how their values are written."""

from __future__ import annotations

from collections.abc import Mapping

from sweep.space import Choices, Range, SearchSpace
from sweep.space.rules import holds, sampling_order

__all__ = ["Scalar", "format_value", "used_parameters"]

Scalar = int | float | str


def used_parameters(space: SearchSpace, params: Mapping[str, Scalar]) -> set[str]:
    """Names of the parameters whose condition held, fixed ones included.

    Args:
        space: The search space.
        params: All parameters of a trial; empty if it was never asked for.
    """
    domains = space.domains
    used: set[str] = set()
    for name in sampling_order(domains):
        domain = domains[name]
        when = domain.when if isinstance(domain, Range | Choices) else None
        if name in params and holds(when, params, used):
            used.add(name)
    return used


def format_value(value: Scalar) -> str:
    """A hyperparameter's value in at most four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
