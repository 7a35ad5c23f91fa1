"""What the trials tried of each hyperparameter. Draws nothing."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.definitions import Scalar
from sweep.records import TrialRecord
from sweep.space import SearchSpace, used_parameters

__all__ = ["tried_values"]


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
