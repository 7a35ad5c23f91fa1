"""Rules between several places of a search space."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import islice

from sweep.definitions import DefaultBy, Scalar
from sweep.space.base import shorten
from sweep.space.conditions import CycleError, condition, count, resolve_defaults, sampling_order
from sweep.space.domains import Choices, Domain, Range, max_epochs, size, why_outside
from sweep.space.search_space import SearchSpace
from sweep.space.strategies import HyperbandPruner, PatientPruner, PrunerSpec
from sweep.space.yaml_reader import Path

__all__ = ["check"]

MAX_GRID = 100_000
_MAX_PROBLEMS = 100  # of one kind: more of them would help nobody

Problem = tuple[Path, str]
"""Where in the file, key by key, and which rule is broken."""


def check(
    space: SearchSpace, known: Callable[..., bool], names: Collection[str]
) -> Iterator[Problem]:
    """Every rule that a space breaks.

    `known` tells whether the file is clear about a path: errors leave some at their defaults, which
    prove nothing. `names` are the model's parameters and whatever else the file lists there.
    """
    domains = resolve_defaults(
        {n: getattr(space.parameters, n) for n in space.definitions if known("parameters", n)}
    )
    domains = {
        name: domain
        for name, domain in domains.items()
        if not isinstance(domain, DefaultBy) or domain.parent in domains
    }
    problems = list(islice(_check_conditions(names, domains), _MAX_PROBLEMS))
    conditions = {} if problems else {name: condition(each) for name, each in domains.items()}
    yield from problems
    yield from islice(_check_enqueued(names, domains, conditions, space.enqueue), _MAX_PROBLEMS)
    if space.sampler.type == "grid" and known("sampler"):
        yield from _check_grid(domains, conditions)
    if "epochs" in domains and known("pruner"):
        yield from _check_resource(space.pruner, max_epochs(domains["epochs"]), ("pruner",))
    if space.budget.audit:
        yield from _check_audit(space, known)


def _check_conditions(names: Collection[str], domains: Mapping[str, Domain]) -> Iterator[Problem]:
    is_whole = True
    for name, domain in domains.items():
        for parent, wanted in condition(domain).items():
            messages = []
            if not wanted:
                messages = ["must not be empty: this condition can never hold"]
            elif parent in domains:
                reasons = (why_outside(domains[parent], parent, value) for value in wanted)
                messages = [
                    f"this condition can never hold: {reason}" for reason in reasons if reason
                ]
            elif parent not in names:
                messages = [f"there is no parameter {parent!r} to depend on"]
            is_whole = is_whole and parent in domains and not messages
            yield from ((("parameters", name, "when", parent), message) for message in messages)
    if is_whole:
        try:
            yield from _check_chains(domains, sampling_order(domains))
        except CycleError as error:
            (cycle,) = error.args
            message = f"conditions form a cycle: {' → '.join(cycle)}"
            yield ("parameters", cycle[0], "when"), message


def _check_chains(domains: Mapping[str, Domain], order: Sequence[str]) -> Iterator[Problem]:
    """A parameter needs its own condition and those of its parents to hold at the same time."""
    requirements: dict[str, dict[str, set[Scalar]]] = {}
    for name in order:
        possible = requirements[name] = {}
        for parent, wanted in condition(domains[name]).items():
            for ancestor, values in [(parent, set(wanted)), *requirements[parent].items()]:
                possible[ancestor] = possible.get(ancestor, values) & values
        for parent in [parent for parent, values in possible.items() if not values][:1]:
            yield (
                ("parameters", name, "when"),
                f"this condition can never hold: together with the conditions of its parents, it "
                f"asks for different values of {parent}",
            )


def _check_enqueued(
    names: Collection[str],
    domains: Mapping[str, Domain],
    conditions: Mapping[str, Mapping[str, Collection[Scalar]]],
    enqueue: Sequence[Mapping[str, Scalar]],
) -> Iterator[Problem]:
    fixed = {n: d for n, d in domains.items() if not isinstance(d, Range | Choices | DefaultBy)}
    for index, configuration in enumerate(enqueue):
        values = {**fixed, **configuration}
        for name, value in configuration.items():
            path = ("enqueue", index, name)
            if name not in names:
                yield path, f"there is no parameter {shorten(repr(name))}"
            elif name in domains and (why_not := why_outside(domains[name], name, value)):
                yield path, why_not
            for parent, wanted in conditions.get(name, {}).items():
                if parent in values and values[parent] not in wanted:
                    found = shorten(repr(values[parent]))
                    yield path, f"{name} is not used when {parent} is {found}; leave it out"


def _check_grid(
    domains: Mapping[str, Domain], conditions: Mapping[str, Collection[str]]
) -> Iterator[Problem]:
    endless = [name for name, domain in domains.items() if size(domain) is None]
    for name in endless:
        message = "a grid needs a finite list of values: give choices, or low, high and step"
        yield ("parameters", name), message
    if endless or not all(domains.keys() >= set(parents) for parents in conditions.values()):
        return
    if conditions and (number := count(domains) or 0) > MAX_GRID:
        yield ("sampler",), f"a grid may have at most {MAX_GRID:,} configurations; found {number:,}"


def _check_resource(pruner: PrunerSpec, most: int, path: Path) -> Iterator[Problem]:
    if isinstance(pruner, PatientPruner):
        yield from _check_resource(pruner.pruner, most, (*path, "pruner"))
    elif isinstance(pruner, HyperbandPruner) and pruner.min_resource > most:
        yield (
            (*path, "min_resource"),
            f"must not be above {most}, the most epochs of a trial; found {pruner.min_resource}",
        )


def _check_audit(space: SearchSpace, known: Callable[..., bool]) -> Iterator[Problem]:
    path, budget = ("budget", "audit"), space.budget
    if space.pruner.type == "none" and known("pruner"):
        yield path, "needs a pruner; found pruner none; choose one, or leave audit out"
    if (
        budget.trials is None
        and budget.timeout is not None
        and space.sampler.type != "grid"
        and known("sampler")
        and known("budget", "trials")
    ):
        yield path, "needs a known number of trials; found timeout without trials; give trials, too"
