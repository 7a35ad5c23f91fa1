"""Which hyperparameters a trial used, and how their values are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sweep.records import TrialRecord
from sweep.space import Choices, Range, SearchSpace
from sweep.space.rules import holds, sampling_order

__all__ = ["Scalar", "format_value", "tried_values", "used_parameters"]

Scalar = int | float | str


def used_parameters(space: SearchSpace, params: Mapping[str, Scalar]) -> set[str]:
    """Names of the parameters whose condition held, fixed ones included.

    Args:
        space: The search space.
        params: All parameters of a trial; empty if it was never asked for.
    """
    domains = space.domains
    used: set[str] = set()
    for name in sampling_order(domains):
        domain = domains[name]
        when = domain.when if isinstance(domain, Range | Choices) else None
        if name in params and holds(when, params, used):
            used.add(name)
    return used


def tried_values(
    space: SearchSpace, trials: Sequence[TrialRecord]
) -> dict[str, tuple[Scalar | None, ...]]:
    """What each trial chose for each sampled parameter of which two values or more were tried.

    Returns:
        By name one value for each trial, None where the trial did not use the parameter.
    """
    used = [used_parameters(space, trial.params) for trial in trials]
    chosen = {
        name: tuple(
            trial.params[name] if name in names else None
            for trial, names in zip(trials, used, strict=True)
        )
        for name in space.sampled
    }
    return {name: values for name, values in chosen.items() if len({*values} - {None}) > 1}


def format_value(value: Scalar) -> str:
    """A hyperparameter's value in at most four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
