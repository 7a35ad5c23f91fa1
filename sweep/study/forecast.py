"""What trials that stopped early would have ended with, which is what samplers learn from.

Optuna shows a sampler the last value of a stopped trial. Where most trials stop after an epoch,
TPE then learns which networks start fast. The forecast is a power law of the epochs, as learning
curves are (Domhan et al. 2015): the gap to a perfect value shrinks with `epochs ** -exponent`, and
the study's own curves tell the exponent.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median

from optuna.trial import FrozenTrial, TrialState

from sweep.definitions import Params
from sweep.records import Objective

__all__ = ["Forecast"]

_EXPONENT = 0.5  # until curves tell another
_EXPONENT_WEIGHT = 1  # of so many curves
_LEAST_EPOCHS = 2  # of a curve that tells an exponent
_LEAST_GAP = 1e-4


@dataclass(frozen=True, slots=True)
class _Curve:
    """A trial's curve so far.

    Attributes:
        gap: From the best value so far to a perfect one.
        share: Of the trial's epochs, that are behind it.
        exponent: Of the power law through its first and its best value; None if it is too short.
    """

    num_reports: int
    gap: float
    share: float
    exponent: float | None


class Forecast:
    """Shows stopped trials as if they had run to their end.

    Args:
        objective: Of the study: a perfect value is 1 if it is maximized, and 0 otherwise.
        num_epochs: Of a trial with these values of the sampled parameters.
    """

    def __init__(self, objective: Objective, num_epochs: Callable[[Params], int]) -> None:
        self._is_maximized = objective.goal == "maximize"
        self._num_epochs = num_epochs
        self._curves: dict[int, _Curve] = {}  # by the number of the trial

    def finished(self, trials: Iterable[FrozenTrial]) -> dict[int, FrozenTrial]:
        """The PRUNED trials that have reported, each as a COMPLETE one, by their numbers."""
        known = [(trial, self._curve(trial)) for trial in trials if trial.intermediate_values]
        exponents = [curve.exponent for _, curve in known if curve.exponent is not None]
        learnt = median(exponents) * len(exponents) if exponents else 0.0
        exponent = (learnt + _EXPONENT * _EXPONENT_WEIGHT) / (len(exponents) + _EXPONENT_WEIGHT)
        shown = {}
        for trial, curve in known:
            if trial.state is TrialState.PRUNED:
                gap = curve.gap * curve.share**exponent
                finished = copy.copy(trial)
                finished.state = TrialState.COMPLETE
                finished.values = [1 - gap if self._is_maximized else gap]
                shown[trial.number] = finished
        return shown

    def _curve(self, trial: FrozenTrial) -> _Curve:
        reports = trial.intermediate_values
        curve = self._curves.get(trial.number)
        if curve is None or curve.num_reports != len(reports):
            curve = self._curves[trial.number] = self._read(reports, trial.params)
        return curve

    def _read(self, reports: dict[int, float], params: Params) -> _Curve:
        first, last = min(reports), max(reports)
        gap = min(map(self._gap, reports.values()))
        exponent = None
        if last >= _LEAST_EPOCHS and last > first:
            exponent = math.log(self._gap(reports[first]) / gap) / math.log(last / first)
        return _Curve(len(reports), gap, last / self._num_epochs(params), exponent)

    def _gap(self, value: float) -> float:
        return max(1 - value if self._is_maximized else value, _LEAST_GAP)
