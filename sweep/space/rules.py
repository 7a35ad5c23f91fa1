"""Rules that tie several places of a search space together, and what follows from them.

Conditions decide the order of sampling, which parameters are active, and how many
configurations differ; enqueued configurations and grids must fit the domains.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any, cast

from sweep.definitions import DefaultBy, Scalar
from sweep.space.base import shorten
from sweep.space.conditions import condition, holds, sampling_order
from sweep.space.domains import Choices, Domain, Range

__all__ = [
    "Problem",
    "check",
    "check_audit",
    "count",
    "enumerate_configurations",
    "holds",
    "sampling_order",
]

MAX_GRID = 100_000
_MAX_SHOWN = 12
_MAX_PROBLEMS = 100  # of one kind: more of them would help nobody


@dataclass(frozen=True, slots=True)
class Problem:
    """A broken rule.

    Attributes:
        path: Where in the file, key by key.
        message: The rule, what was found, what to do.
    """

    path: tuple[str | int, ...]
    message: str

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.path))}: {self.message}"


def check(
    names: Collection[str],
    domains: Mapping[str, Domain],
    enqueue: Sequence[Mapping[str, Any]],
    sampler: Mapping[str, Any],
    pruner: Mapping[str, Any],
    budget: Mapping[str, Any],
) -> list[Problem]:
    """Every broken rule.

    Args:
        names: Of all parameters.
        domains: The domain of each parameter that is known to be well formed.
        enqueue: The enqueued configurations.
        sampler: The sampler as plain data.
        pruner: The pruner as plain data.
        budget: The budget as plain data.
    """
    problems = list(islice(_check_conditions(names, domains), _MAX_PROBLEMS))
    if not problems:
        problems += islice(_check_enqueued(names, domains, enqueue), _MAX_PROBLEMS)
    if sampler.get("type") == "grid" and not problems:
        problems += _check_grid(domains)
    if "epochs" in domains:
        problems += _check_resource(pruner, max_epochs(domains["epochs"]), ("pruner",))
    problems += check_audit(sampler, pruner, budget)
    return problems


def max_epochs(domain: Domain) -> int:
    """The most epochs that one trial may run."""
    if isinstance(domain, Range):
        return int(domain.high)
    return max(domain.choices) if isinstance(domain, Choices) else cast("int", domain)


def _check_resource(
    pruner: Mapping[str, Any], most: int, path: tuple[str | int, ...]
) -> Iterator[Problem]:
    wrapped = pruner.get("pruner")
    if isinstance(wrapped, Mapping):
        yield from _check_resource(wrapped, most, (*path, "pruner"))
    least = pruner.get("min_resource")
    if pruner.get("type") == "hyperband" and isinstance(least, int) and least > most:
        yield Problem(
            (*path, "min_resource"),
            f"must not be above {most}, the most epochs of a trial; found {least}",
        )


def check_audit(
    sampler: Mapping[str, Any], pruner: Mapping[str, Any], budget: Mapping[str, Any]
) -> Iterator[Problem]:
    """Whether the budget's audits can be met: the only rule that ties the budget to other parts."""
    path, audit = ("budget", "audit"), budget.get("audit")
    if not isinstance(audit, int) or audit < 1:
        return
    if pruner.get("type", "none") == "none":
        yield Problem(path, "needs a pruner; found pruner none; choose one, or leave audit out")
    is_known = budget.get("trials") is not None or sampler.get("type") == "grid"
    if not is_known and budget.get("timeout") is not None:
        yield Problem(
            path, "needs a known number of trials; found timeout without trials; give trials, too"
        )


# ---------------------------------------------------------------- conditions


def _check_conditions(names: Collection[str], domains: Mapping[str, Domain]) -> Iterator[Problem]:
    broken = False
    listed = _listed(domains)
    for name, domain in domains.items():
        for parent, wanted in condition(domain).items():
            path = ("parameters", name, "when", parent)
            if not wanted:
                broken = True
                yield Problem(path, "must not be empty: this condition can never hold")
                continue
            if parent not in names:
                broken = True
                yield Problem(path, f"there is no parameter {parent!r} to depend on")
                continue
            if parent not in domains:
                broken = True  # the parent is itself malformed, which is reported elsewhere
                continue
            for value in wanted:
                if (type(value), value) in listed[parent]:
                    continue
                why_not = _why_outside(domains[parent], parent, value)
                if why_not:
                    broken = True
                    yield Problem(path, f"this condition can never hold: {why_not}")
    cycle = None if broken else _find_cycle(domains)
    if cycle:
        yield Problem(
            ("parameters", cycle[0], "when"),
            f"conditions go round in a circle: {' → '.join(cycle)}",
        )
    elif not broken:
        yield from _check_chains(domains)


def _check_chains(domains: Mapping[str, Domain]) -> Iterator[Problem]:
    """A parameter needs its own condition and those of its parents, all at the same time."""
    requirements: dict[str, dict[str, set[Scalar]]] = {}
    for name in sampling_order(domains):
        possible = requirements[name] = {}
        for parent, wanted in condition(domains[name]).items():
            for ancestor, values in [(parent, set(wanted)), *requirements[parent].items()]:
                possible[ancestor] = possible.get(ancestor, values) & values
        for parent in [parent for parent, values in possible.items() if not values][:1]:
            yield Problem(
                ("parameters", name, "when"),
                f"this condition can never hold: together with the conditions that it leads to, "
                f"it asks for different values of {parent}",
            )


def _find_cycle(domains: Mapping[str, Domain]) -> list[str] | None:
    done: set[str] = set()

    def visit(name: str, trail: list[str]) -> list[str] | None:
        if name in trail:
            return [*trail[trail.index(name) :], name]
        if name in done:
            return None
        for parent in condition(domains[name]):
            cycle = visit(parent, [*trail, name])
            if cycle:
                return cycle
        done.add(name)
        return None

    for name in domains:
        cycle = visit(name, [])
        if cycle:
            return cycle
    return None


# ---------------------------------------------------------------- values and grids


def _why_outside(domain: Domain, name: str, value: Any) -> str | None:
    """Why `value` is not in `domain`, or None if it is."""
    if isinstance(domain, Choices):
        if any(value == choice and _fits(value, choice) for choice in domain.choices):
            return None
        return f"{name} is one of {_some(domain.choices)}; found {shorten(repr(value))}"
    if isinstance(domain, Range):
        kinds = int if isinstance(domain.low, int) else (int, float)
        if not isinstance(value, kinds) or isinstance(value, bool):
            return f"{name} is a number; found {shorten(repr(value))}"
        if not domain.low <= value <= domain.high:
            return f"{name} is between {domain.low} and {domain.high}; found {shorten(repr(value))}"
        if domain.step is not None:
            steps = (value - domain.low) / domain.step
            if not math.isclose(steps, round(steps), abs_tol=1e-8):
                return (
                    f"{name} goes from {domain.low} in steps of {domain.step}; "
                    f"found {shorten(repr(value))}"
                )
        return None
    if isinstance(domain, DefaultBy):
        return f"{name} has a default that depends on {domain.parent}; give it values of its own"
    if value == domain and _fits(value, domain):
        return None
    return f"{name} is fixed at {domain!r}; found {shorten(repr(value))}"


def _listed(domains: Mapping[str, Domain]) -> dict[str, frozenset[tuple[type, Scalar]]]:
    """The choices of each domain, to be found at once: there may be thousands, asked for as often.

    With their types, because 32.0 equals 32 and is not the same choice.
    """
    return {
        name: frozenset(
            (type(choice), choice)
            for choice in (domain.choices if isinstance(domain, Choices) else ())
        )
        for name, domain in domains.items()
    }


def _some(values: Sequence[Scalar]) -> str:
    """The first of these values."""
    shown = ", ".join(map(str, values[:_MAX_SHOWN]))
    return shown if len(values) <= _MAX_SHOWN else f"{shown}, ..."


def _fits(value: Any, example: Scalar) -> bool:
    """Whether a value equal to `example` may stand for it: 32.0 is no number of units."""
    return not (isinstance(value, float) and isinstance(example, int))


def _check_enqueued(
    names: Collection[str], domains: Mapping[str, Domain], enqueue: Sequence[Mapping[str, Any]]
) -> Iterator[Problem]:
    listed = _listed(domains)
    conditions = {
        name: {parent: frozenset(wanted) for parent, wanted in condition(domain).items()}
        for name, domain in domains.items()
    }
    fixed = {
        name: domain for name, domain in domains.items() if not isinstance(domain, Range | Choices)
    }
    for index, configuration in enumerate(enqueue):
        known: dict[str, Any] = fixed | {
            name: value for name, value in configuration.items() if name in domains
        }
        for name, value in configuration.items():
            path = ("enqueue", index, name)
            if name not in names:
                yield Problem(path, f"there is no parameter {shorten(repr(name))}")
                continue
            if name not in domains:
                continue
            is_scalar = isinstance(value, int | float | str)
            if not is_scalar or (type(value), value) not in listed[name]:
                why_not = _why_outside(domains[name], name, value)
                if why_not:
                    yield Problem(path, why_not)
            for parent, wanted in conditions[name].items():
                if parent in known and not _is_one(known[parent], wanted):
                    yield Problem(
                        path,
                        f"{name} is not used when {parent} is {shorten(repr(known[parent]))}; "
                        "leave it out",
                    )


def _is_one(value: Any, wanted: frozenset[Scalar]) -> bool:
    return isinstance(value, int | float | str) and value in wanted


def _size(domain: Domain) -> int | None:
    """How many values a domain has, or None if they are uncountable."""
    if isinstance(domain, Choices):
        return len(domain.choices)
    if isinstance(domain, Range):
        if domain.low == domain.high:
            return 1
        step = domain.step or (1 if isinstance(domain.low, int) else None)
        return None if step is None else round((domain.high - domain.low) / step) + 1
    return 1


def _values(domain: Domain) -> list[Any]:
    """The values of a finite domain; one that is not sampled stands for its value."""
    if isinstance(domain, Choices):
        return list(domain.choices)
    if isinstance(domain, Range):
        step = domain.step or 1
        # The last sum of a float step may come out a hair above `high`.
        return [min(domain.low + i * step, domain.high) for i in range(_size(domain) or 0)]
    return [domain]


def _check_grid(domains: Mapping[str, Domain]) -> Iterator[Problem]:
    endless = False
    for name, domain in domains.items():
        if _size(domain) is None:
            endless = True
            yield Problem(
                ("parameters", name),
                "a grid needs a finite list of values: give choices, or low, high and step",
            )
    is_whole = all(parent in domains for d in domains.values() for parent in condition(d))
    size = count(domains) if is_whole and not endless else None
    if size is not None and size > MAX_GRID:
        yield Problem(
            ("sampler",), f"a grid may have {MAX_GRID:,} configurations at most; found {size:,}"
        )


def count(domains: Mapping[str, Domain]) -> int | None:
    """How many configurations differ, or None if they are uncountable.

    Values that fulfil the same conditions are counted together, and so are the ways to the same
    set of parameters that will not be sampled: large spaces are counted quickly, whatever their
    conditions.
    """
    order = sampling_order(domains)
    children: dict[str, dict[str, frozenset[Scalar]]] = {name: {} for name in order}
    for name in order:
        for parent, wanted in condition(domains[name]).items():
            children[parent][name] = frozenset(wanted)
    alike = {name: _alike(domains[name], children[name]) for name in order}

    @cache
    def visit(index: int, left_out: frozenset[str]) -> int:
        if index == len(order):
            return 1
        name, later = order[index], frozenset(order[index + 1 :])
        mine = frozenset(children[name])
        if name in left_out:
            return visit(index + 1, (left_out | mine) & later)
        groups = alike[name]
        if groups is None:
            raise OverflowError
        return sum(
            number * visit(index + 1, (left_out | (mine - fulfilled)) & later)
            for fulfilled, number in groups.items()
        )

    try:
        return visit(0, frozenset())
    except OverflowError:
        return None


def _alike(
    domain: Domain, children: Mapping[str, frozenset[Scalar]]
) -> Counter[frozenset[str]] | None:
    """How many values fulfil the conditions of which children; None if they are uncountable."""
    size = _size(domain)
    if size is None:
        return None
    named: set[Scalar] = set().union(*children.values())
    groups = Counter(
        frozenset(child for child, wanted in children.items() if value in wanted) for value in named
    )
    if size > len(named):
        groups[frozenset()] += size - len(named)
    return groups


def enumerate_configurations(domains: Mapping[str, Domain]) -> Iterator[dict[str, Scalar]]:
    """All configurations of a finite space: the sampled parameters that are active."""
    order = sampling_order(domains)

    def visit(index: int, active: dict[str, Scalar]) -> Iterator[dict[str, Scalar]]:
        if index == len(order):
            yield {
                name: value
                for name, value in active.items()
                if isinstance(domains[name], Range | Choices)
            }
            return
        name = order[index]
        domain = domains[name]
        if isinstance(domain, Range | Choices) and not holds(domain.when, active):
            yield from visit(index + 1, active)
            return
        for value in _values(domain):
            yield from visit(index + 1, {**active, name: value})

    return visit(0, {})
