"""Conditions: which parameters are active, in which order, and with which values of others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sweep.definitions import DefaultBy, Params, Scalar
from sweep.space.domains import Choices, Domain, Range

__all__ = [
    "CycleError",
    "condition",
    "is_active",
    "narrowed",
    "prior_configuration",
    "priors",
    "required",
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


def required(domains: Mapping[str, Domain], names: Iterable[str]) -> dict[str, list[Scalar]]:
    """The values that the ancestors of these parameters need for all of them to be active."""
    found: dict[str, list[Scalar]] = {}
    pending, seen = list(names), set[str]()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        for parent, wanted in condition(domains[name]).items():
            allowed = frozenset(wanted)
            found[parent] = [value for value in found.get(parent, wanted) if value in allowed]
            pending.append(parent)
    return found


def priors(domains: Mapping[str, Domain]) -> dict[str, Scalar]:
    """The prior of each parameter that has one."""
    return {
        name: domain.prior
        for name, domain in domains.items()
        if isinstance(domain, Range | Choices) and domain.prior is not None
    }


def prior_configuration(domains: Mapping[str, Domain]) -> dict[str, Scalar]:
    """The priors of the parameters that may be active if the others have theirs."""
    found = priors(domains)
    known = {n: d for n, d in domains.items() if isinstance(d, int | float | str)} | found
    return {
        name: prior
        for name, prior in found.items()
        if all(
            parent not in known or known[parent] in wanted
            for parent, wanted in required(domains, [name]).items()
        )
    }


def narrowed(domains: Mapping[str, Domain], given: Params) -> dict[str, Domain]:
    """The domains of the configurations in which some sampled parameters have given values."""
    kept = required(domains, given)
    for name, value in given.items():
        kept[name] = [each for each in kept.get(name, [value]) if each == value]
    narrow = dict(domains)
    for name, domain in domains.items():
        if not isinstance(domain, Range | Choices):
            continue
        when: dict[str, Any] = {
            parent: [each for each in wanted if parent not in kept or each in kept[parent]]
            for parent, wanted in condition(domain).items()
        }
        if name in kept:
            # Not validated: there may be no value at all, which no file may have.
            narrow[name] = Choices.model_construct(choices=kept[name], when=when)
        elif when:
            narrow[name] = domain.model_copy(update={"when": when})
    return narrow
