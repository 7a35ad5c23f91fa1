"""How much each hyperparameter decided how good a trial was, and in which direction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sweep.definitions import Scalar
from sweep.records import StudyRecord, TrialRecord, TrialState
from sweep.reporting.statistics.forest import NUM_RESAMPLES, Dependence, Feature, dependences
from sweep.reporting.statistics.intervals import Interval
from sweep.reporting.statistics.values import heights
from sweep.space import Choices, SearchSpace, used_parameters

__all__ = ["Effect", "Importances", "importances"]

Floats = NDArray[np.float64]

_MIN_TRIALS = 10
_MAX_TRIALS = 300  # a forest of more would take minutes
_CERTAIN = 0.975  # of the resamples
_SIGNIFICANCE = 0.05


@dataclass(frozen=True, slots=True)
class Effect:
    """What a hyperparameter did on average over the others: its partial dependence.

    Attributes:
        grid: Values of the hyperparameter; choices as text.
        heights: At each of them, the mean height at the end of a trial (see `heights`: lower is
            better), and its 95% interval in `low` and `high`.
        best: Where the lowest height is in at least 97.5% of the resamples: `higher`, `lower` or
            `middle` values of a range, or the choice; empty if the trials do not say.
    """

    grid: tuple[float | str, ...]
    heights: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    best: str


@dataclass(frozen=True, slots=True)
class Importances:
    """How much each hyperparameter decided how good a trial was.

    Attributes:
        shares: Of 1, largest first; None if the trials do not say.
        note: How the shares were found, or why there are none.
        intervals: 95% bootstrap intervals of the shares over trials.
        first_is_ahead: Whether the first has a larger share than the second in at least 97.5% of
            the resamples; otherwise the trials do not say which of them mattered more.
        effects: Of each hyperparameter that has a share.
    """

    shares: dict[str, float] | None
    note: str
    intervals: dict[str, Interval] | None = None
    first_is_ahead: bool = False
    effects: dict[str, Effect] = field(default_factory=dict)


def importances(record: StudyRecord, space: SearchSpace) -> Importances:
    """Importance and effect of each sampled hyperparameter.

    A random forest (see `dependences`) learns the reports of all COMPLETE and pruned trials. The
    importance of a hyperparameter is the variance of its partial dependence at the end of a trial,
    as a share of that of all (functional ANOVA's main effects; Hutter, Hoos & Leyton-Brown 2014).

    Noise has shares, too. So they are given only if the forest also puts trials that it has not
    seen into an order like their own (Spearman's rank correlation, one-sided).
    """
    ordered = _in_order(record)
    trials = _thinned(ordered)
    features = _features(space, trials)
    reason = _too_little(space, len(trials), len(features))
    if reason:
        return Importances(None, reason)
    found = dependences(features, [_curve(record, trial) for trial in trials])
    if not _beats_chance(found.unseen):
        return Importances(
            None,
            "Too few trials to say: the hyperparameters do not predict how good trials are that "
            "the model has not seen.",
        )
    return _described(features, found, _count_words(len(trials), len(ordered)))


def _in_order(record: StudyRecord) -> list[TrialRecord]:
    """All trials with a value, best first; pruned ones by how far they came, then by value."""

    def place(trial: TrialRecord) -> tuple[float, float]:
        return -_share(trial, trial.epochs_run), sign * (record.value(trial) or 0.0)

    sign = -1 if record.objective.goal == "maximize" else 1
    complete = [trial for trial in record.ranked() if _is_finite(record.value(trial))]
    pruned = [
        trial
        for trial in record.trials
        if trial.state is TrialState.PRUNED and _is_finite(record.value(trial))
    ]
    return [*complete, *sorted(pruned, key=place)]


def _thinned(trials: list[TrialRecord]) -> list[TrialRecord]:
    """As many as a forest can learn in a second, evenly from the best to the worst."""
    if len(trials) <= _MAX_TRIALS:
        return trials
    return [trials[int(place)] for place in np.linspace(0, len(trials) - 1, _MAX_TRIALS)]


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _share(trial: TrialRecord, epoch: int) -> float:
    """How much of a trial's epochs had passed after one of them."""
    return epoch / max(1, trial.epochs_run + trial.epochs_left)


def _curve(record: StudyRecord, trial: TrialRecord) -> list[tuple[float, float]]:
    """Shares of a trial's epochs and the logarithm of its lowest height up to there.

    The first, second, fourth ... report and the last: later ones differ little from those before.
    """
    history = trial.outcome.history if trial.outcome else ()
    values = [record.objective.value(metrics) for metrics in history]
    lowest = np.fmin.accumulate(heights(values, record.objective.metric, record))
    places = {2**power - 1 for power in range(len(history).bit_length())} | {len(history) - 1}
    return [
        (_share(trial, history[place].epoch), math.log(lowest[place]))
        for place in sorted(places)
        if 0 <= place < len(history) and math.isfinite(lowest[place])
    ]


def _features(space: SearchSpace, trials: Sequence[TrialRecord]) -> list[Feature]:
    """The sampled hyperparameters that varied among these trials."""
    used = [used_parameters(space, trial.params) for trial in trials]
    features = []
    for name, domain in space.sampled.items():
        values = [
            trial.params[name] if name in names else None
            for trial, names in zip(trials, used, strict=True)
        ]
        if len({*values} - {None}) > 1:
            is_log = not isinstance(domain, Choices) and domain.log
            features.append(
                Feature(name, _texts(values) if isinstance(domain, Choices) else values, is_log)
            )
    return features


def _texts(values: Sequence[Scalar | None]) -> list[Scalar | None]:
    return [None if value is None else str(value) for value in values]


def _too_little(space: SearchSpace, num_trials: int, num_varied: int) -> str | None:
    """Why there is nothing to find, or None."""
    if not space.sampled:
        return "Nothing was searched: every hyperparameter is fixed."
    if num_trials < _MIN_TRIALS:
        return f"Too few trials to say: {num_trials} have a value, {_MIN_TRIALS} are needed."
    if num_varied < 2:
        return "Fewer than two hyperparameters took different values."
    return None


def _beats_chance(unseen: Sequence[float]) -> bool:
    """Whether predictions for unseen trials, best first, rise more than chance would have it."""
    from scipy.stats import spearmanr

    if len(set(unseen)) < 2:
        return False
    test = spearmanr(range(len(unseen)), unseen, alternative="greater")
    return bool(test.pvalue < _SIGNIFICANCE)


def _count_words(used: int, of: int) -> str:
    """How many trials the forest learnt: `300 of 10,000 trials`."""
    return f"{used} trials" if used == of else f"{used} of {of:,} trials"


def _described(features: Sequence[Feature], found: Dependence, trials: str) -> Importances:
    names = [feature.name for feature in features]
    variances = np.array([[_variance(feature, curve) for curve in found.resampled[feature.name]]
                          for feature in features]).T  # fmt: skip
    all_shares = _shares(variances)
    shares = _shares(np.array([[_variance(f, found.whole[f.name]) for f in features]]))[0]
    ends = np.quantile(all_shares, (0.025, 0.975), axis=0)
    # Drawing with replacement adds noise of its own, which drives shares together: an extreme
    # share can lie outside its own percentiles, and the interval is then extended to it.
    low, high = np.minimum(ends[0], shares), np.maximum(ends[1], shares)
    note = (
        f"Share of the variance of {trials} that each hyperparameter explains alone, in "
        f"a random forest of their reports; 95% intervals by {NUM_RESAMPLES} bootstrap resamples. "
        "A description of these trials, not a law: the sampler prefers some values."
    )
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
        effects={feature.name: _effect(feature, found) for feature in features},
    )


def _variance(feature: Feature, curve: Floats) -> float:
    weights = feature.weights()
    mean = np.average(curve, weights=weights)
    return float(np.average((curve - mean) ** 2, weights=weights))


def _shares(variances: Floats) -> Floats:
    """Shares of 1 for each resample, `[resample, hyperparameter]`; equal if nothing has any."""
    total = variances.sum(axis=1, keepdims=True)
    equal = np.full_like(variances, 1 / variances.shape[1])
    shares: Floats = np.divide(variances, total, out=equal, where=total > 0)
    return shares


def _effect(feature: Feature, found: Dependence) -> Effect:
    curves, whole = found.resampled[feature.name], found.whole[feature.name]
    low, high = np.quantile(curves, (0.025, 0.975), axis=0)
    places = [_place(feature, int(index)) for index in curves.argmin(axis=1)]
    best = max(sorted(set(places)), key=places.count)
    return Effect(
        grid=feature.grid,
        heights=tuple(np.exp(whole).tolist()),
        low=tuple(np.exp(np.minimum(low, whole)).tolist()),
        high=tuple(np.exp(np.maximum(high, whole)).tolist()),
        best=best if places.count(best) >= _CERTAIN * len(places) else "",
    )


def _place(feature: Feature, index: int) -> str:
    """Where on its grid a hyperparameter's value is."""
    if feature.is_text:
        return str(feature.grid[index])
    third = 3 * index // len(feature.grid)
    return ("lower", "middle", "higher")[third]
