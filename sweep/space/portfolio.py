"""The portfolio: configurations that were good on other data, which a new search may try first.

`portfolio.yaml` beside this module is written by `bench/search/portfolio.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import yaml

from sweep.definitions import Params, Scalar, idle_parameters, parameters_of, with_defaults
from sweep.records import Model
from sweep.space.fitting import fitted
from sweep.space.search_space import SearchSpace, effective_parameters, used_parameters

__all__ = ["MOST_TRIED", "PORTFOLIO_FILE", "allowed_configurations", "portfolio"]

MOST_TRIED = 5
"""Of those that a space has: the others leave their trials to the search."""

PORTFOLIO_FILE = Path(__file__).with_name("portfolio.yaml")
# They say how long and how fast a network is trained, not what it is: a space may fix them.
_ANY = ("epochs", "batch_size")


@cache
def portfolio(model: Model) -> tuple[dict[str, Scalar], ...]:
    """The configurations of a family, whole and best first; none of a user's network."""
    written = yaml.safe_load(PORTFOLIO_FILE.read_text()) if isinstance(model, str) else {}
    return tuple(with_defaults(parameters_of(model), each) for each in written.get(model, ()))


def allowed_configurations(
    space: SearchSpace, configurations: Iterable[Params]
) -> list[dict[str, Scalar]]:
    """The sampled parameters of those configurations that a space has, in order, each once.

    Numbers that are sampled move to the nearest value of the space. Everything else that has an
    effect must be as it is in the configuration, and the constraints must be met. Configurations
    are whole. The space knows the form of its data (see `SearchSpace.on_data`).
    """
    found: dict[frozenset[tuple[str, Scalar]], dict[str, Scalar]] = {}
    limits, completed = space.limits, space.completing()
    for configuration in configurations:
        sampled = fitted(space, configuration)
        whole = completed(sampled)
        if _keeps(space, configuration, sampled, whole) and not limits.broken(whole):
            found.setdefault(effective_parameters(space, whole), sampled)
    return list(found.values())


def _keeps(space: SearchSpace, configuration: Params, sampled: Params, whole: Params) -> bool:
    """Whether a configuration is still itself once it was brought into a space."""
    if used_parameters(space, whole) & space.sampled.keys() - sampled.keys():
        return False  # the sampler would draw what the space cannot keep
    others = whole.keys() - sampled.keys() - idle_parameters(space.model, whole) - {*_ANY}
    return all(_are_equal(whole[name], configuration[name]) for name in others)


def _are_equal(one: Scalar, other: Scalar) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return math.isclose(one, other, rel_tol=1e-9)
