"""Which hyperparameters each trial had, and what came of it. Draws nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sweep.definitions import Scalar
from sweep.errors import ContradictionError
from sweep.records import StudyRecord, TrialState
from sweep.reporting.series.measure import Measure, finite_value
from sweep.space import Choices, Range, SearchSpace, used_parameters

__all__ = ["Axis", "Sample", "Samples", "samples", "thinned"]


@dataclass(frozen=True, slots=True)
class Axis:
    """One sampled hyperparameter.

    Attributes:
        name: Its name.
        choices: Its values if it was one of several, otherwise empty.
        low: The smallest value of a range.
        high: The largest value of a range.
        log: Whether a range was sampled evenly in the logarithm.
        whole: Whether a range holds whole numbers only.
    """

    name: str
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """One trial: where it stands on each axis (None if unused), and its height."""

    number: int
    state: TrialState
    shown: float
    coordinates: tuple[float | str | None, ...]


@dataclass(frozen=True, slots=True)
class Samples:
    """Trials that have a value, with their sampled hyperparameters.

    Attributes:
        label: What the heights mean.
        axes: The sampled hyperparameters.
        samples: The trials by number.
        best: Number of the chosen one, or None.
        num_left_out: Trials that have a value and are not among `samples`.
    """

    label: str
    axes: tuple[Axis, ...]
    samples: tuple[Sample, ...]
    best: int | None
    num_left_out: int = 0


def samples(record: StudyRecord, space: SearchSpace) -> Samples | None:
    """Every trial that has a value, with its sampled hyperparameters.

    None if nothing was sampled or fewer than two trials have a value.

    Raises:
        ContradictionError: a value was not to be chosen.
    """
    measure = Measure.of(record)
    axes = tuple(_axis(name, domain) for name, domain in space.sampled.items())
    found: list[Sample] = []
    for trial in record.trials:
        value = finite_value(record, trial)
        if value is not None:
            used = used_parameters(space, trial.params)
            coordinates = tuple(
                _coordinate(axis, trial.params[axis.name]) if axis.name in used else None
                for axis in axes
            )
            found.append(Sample(trial.number, trial.state, measure.shown(value), coordinates))
    if not axes or len(found) < 2:
        return None
    return Samples(measure.label, axes, tuple(found), record.best.number if record.best else None)


def _axis(name: str, domain: Range[Any, Any] | Choices[Any]) -> Axis:
    if isinstance(domain, Choices):
        return Axis(name, choices=tuple(map(str, domain.choices)))
    return Axis(
        name,
        low=float(domain.low),
        high=float(domain.high),
        log=domain.log,
        whole=isinstance(domain.low, int),
    )


def _coordinate(axis: Axis, value: Scalar) -> float | str:
    coordinate = str(value) if axis.choices else float(value)
    offered = (
        coordinate in axis.choices
        if isinstance(coordinate, str)
        else axis.low <= coordinate <= axis.high
    )
    if not offered:
        raise ContradictionError(
            f"a trial has the {axis.name} {value!r}, which was not to be chosen"
        )
    return coordinate


def thinned(found: Samples, limit: int = 600) -> Samples:
    """At most so many of the trials: the best tenth of them, and the rest evenly by number.

    Args:
        found: The trials.
        limit: How many lines a figure can show, at least 10.
    """
    if len(found.samples) <= limit:
        return found
    ranked = sorted(found.samples, key=lambda sample: (sample.number != found.best, sample.shown))
    num_best = limit // 10
    kept = {sample.number for sample in ranked[:num_best]}
    rest = [sample for sample in found.samples if sample.number not in kept]
    share = len(rest) / (limit - num_best)
    kept |= {rest[int(index * share)].number for index in range(limit - num_best)}
    shown = tuple(sample for sample in found.samples if sample.number in kept)
    left_out = found.num_left_out + len(found.samples) - len(shown)
    return replace(found, samples=shown, num_left_out=left_out)
