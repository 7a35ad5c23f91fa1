"""What trials that stopped early would have ended with, which is what samplers learn from.

Optuna shows a sampler the last value of a stopped trial. Where most trials stop after an epoch,
TPE then learns which networks start fast. The forecast is a power law of the epochs, as learning
curves are (Domhan et al. 2015): the gap to a perfect value shrinks with `epochs ** -exponent`, and
the study's own curves tell the exponent.

A model that is told how far each trial was also sees what the trials that went on reported where
others stopped.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median

from optuna.trial import FrozenTrial, TrialState

from sweep.definitions import Params
from sweep.records import Objective, rung_epochs

__all__ = ["Forecast", "Observation", "is_observed"]

_EXPONENT = 0.5  # until curves tell another
_EXPONENT_WEIGHT = 1  # of so many curves
_LEAST_EPOCHS = 2  # of a curve that tells an exponent
_LEAST_GAP = 1e-4


@dataclass(frozen=True, slots=True)
class Observation:
    """How good a configuration seems after a part of its epochs.

    Attributes:
        share: Of its epochs, above 0 and up to 1.
        log_gap: Logarithm of the gap to a perfect value that the trial would end with.
    """

    params: Params
    share: float
    log_gap: float


@dataclass(frozen=True, slots=True)
class _Curve:
    """A trial's curve so far.

    Attributes:
        points: Shares of its epochs, ascending, and the gap from the best value up to there to a
            perfect one: at the rungs, and now.
        exponent: Of the power law through its first and its best value; None if it is too short.
    """

    num_reports: int
    points: tuple[tuple[float, float], ...]
    exponent: float | None


class Forecast:
    """Tells of stopped trials what they would have ended with.

    Args:
        objective: Of the study: a perfect value is 1 if it is maximized, and 0 otherwise.
        num_epochs: Of a trial with these values of the sampled parameters.
        rungs: Shares of a trial's epochs after which it may stop, as far as they are known.
    """

    def __init__(
        self,
        objective: Objective,
        num_epochs: Callable[[Params], int],
        rungs: tuple[float, ...] = (),
    ) -> None:
        self._is_maximized = objective.goal == "maximize"
        self._num_epochs = num_epochs
        self._rungs = rungs
        self._curves: dict[int, _Curve] = {}  # by the number of the trial

    def finished(self, trials: Iterable[FrozenTrial]) -> dict[int, FrozenTrial]:
        """The PRUNED trials that have reported, each as a COMPLETE one, by their numbers."""
        known = self._known(trials)
        exponent = _common_exponent(curve for _, curve in known)
        shown = {}
        for trial, curve in known:
            if trial.state is TrialState.PRUNED:
                share, gap = curve.points[-1]
                gap *= share**exponent
                finished = copy.copy(trial)
                finished.state = TrialState.COMPLETE
                finished.values = [1 - gap if self._is_maximized else gap]
                shown[trial.number] = finished
        return shown

    def observations(self, trials: Iterable[FrozenTrial]) -> list[Observation]:
        """What the trials that have not failed tell, also while they are under way."""
        known = self._known(filter(is_observed, trials))
        exponent = _common_exponent(curve for _, curve in known)
        return [
            Observation(trial.params, share, math.log(gap) + exponent * math.log(share))
            for trial, curve in known
            for share, gap in curve.points
        ]

    def _known(self, trials: Iterable[FrozenTrial]) -> list[tuple[FrozenTrial, _Curve]]:
        return [(trial, self._curve(trial)) for trial in trials if trial.intermediate_values]

    def _curve(self, trial: FrozenTrial) -> _Curve:
        reports = trial.intermediate_values
        curve = self._curves.get(trial.number)
        if curve is None or curve.num_reports != len(reports):
            curve = self._curves[trial.number] = self._read(reports, trial.params)
        return curve

    def _read(self, reports: dict[int, float], params: Params) -> _Curve:
        first, last = min(reports), max(reports)
        num_epochs = self._num_epochs(params)
        stops = [epoch for epoch in rung_epochs(self._rungs, num_epochs) if first <= epoch < last]
        points = tuple(
            (stop / num_epochs, min(self._gap(v) for epoch, v in reports.items() if epoch <= stop))
            for stop in (*stops, last)
        )
        exponent = None
        if last >= _LEAST_EPOCHS and last > first:
            gap = points[-1][1]
            exponent = math.log(self._gap(reports[first]) / gap) / math.log(last / first)
        return _Curve(len(reports), points, exponent)

    def _gap(self, value: float) -> float:
        return max(1 - value if self._is_maximized else value, _LEAST_GAP)


def is_observed(trial: FrozenTrial) -> bool:
    """Whether a trial is among the observations."""
    return bool(trial.intermediate_values) and trial.state is not TrialState.FAIL


def _common_exponent(curves: Iterable[_Curve]) -> float:
    exponents = [curve.exponent for curve in curves if curve.exponent is not None]
    learnt = median(exponents) * len(exponents) if exponents else 0.0
    return (learnt + _EXPONENT * _EXPONENT_WEIGHT) / (len(exponents) + _EXPONENT_WEIGHT)
