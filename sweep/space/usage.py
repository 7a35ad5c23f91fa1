"""Which hyperparameters of a configuration count."""

from __future__ import annotations

from sweep.definitions import Params, Scalar, idle_parameters
from sweep.space.conditions import holds, sampling_order
from sweep.space.domains import Choices, Range
from sweep.space.search_space import SearchSpace

__all__ = ["effective_parameters", "used_parameters"]


def used_parameters(space: SearchSpace, params: Params) -> set[str]:
    """Names of the parameters whose condition held, fixed ones included.

    Args:
        space: The search space.
        params: All parameters of a trial; empty if it was never asked for.
    """
    domains = space.domains
    used: dict[str, Scalar] = {}
    for name in sampling_order(domains):
        domain = domains[name]
        when = domain.when if isinstance(domain, Range | Choices) else None
        if name in params and holds(when, used):
            used[name] = params[name]
    return set(used)


def effective_parameters(space: SearchSpace, params: Params) -> frozenset[tuple[str, Scalar]]:
    """What distinguishes a configuration from others: parameters that had an effect.

    Args:
        space: The search space.
        params: All parameters of a trial.

    Returns:
        Names and values, without those whose condition did not hold and those that this network
        has no use for.
    """
    idle = idle_parameters(space.model, params)
    return frozenset((name, params[name]) for name in used_parameters(space, params) - idle)
