"""Rules between several places of a search space."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from sweep.definitions import DATASETS, CategoricalParameter, DefaultBy, Scalar, is_share
from sweep.records import OwnNetwork
from sweep.space.base import shorten
from sweep.space.conditions import (
    CycleError,
    condition,
    prior_configuration,
    priors,
    required,
    resolve_defaults,
    sampling_order,
)
from sweep.space.constraints import COSTS, read_constraint
from sweep.space.datasets import BuiltIn
from sweep.space.domains import Choices, Domain, Range, max_epochs, size, values, why_outside
from sweep.space.grid import count
from sweep.space.search_space import SearchSpace
from sweep.space.strategies import HyperbandPruner, PatientPruner, PrunerSpec
from sweep.space.yaml_reader import Path
from sweep.words import did_you_mean, params_words

__all__ = ["check"]

MAX_GRID = 100_000
_MAX_LOOKS = 20_000  # at enqueued configurations, for all constraints together
_MAX_PROBLEMS = 100  # of one kind: more of them would help nobody
_UNGUIDED = {
    "grid": "tries every configuration",
    "qmc": "covers the space evenly",
    "random": "is the baseline, which knows nothing",
}

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
    yield from problems
    parents = {parent for domain in domains.values() for parent in condition(domain)}
    hold = not problems and parents <= domains.keys()
    yield from islice(_check_enqueued(names, domains, space.enqueue, hold), _MAX_PROBLEMS)
    bad_priors = list(_check_priors(domains, space.sampler.type if known("sampler") else "gp"))
    yield from bad_priors
    problems = list(islice(_check_constraints(space, names), _MAX_PROBLEMS))
    yield from problems
    if space.constraints and not problems and known("dataset"):
        prior = prior_configuration(domains) if hold and not bad_priors else {}
        yield from islice(_check_constrained(space, domains, prior), _MAX_PROBLEMS)
    if space.sampler.type == "grid" and known("sampler"):
        yield from _check_grid(domains, hold)
    if "epochs" in domains and known("pruner"):
        yield from _check_resource(space.pruner, max_epochs(domains["epochs"]), ("pruner",))
    if space.budget.audit:
        yield from _check_audit(space, known)
    if space.budget.target is not None and known("objective"):
        yield from _check_target(space.objective.metric, space.budget.target)
    yield from _check_batch_normalization(domains)
    if isinstance(space.dataset, BuiltIn) and known("dataset"):
        yield from _check_validation(space.dataset)


def _check_validation(dataset: BuiltIn) -> Iterator[Problem]:
    num_pool, found = DATASETS[dataset.name].num_pool, dataset.validation
    if found is not None and found >= num_pool:
        yield (
            ("dataset", "validation"),
            f"must be below {num_pool:,}, the size of the training pool of {dataset.name}; found "
            f"{shorten(f'{found:,}')}",
        )


def _check_batch_normalization(domains: Mapping[str, Domain]) -> Iterator[Problem]:
    """A mean and a variance of one example say nothing."""
    normalization, batch_size = domains.get("normalization"), domains.get("batch_size")
    if normalization is None or batch_size is None or "batch" not in values(normalization):
        return
    least = batch_size.low if isinstance(batch_size, Range) else min(values(batch_size))
    if least < 2:
        yield (
            ("parameters", "batch_size"),
            "must be at least 2 with batch normalisation, which needs several examples in a step; "
            "found 1",
        )


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
    for name in order:
        never = "this condition can never hold"
        contradictory = _contradictory(domains, [name])
        for parent in contradictory[:1]:
            yield (
                ("parameters", name, "when"),
                f"{never}: together with the conditions of its parents, it asks for different "
                f"values of {parent}",
            )
        endless = [parent for parent in condition(domains[name]) if size(domains[parent]) is None]
        for parent in [] if contradictory else endless:
            yield (
                ("parameters", name, "when", parent),
                f"{never}: {parent} takes any number of its range, so never a certain one; give "
                "it choices or a step",
            )


def _contradictory(domains: Mapping[str, Domain], names: Iterable[str]) -> list[str]:
    """The ancestors that have no value with which all of these parameters are active."""
    return [parent for parent, values in required(domains, names).items() if not values]


def _check_enqueued(
    names: Collection[str],
    domains: Mapping[str, Domain],
    enqueue: Sequence[Mapping[str, Scalar]],
    conditions_hold: bool,
) -> Iterator[Problem]:
    fixed = {n: d for n, d in domains.items() if not isinstance(d, Range | Choices | DefaultBy)}
    needs = {name: required(domains, [name]) if conditions_hold else {} for name in domains}
    for index, configuration in enumerate(enqueue):
        values = {**fixed, **configuration}
        is_possible = True
        for name, value in configuration.items():
            path = ("enqueue", index, name)
            if name not in names:
                yield path, f"there is no parameter {shorten(repr(name))}"
            elif name in domains and (why_not := why_outside(domains[name], name, value)):
                yield path, why_not
            for parent, wanted in needs.get(name, {}).items():
                if parent in values and values[parent] not in wanted:
                    is_possible = False
                    found = shorten(repr(values[parent]))
                    yield path, f"{name} is not used when {parent} is {found}; leave it out"
        conditional = frozenset(name for name in configuration if needs.get(name))
        if is_possible and len(conditional) > 1:
            for parent in _contradictory(domains, conditional)[:1]:
                together = " and ".join(name for name in configuration if name in conditional)
                yield (
                    ("enqueue", index),
                    f"{together} are never used together: their conditions ask for different "
                    f"values of {parent}; leave one of them out",
                )


def _check_priors(domains: Mapping[str, Domain], sampler: str) -> Iterator[Problem]:
    found = priors(domains)
    for name, prior in found.items():
        if reason := why_outside(domains[name], name, prior):
            yield ("parameters", name, "prior"), reason
    if found and sampler in _UNGUIDED:
        yield (
            ("sampler",),
            f"{sampler} {_UNGUIDED[sampler]}, and priors guide tpe and gp only; found a prior of "
            f"{', '.join(found)}: choose another sampler, or leave the priors out",
        )


def _check_constraints(space: SearchSpace, names: Collection[str]) -> Iterator[Problem]:
    for index, text in enumerate(space.constraints):
        path = ("constraints", index)
        try:
            found = read_constraint(text)
        except ValueError as error:
            yield path, str(error)
            continue
        for name in sorted(found.names):
            if message := _why_no_quantity(space, names, name):
                yield path, message


def _why_no_quantity(space: SearchSpace, names: Collection[str], name: str) -> str | None:
    """Why a constraint cannot name this; None if it can."""
    if isinstance(space.definitions.get(name), CategoricalParameter):
        return (
            f"{name} is no number; leave names out of its choices, or have another parameter "
            f"depend on it with when: {{{name}: ...}}"
        )
    if name in names:
        return None
    if name not in COSTS:
        guess = did_you_mean(name, [*space.definitions, *COSTS])
        return f"there is no parameter or cost {shorten(repr(name))}{guess}"
    if isinstance(space.model, OwnNetwork):
        return (
            f"{name} of a network of your own is known only once it is built; constrain its "
            "arguments instead"
        )
    return None


def _check_constrained(
    space: SearchSpace, domains: Mapping[str, Domain], prior: Mapping[str, Scalar]
) -> Iterator[Problem]:
    """What an enqueued configuration or the priors leave open, `require_suited` looks at."""
    fixed = {n: d for n, d in domains.items() if not isinstance(d, Range | Choices | DefaultBy)}
    limits = space.limits
    for index, configuration in enumerate(space.enqueue[: _MAX_LOOKS // len(space.constraints)]):
        for text in limits.broken({**fixed, **configuration}):
            yield ("enqueue", index), f"does not meet the constraint {shorten(repr(text))}"
    for text in limits.broken({**fixed, **prior}) if prior else ():
        yield (
            ("constraints", space.constraints.index(text)),
            f"the priors do not meet it together: {params_words(prior)}; change one of them",
        )


def _check_grid(domains: Mapping[str, Domain], conditions_hold: bool) -> Iterator[Problem]:
    endless = [name for name, domain in domains.items() if size(domain) is None]
    for name in endless:
        message = "a grid needs a finite list of values: give choices, or low, high and step"
        yield ("parameters", name), message
    if not endless and conditions_hold and (number := count(domains) or 0) > MAX_GRID:
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
        and budget.ends
        and space.sampler.type != "grid"
        and known("sampler")
        and known("budget", "trials")
    ):
        found = ", ".join(n for n in ("timeout", "epochs", "plateau") if getattr(budget, n))
        yield (
            path,
            f"needs a known number of trials; found {found} without trials; give trials, too",
        )


def _check_target(metric: str, target: float) -> Iterator[Problem]:
    path = ("budget", "target")
    if is_share(metric) and not 0 < target <= 1:
        percent = f"; for {target:g}% write {target / 100:g}" if 1 < target <= 100 else ""
        yield path, f"must be above 0 and at most 1, as {metric} is; found {target:g}{percent}"
    elif target < 0:
        yield path, f"must not be below 0, as {metric} never is; found {target:g}"
