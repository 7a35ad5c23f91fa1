"""Under which conditions a parameter is sampled, and in which order parameters are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sweep.definitions import DefaultBy, Scalar
from sweep.space.domains import Choices, Domain, Range

__all__ = ["condition", "holds", "resolve_defaults", "sampling_order"]


def condition(domain: Domain) -> dict[str, tuple[Scalar, ...]]:
    """A domain's condition: the values that each parent must have one of."""
    when = domain.when if isinstance(domain, Range | Choices) else None
    return {
        parent: tuple(wanted) if isinstance(wanted, list) else (wanted,)
        for parent, wanted in (when or {}).items()
    }


def holds(when: Any, active: Mapping[str, Scalar]) -> bool:
    """Whether a condition holds: every parent is active and has a wanted value."""
    return all(
        parent in active and active[parent] in (wanted if isinstance(wanted, list) else [wanted])
        for parent, wanted in (when or {}).items()
    )


def sampling_order(domains: Mapping[str, Domain]) -> list[str]:
    """Parameters with parents before children, otherwise in the order of their definition."""
    order: list[str] = []

    def visit(name: str) -> None:
        if name not in order:
            for parent in condition(domains[name]):
                visit(parent)
            order.append(name)

    for name in domains:
        visit(name)
    return order


def resolve_defaults(domains: Mapping[str, Domain]) -> dict[str, Domain]:
    """The same with the value of each default that depends on a parameter which is fixed."""
    resolved = dict(domains)
    for name, domain in domains.items():
        if isinstance(domain, DefaultBy) and domain.parent in domains:
            parent = domains[domain.parent]
            if isinstance(parent, str):
                resolved[name] = domain.values[parent]
    return resolved
