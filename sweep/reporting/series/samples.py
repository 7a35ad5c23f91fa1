"""The hyperparameters and the result of each trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from sweep.definitions import Scalar
from sweep.errors import ContradictionError
from sweep.records import StudyRecord
from sweep.reporting.series.curves import label, trial_values
from sweep.space import Choices, Range, SearchSpace, used_parameters

__all__ = ["Axis", "Samples", "samples", "thinned"]


@dataclass(frozen=True, slots=True)
class Axis:
    """One sampled hyperparameter: `choices`, or a range if there are none.

    The range may be sampled evenly in the logarithm, and hold whole numbers only.
    """

    name: str
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Trials that have a value, with their sampled hyperparameters.

    Attributes:
        label: Of the heights.
        frame: `state`, `height` and `text` of each trial, by number.
        params: A column of values for each axis, missing where unused; by number.
        num_left_out: Trials that have a value and are not in the frames.
    """

    label: str
    axes: tuple[Axis, ...]
    frame: pd.DataFrame
    params: pd.DataFrame
    chosen: int | None
    num_left_out: int = 0


def samples(record: StudyRecord, space: SearchSpace, chosen: int | None) -> Samples | None:
    """Every trial that has a value, with its sampled hyperparameters.

    None if nothing was sampled or fewer than two trials have a value.

    Raises:
        ContradictionError: a trial has a value outside the search space.
    """
    values = trial_values(record).dropna(subset="value").set_index("number")
    axes = [_axis(name, domain) for name, domain in space.sampled.items()]
    if not axes or len(values) < 2:
        return None
    params_of = {trial.number: trial.params for trial in record.trials}
    params = pd.DataFrame(
        [_coordinates(space, axes, params_of[number]) for number in values.index],
        columns=[axis.name for axis in axes],
        index=values.index,
    )
    return Samples(label(record), tuple(axes), values[["state", "height", "text"]], params, chosen)


def _axis(name: str, domain: Range | Choices) -> Axis:
    if isinstance(domain, Choices):
        return Axis(name, choices=tuple(map(str, domain.choices)))
    whole = isinstance(domain.low, int)
    return Axis(name, (), float(domain.low), float(domain.high), domain.log, whole)


def _coordinates(
    space: SearchSpace, axes: Sequence[Axis], params: Mapping[str, Scalar]
) -> list[float | str | None]:
    used = used_parameters(space, params)
    return [_coordinate(axis, params[axis.name]) if axis.name in used else None for axis in axes]


def _coordinate(axis: Axis, value: Scalar) -> float | str:
    offered = str(value) in axis.choices if axis.choices else axis.low <= float(value) <= axis.high
    if not offered:
        raise ContradictionError(
            f"a trial has the {axis.name} {value!r}, which is not in the search space"
        )
    return str(value) if axis.choices else float(value)


def thinned(found: Samples, limit: int = 600) -> Samples:
    """At most `limit` of the trials: the best tenth of them, and the rest evenly by number."""
    frame = found.frame
    if len(frame) <= limit:
        return found
    ranked = frame.assign(other=frame.index != found.chosen).sort_values(["other", "height"])
    best = ranked.index[: limit // 10]
    rest = frame.index.difference(best)
    rest = rest[np.linspace(0, len(rest), limit - len(best), endpoint=False).astype(int)]
    kept = frame.index.isin(best.union(rest))
    return replace(
        found,
        frame=frame[kept],
        params=found.params[kept],
        num_left_out=found.num_left_out + len(frame) - limit,
    )
