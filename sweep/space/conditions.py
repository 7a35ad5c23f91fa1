"""Conditions: which parameters are active, in which order, and how many configurations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache

from sweep.definitions import DefaultBy, Scalar
from sweep.space.domains import Choices, Domain, Range, size, values

__all__ = [
    "CycleError",
    "condition",
    "count",
    "enumerate_configurations",
    "is_active",
    "resolve_defaults",
    "sampling_order",
]


class CycleError(Exception):
    """Conditions depend on each other; the argument is the cycle, closed by its first name."""


def condition(domain: Domain) -> dict[str, tuple[Scalar, ...]]:
    """A domain's condition: the allowed values of each parent."""
    when = domain.when if isinstance(domain, Range | Choices) else None
    return {
        parent: tuple(wanted) if isinstance(wanted, list) else (wanted,)
        for parent, wanted in (when or {}).items()
    }


def is_active(domain: Domain, active: Mapping[str, Scalar]) -> bool:
    """Whether every parent is active and has an allowed value."""
    return all(active.get(parent) in wanted for parent, wanted in condition(domain).items())


def sampling_order(domains: Mapping[str, Domain]) -> list[str]:
    """Parameters with parents before children, otherwise in order of definition.

    Raises `CycleError` if there is no such order.
    """
    order: list[str] = []

    def visit(name: str, trail: list[str]) -> None:
        if name in trail:
            raise CycleError([*trail[trail.index(name) :], name])
        if name not in order:
            for parent in condition(domains[name]):
                visit(parent, [*trail, name])
            order.append(name)

    for name in domains:
        visit(name, [])
    return order


def resolve_defaults(domains: Mapping[str, Domain]) -> dict[str, Domain]:
    """The domains, with the values of defaults that depend on a fixed parameter."""
    resolved = dict(domains)
    for name, domain in domains.items():
        if isinstance(domain, DefaultBy) and isinstance(parent := domains.get(domain.parent), str):
            resolved[name] = domain.values[parent]
    return resolved


def count(domains: Mapping[str, Domain]) -> int | None:
    """The number of distinct configurations, or None if they are uncountable.

    Values that fulfil the same conditions are counted together, and so are the ways to the same
    set of inactive parameters, so that large spaces are counted quickly.
    """
    sizes = {name: number for name, each in domains.items() if (number := size(each)) is not None}
    if len(sizes) < len(domains):
        return None
    order = sampling_order(domains)
    children: dict[str, dict[str, tuple[Scalar, ...]]] = {name: {} for name in order}
    for name in order:
        for parent, wanted in condition(domains[name]).items():
            children[parent][name] = wanted
    alike = {name: _alike(sizes[name], children[name]) for name in order}

    @cache
    def visit(index: int, inactive: frozenset[str]) -> int:
        if index == len(order):
            return 1
        name, later = order[index], frozenset(order[index + 1 :])
        groups = {frozenset[str](): 1} if name in inactive else alike[name]
        return sum(
            number * visit(index + 1, (inactive | (children[name].keys() - fulfilled)) & later)
            for fulfilled, number in groups.items()
        )

    return visit(0, frozenset())


def _alike(num_values: int, children: Mapping[str, tuple[Scalar, ...]]) -> Counter[frozenset[str]]:
    """The number of a domain's values that fulfil the conditions of each set of children."""
    sets = {child: frozenset(wanted) for child, wanted in children.items()}
    in_conditions = frozenset[Scalar]().union(*sets.values())
    groups = Counter(
        frozenset(child for child, wanted in sets.items() if value in wanted)
        for value in in_conditions
    )
    if num_values > len(in_conditions):
        groups[frozenset()] += num_values - len(in_conditions)
    return groups


def enumerate_configurations(domains: Mapping[str, Domain]) -> Iterator[dict[str, Scalar]]:
    """All configurations of a finite space: its active sampled parameters."""
    order = sampling_order(domains)

    def visit(index: int, active: dict[str, Scalar]) -> Iterator[dict[str, Scalar]]:
        if index == len(order):
            yield {n: v for n, v in active.items() if isinstance(domains[n], Range | Choices)}
            return
        name = order[index]
        if not is_active(domains[name], active):
            yield from visit(index + 1, active)
            return
        for value in values(domains[name]):
            yield from visit(index + 1, {**active, name: value})

    return visit(0, {})
