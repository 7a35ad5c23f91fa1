"""Configurations of other search spaces, brought into this one."""

from __future__ import annotations

import math
from typing import Any

from sweep.definitions import Params, Scalar
from sweep.space.conditions import is_active, sampling_order
from sweep.space.domains import Choices, Range, nearest_step
from sweep.space.search_space import SearchSpace

__all__ = ["fitted"]


def fitted(space: SearchSpace, params: Params) -> dict[str, Scalar]:
    """The nearest values of the space's sampled parameters, those that are active alone.

    A number moves to the next end of a range or to the nearest choice. A parameter that `params`
    does not name, and text that is no choice, are left out: the sampler draws them.
    """
    domains = space.domains
    values: dict[str, Any] = {}
    found: dict[str, Scalar] = {}
    for name in sampling_order(domains):
        domain = domains[name]
        if not isinstance(domain, Range | Choices):
            values[name] = domain
        elif is_active(domain, values):
            nearest = _nearest(domain, params.get(name))
            if nearest is not None:
                values[name] = found[name] = nearest
    return found


def _nearest(domain: Range | Choices, value: Scalar | None) -> Any:
    if value is None or isinstance(value, str):
        return value if isinstance(domain, Choices) and value in domain.choices else None
    if isinstance(domain, Choices):
        numbers = [choice for choice in domain.choices if not isinstance(choice, str)]
        return min(numbers, key=lambda number: _distance(number, value), default=None)
    inside = min(max(value, domain.low), domain.high)
    if domain.step is not None or isinstance(domain.low, int):
        return nearest_step(domain, inside)
    return float(inside)


def _distance(one: float, other: float) -> float:
    """Between two numbers: of their logarithms if they have any."""
    if one > 0 and other > 0:
        return abs(math.log(one / other))
    return 0.0 if one == other else math.inf
