"""What `sweep check` says as text for people."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.cli.data_text import data_lines
from sweep.cli.layout import Block, Entries, laid_out
from sweep.cli.study_text import training_words
from sweep.definitions import Params
from sweep.estimate import ERROR, Check, Estimate
from sweep.records import limits_of
from sweep.space import (
    Acceptance,
    SearchSpace,
    domain_words,
    effective_parameters,
    notable_parameters,
    random_configurations,
)
from sweep.words import (
    calibration_words,
    counted,
    duration,
    limits_words,
    percent,
    unequal_epochs_words,
    unvalidated_words,
)

__all__ = ["check_text"]

_NUM_DRAWN = 256  # configurations that tell which parameters matter


def check_text(found: Check, width: int | None = None) -> str:
    """A valid search space: its data, what is searched, what it costs at least; warnings."""
    space = found.space
    configurations = random_configurations(space, _NUM_DRAWN)
    lines = _space_lines(found, configurations)
    if space.rungs and space.max_epochs == 1:
        lines.append("warning: asha pauses no trial, because none has more than one epoch")
    if space.prunes_unequal_trials:
        words = unequal_epochs_words(space.pruner.type, space.max_epochs)
        lines.append(f"warning: {words}")
    if 1 < space.objective.every >= space.min_epochs:
        lines.append(f"warning: {unvalidated_words(space.objective.every, space.min_epochs)}")
    lines += [
        f"warning: {name} is searched without effect in any of {len(configurations)} "
        "configurations drawn at random: leave it out, or search what gives it one"
        for name in _futile(space, configurations)
    ]
    return laid_out(lines, width)


def _futile(space: SearchSpace, configurations: Sequence[Params]) -> list[str]:
    """Names of the hyperparameters that are searched for nothing."""
    effective = {name for each in configurations for name, _ in effective_parameters(space, each)}
    return [name for name in space.sampled if name not in effective]


def _space_lines(found: Check, configurations: Sequence[Params]) -> list[Block]:
    space, size = found.space, found.cost
    pruner = "no" if space.pruner.type == "none" else space.pruner.type
    notable = {name for each in configurations for name in notable_parameters(space, each)}
    rows = [
        [f"  {name}", domain_words(domain), "(default)" if space.is_at_default(name) else ""]
        for name, domain in space.domains.items()
        if name in space.sampled or name in notable
    ]
    count = "uncountable" if size.num_configurations is None else f"{size.num_configurations:,}"
    count += ", before constraints" if found.accepted else ""
    lines: list[Block] = [
        f"{space.name}: valid; {space.sampler.type} sampler, {pruner} pruner, "
        f"data set {space.dataset.title}",
        *data_lines(found.data),
        Entries(rows),
        "every other hyperparameter is switched off, which is its default",
        f"different configurations: {count}",
        *_constraint_lines(found.accepted, "grid's" if space.sampler.type == "grid" else "random"),
        f"networks: {_range_words(size.min_parameters, size.max_parameters)} parameters",
    ]
    lines.append(_budget_words(space, size))
    return lines if space.expected_trials is None else [*lines, *_cost_lines(space, size)]


def _budget_words(space: SearchSpace, size: Estimate) -> str:
    budget, number = space.budget, size.num_trials
    trials = "any number of trials" if number is None else counted(number, "trial")
    limits = [] if budget.timeout is None else [duration(budget.timeout)]
    limits += limits_words(limits_of(number, budget.model_dump()), space.objective.metric)
    limit = f", no new trial after {' or '.join(limits)}" if limits else ""
    audits = f", up to {budget.audit:,} of them audited" if budget.audit else ""
    most = (
        "" if size.max_epochs is None else f"; at most {counted(size.max_epochs, 'epoch')} in all"
    )
    return f"budget: {trials}{limit}{audits}{most}"


def _constraint_lines(found: Acceptance | None, kind: str) -> list[Block]:
    """Which share of configurations of this kind meets the constraints."""
    if found is None:
        return []

    def share(number: int) -> str:
        return percent(number / found.num_drawn, 2 if 0 < number < found.num_drawn / 100 else 0)

    rows = [[f"  {text}", share(number)] for text, number in found.met.items()]
    drawn = f"{found.num_drawn:,} {kind} configurations"
    return [f"constraints: {share(found.num_met)} of {drawn} meet all", Entries(rows)]


def _cost_lines(space: SearchSpace, size: Estimate) -> list[str]:
    """What a sweep takes on this machine, and how it would be trained."""
    if size.seconds is None:
        return ["cost: this machine could not be calibrated"]
    found = size.training
    assert found.calibration is not None  # noqa: S101 - for the type checker
    return [
        f"cost: {_duration_words(space, size)}",
        f"training: {training_words(found)}",
        f"calibration: {calibration_words(found.calibration)}",
    ]


def _duration_words(space: SearchSpace, size: Estimate) -> str:
    prunes = space.pruner.type != "none"
    usual, most = duration(size.seconds), duration(size.most_seconds)
    if prunes and space.budget.epochs is not None:
        return (
            f"{usual} to {most} on this machine: the epochs that pruning saves are spent on the "
            "trials that look best, which are often the costliest"
        )
    return (
        f"about {usual} on this machine, mostly within {percent(ERROR, 0)}, with configurations "
        f"drawn at random; up to {most} if the search settles on the costliest"
        f"{'; pruning shortens both' if prunes else ''}"
    )


def _range_words(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
