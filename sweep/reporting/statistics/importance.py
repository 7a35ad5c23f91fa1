"""How much each hyperparameter decided whether a trial was among the best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweep.definitions import Scalar
from sweep.records import StudyRecord, TrialRecord, TrialState
from sweep.reporting.statistics.correction import SIGNIFICANCE, holm
from sweep.reporting.statistics.intervals import Interval
from sweep.reporting.statistics.ped_anova import divergences, grid_of
from sweep.space import SearchSpace, used_parameters

__all__ = ["Importances", "importances"]

Floats = NDArray[np.float64]

_MIN_TRIALS = 10
_MIN_TOP_TRIALS = 5  # PED-ANOVA's documentation: fewer make it unstable
_TOP_SHARE = 0.1
_NUM_RESAMPLES = 200
_NUM_SHUFFLES = 499
_CERTAIN = 0.975  # of the resamples
_SEED = 0  # of resamples and shuffles: a study's report is the same twice


@dataclass(frozen=True, slots=True)
class Importances:
    """How much each hyperparameter decided whether a trial was among the best.

    Attributes:
        shares: Of 1, largest first; None if the trials do not say.
        note: How the shares were found, or why there are none.
        intervals: 95% bootstrap intervals of the shares over trials.
        first_is_ahead: Whether the first has a larger share than the second in at least 97.5% of
            the resamples; otherwise the trials do not say which of them mattered more.
    """

    shares: dict[str, float] | None
    note: str
    intervals: dict[str, Interval] | None = None
    first_is_ahead: bool = False


def importances(record: StudyRecord, space: SearchSpace) -> Importances:
    """Importance of each sampled hyperparameter by PED-ANOVA (see `divergences`).

    The best COMPLETE trials are compared with all COMPLETE and pruned ones. A pruned trial counts
    as not among the best; its value is not used. Without the pruned trials, what every survivor
    shares would seem not to matter.

    Noise has shares, too, and the hyperparameters with the most values get the largest. So shares
    are given only if some hyperparameter sets the best trials apart more than values shuffled
    among the trials do (permutation test, Holm's correction).

    Raises:
        ContradictionError: a trial's hyperparameter is outside its domain.
    """
    complete = [trial for trial in record.ranked() if _is_finite(record.value(trial))]
    pruned = [trial for trial in record.trials if trial.state is TrialState.PRUNED]
    tried = _tried_values(space, [*complete, *pruned])
    reason = _too_little(space, len(complete), len(tried))
    if reason:
        return Importances(None, reason)
    values = np.array([record.value(trial) for trial in complete], float)
    top_share = max(_TOP_SHARE, _MIN_TOP_TRIALS / len(complete))
    num_trials = len(complete) + len(pruned)
    once = np.ones((1, num_trials))
    top = _top(values, once, top_share)
    num_top = int(top.sum())
    if num_top == len(complete):
        return Importances(None, "The trials do not differ enough in their values to say.")
    grids = [grid_of(space.sampled[name], chosen) for name, chosen in tried.items()]
    random = np.random.default_rng(_SEED)
    observed = divergences(grids, once, top)[0]
    shuffled = random.permuted(np.tile(top, (_NUM_SHUFFLES, 1)), axis=1)
    best = f"the best {num_top} of {len(complete)} COMPLETE trials"
    others = f" The {len(pruned)} pruned trials count as not among them." if pruned else ""
    if not _beats_chance(observed, divergences(grids, once, shuffled)):
        return Importances(
            None,
            f"Too few trials to say which matter more: no hyperparameter sets {best} apart by more "
            f"than chance would.{others}",
        )
    drawn = random.multinomial(num_trials, np.full(num_trials, 1 / num_trials), _NUM_RESAMPLES)
    weights = drawn.astype(np.float64)
    resampled = divergences(grids, weights, _top(values, weights, top_share))
    note = (
        f"PED-ANOVA: how differently {best} chose each hyperparameter, as shares of 100%.{others} "
        f"95% intervals are of {_NUM_RESAMPLES} bootstrap resamples of the trials. A description "
        "of these trials, not a law: the sampler prefers some values."
    )
    return _found(tuple(tried), observed, resampled, note)


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _tried_values(
    space: SearchSpace, trials: Sequence[TrialRecord]
) -> dict[str, tuple[Scalar | None, ...]]:
    """By name, each trial's value (None if unused) of the sampled parameters that varied."""
    used = [used_parameters(space, trial.params) for trial in trials]
    chosen = {
        name: tuple(
            trial.params[name] if name in names else None
            for trial, names in zip(trials, used, strict=True)
        )
        for name in space.sampled
    }
    return {name: values for name, values in chosen.items() if len({*values} - {None}) > 1}


def _too_little(space: SearchSpace, num_trials: int, num_varied: int) -> str | None:
    """Why there is nothing to find, or None."""
    if not space.sampled:
        return "Nothing was searched: every hyperparameter is fixed."
    if num_trials < _MIN_TRIALS:
        return f"Too few trials to say: {num_trials} COMPLETE, at least {_MIN_TRIALS} are needed."
    if num_varied < 2:
        return "Fewer than two hyperparameters took different values."
    return None


def _top(values: Floats, weights: Floats, share: float) -> Floats:
    """The weights of each resample's best trials, ties with the last included; 0 for the others.

    `values` are those of the COMPLETE trials, best first; `weights[resample, trial]` says how often
    each trial was drawn, the COMPLETE ones first; `share` of the COMPLETE trials counts as best.
    """
    complete = weights[:, : len(values)]
    num_best = np.ceil(share * complete.sum(axis=1, keepdims=True))
    last = (complete.cumsum(axis=1) >= num_best).argmax(axis=1)
    # The values are sorted, so all up to the last one that equals it are among the best.
    ends = np.array([np.flatnonzero(values == value)[-1] for value in values[last]])
    return np.where(np.arange(weights.shape[1]) <= ends[:, None], weights, 0.0)


def _beats_chance(observed: Floats, shuffled: Floats) -> bool:
    """Whether any hyperparameter's importance is more than shuffled values give it."""
    as_large = (shuffled >= observed * (1 - 1e-9)).sum(axis=0)
    return min(holm(list((1 + as_large) / (1 + len(shuffled))))) < SIGNIFICANCE


def _shares(divergence: Floats) -> Floats:
    """Shares of 1 for each resample, `[resample, hyperparameter]`.

    A resample in which nothing sets the best trials apart counts as equal shares, as in Optuna. To
    leave it out would make the intervals narrower than the trials allow.
    """
    total = divergence.sum(axis=1, keepdims=True)
    equal = np.full_like(divergence, 1 / divergence.shape[1])
    shares: Floats = np.divide(divergence, total, out=equal, where=total > 0)
    return shares


def _found(names: Sequence[str], observed: Floats, resampled: Floats, note: str) -> Importances:
    shares, all_shares = _shares(observed[None])[0], _shares(resampled)
    ends = np.quantile(all_shares, (0.025, 0.975), axis=0)
    # Drawing with replacement adds noise of its own, which drives shares together: an extreme
    # share can lie outside its own percentiles, and the interval is then extended to it.
    low, high = np.minimum(ends[0], shares), np.maximum(ends[1], shares)
    if np.all((low <= 1 / len(names)) & (high >= 1 / len(names))):
        note += (
            " Too few trials to say which matter more: every interval contains the equal share, "
            f"{100 / len(names):.0f}%."
        )
    order = sorted(range(len(names)), key=lambda index: -shares[index])
    first, second = all_shares[:, order[0]], all_shares[:, order[1]]
    return Importances(
        {names[index]: float(shares[index]) for index in order},
        note,
        {names[index]: Interval(float(low[index]), float(high[index])) for index in order},
        first_is_ahead=float(np.mean(first > second)) >= _CERTAIN,
    )
