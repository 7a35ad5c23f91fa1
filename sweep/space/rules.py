"""Rules that tie several places of a search space together."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from sweep.definitions import Scalar
from sweep.space.base import shorten
from sweep.space.conditions import CycleError, condition, count, sampling_order
from sweep.space.domains import Choices, Domain, Range, max_epochs, size, why_outside
from sweep.space.sections import Budget
from sweep.space.strategies import HyperbandPruner, PatientPruner, PrunerSpec, SamplerSpec

__all__ = ["Problem", "check"]

MAX_GRID = 100_000
_MAX_PROBLEMS = 100  # of one kind: more of them would help nobody

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """A broken rule: where in the file, key by key, and what is wrong."""

    path: Path
    message: str

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.path))}: {self.message}"


def check(
    names: Collection[str],
    domains: Mapping[str, Domain],
    enqueue: Sequence[Mapping[str, Scalar]],
    sampler: SamplerSpec | None,
    pruner: PrunerSpec | None,
    budget: Budget | None,
) -> list[Problem]:
    """Every broken rule that the well-formed parts of a file show.

    Args:
        names: Of all parameters.
        domains: The domain of each parameter that is well formed.
        enqueue: The enqueued configurations.
        sampler: The sampler; None here and below if it is malformed.
        pruner: The pruner.
        budget: The budget.
    """
    problems = list(islice(_check_conditions(names, domains), _MAX_PROBLEMS))
    if not problems:
        problems += islice(_check_enqueued(names, domains, enqueue), _MAX_PROBLEMS)
    if sampler and sampler.type == "grid" and not problems:
        problems += _check_grid(domains)
    if pruner and "epochs" in domains:
        problems += _check_resource(pruner, max_epochs(domains["epochs"]), ("pruner",))
    if sampler and pruner and budget and budget.audit:
        problems += _check_audit(sampler, pruner, budget)
    return problems


def _check_resource(pruner: PrunerSpec, most: int, path: Path) -> Iterator[Problem]:
    if isinstance(pruner, PatientPruner):
        yield from _check_resource(pruner.pruner, most, (*path, "pruner"))
    elif isinstance(pruner, HyperbandPruner) and pruner.min_resource > most:
        yield Problem(
            (*path, "min_resource"),
            f"must not be above {most}, the most epochs of a trial; found {pruner.min_resource}",
        )


def _check_audit(sampler: SamplerSpec, pruner: PrunerSpec, budget: Budget) -> Iterator[Problem]:
    path = ("budget", "audit")
    if pruner.type == "none":
        yield Problem(path, "needs a pruner; found pruner none; choose one, or leave audit out")
    if budget.trials is None and budget.timeout is not None and sampler.type != "grid":
        yield Problem(
            path, "needs a known number of trials; found timeout without trials; give trials, too"
        )


def _check_conditions(names: Collection[str], domains: Mapping[str, Domain]) -> Iterator[Problem]:
    is_whole = True
    for name, domain in domains.items():
        for parent, wanted in condition(domain).items():
            path = ("parameters", name, "when", parent)
            if parent in domains and wanted:
                reasons = (why_outside(domains[parent], parent, value) for value in wanted)
                messages = [
                    f"this condition can never hold: {reason}" for reason in reasons if reason
                ]
            elif not wanted:
                messages = ["must not be empty: this condition can never hold"]
            elif parent not in names:
                messages = [f"there is no parameter {parent!r} to depend on"]
            else:
                messages = []  # the parent is malformed, which is reported elsewhere
                is_whole = False
            is_whole = is_whole and not messages
            yield from (Problem(path, message) for message in messages)
    if is_whole:
        try:
            yield from _check_chains(domains, sampling_order(domains))
        except CycleError as error:
            (cycle,) = error.args
            yield Problem(
                ("parameters", cycle[0], "when"),
                f"conditions go round in a circle: {' → '.join(cycle)}",
            )


def _check_chains(domains: Mapping[str, Domain], order: Sequence[str]) -> Iterator[Problem]:
    """A parameter needs its own condition and those of its parents, all at the same time."""
    requirements: dict[str, dict[str, set[Scalar]]] = {}
    for name in order:
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


def _check_enqueued(
    names: Collection[str], domains: Mapping[str, Domain], enqueue: Sequence[Mapping[str, Scalar]]
) -> Iterator[Problem]:
    conditions = {name: condition(domain) for name, domain in domains.items()}
    fixed = {
        name: domain for name, domain in domains.items() if not isinstance(domain, Range | Choices)
    }
    for index, configuration in enumerate(enqueue):
        known = {**fixed, **configuration}
        for name, value in configuration.items():
            path = ("enqueue", index, name)
            if name not in names:
                yield Problem(path, f"there is no parameter {shorten(repr(name))}")
            if name not in domains:
                continue
            if why_not := why_outside(domains[name], name, value):
                yield Problem(path, why_not)
            for parent, wanted in conditions[name].items():
                if parent in known and known[parent] not in wanted:
                    yield Problem(
                        path,
                        f"{name} is not used when {parent} is {shorten(repr(known[parent]))}; "
                        "leave it out",
                    )


def _check_grid(domains: Mapping[str, Domain]) -> Iterator[Problem]:
    endless = [name for name, domain in domains.items() if size(domain) is None]
    for name in endless:
        yield Problem(
            ("parameters", name),
            "a grid needs a finite list of values: give choices, or low, high and step",
        )
    is_whole = all(parent in domains for d in domains.values() for parent in condition(d))
    number = count(domains) if is_whole and not endless else None
    if number is not None and number > MAX_GRID:
        yield Problem(
            ("sampler",), f"a grid may have {MAX_GRID:,} configurations at most; found {number:,}"
        )
