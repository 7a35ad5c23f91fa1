"""A random forest of the reports of trials, and what it says of each hyperparameter alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweep.definitions import Scalar

__all__ = ["NUM_RESAMPLES", "Dependence", "Feature", "dependences"]

Floats = NDArray[np.float64]

NUM_RESAMPLES = 80
_NUM_TREES = 10  # for each resample; the forest of all is that of all resamples
_MIN_LEAF = 3  # rows
_MAX_GRID = 9
_MAX_AVERAGED = 40  # trials whose other hyperparameters a partial dependence is averaged over
_SEED = 0  # a study's report is the same twice


class Feature:
    """One hyperparameter of all trials: text, or numbers; None where it was not used."""

    def __init__(self, name: str, values: Sequence[Scalar | None], is_log: bool = False) -> None:
        self.name = name
        used = [value for value in values if value is not None]
        self.is_text = isinstance(used[0], str)
        self._is_log = is_log
        if self.is_text:
            self.grid: tuple[float | str, ...] = tuple(dict.fromkeys(map(str, used)))
            self._columns = np.array(
                [[value == choice for choice in self.grid] for value in values]
            )
        else:
            numbers = np.array(used, float)
            ends = np.linspace(0, 1, _MAX_GRID)
            self.grid = tuple(np.unique(np.quantile(numbers, ends, method="nearest")).tolist())
            below = numbers.min() - 1 - np.ptp(numbers)
            self._columns = np.array([[below if v is None else float(v)] for v in values])
        self._counts = [sum(value == one for value in used) for one in self.grid]

    def columns(self) -> Floats:
        """The inputs of the forest, `[trial, column]`: one for each text, or the number."""
        return self._columns.astype(float)

    def at(self, value: float | str) -> Floats:
        """The inputs for one value of the grid."""
        if self.is_text:
            return np.array([value == choice for choice in self.grid], float)
        return np.array([float(value)])

    def weights(self) -> Sequence[float]:
        """How much each value of the grid counts: texts as often as they were tried."""
        return self._counts if self.is_text else [1.0] * len(self.grid)


@dataclass(frozen=True, slots=True, eq=False)
class Dependence:
    """What a forest says of trials.

    Attributes:
        whole: By hyperparameter, the partial dependence at the end of a trial, `[grid]`.
        resampled: The same of each bootstrap resample of the trials, `[resample, grid]`.
        unseen: What the resamples without a trial predict for its end, by trial.
    """

    whole: dict[str, Floats]
    resampled: dict[str, Floats]
    unseen: tuple[float, ...]


def dependences(
    features: Sequence[Feature], curves: Sequence[Sequence[tuple[float, float]]]
) -> Dependence:
    """Partial dependences (Friedman 2001) in random forests (Breiman 2001) of bootstrap resamples.

    `curves` are each trial's points (share of its epochs, logarithm of its height). The share is an
    input, too, so that a trial that was pruned says what it can; all predictions are for the end.
    """
    random = np.random.default_rng(_SEED)
    inputs = np.hstack([feature.columns() for feature in features])
    owner = np.repeat(np.arange(len(curves)), [len(curve) for curve in curves])
    points = np.array([point for curve in curves for point in curve])
    rows = np.column_stack([inputs[owner], np.log(points[:, 0])])
    asked = _asked(features, inputs)
    questions = np.vstack([np.column_stack([inputs, np.zeros(len(inputs))]), asked])
    sums, counts = np.zeros(len(curves)), np.zeros(len(curves))
    answers = []
    for resample in range(NUM_RESAMPLES):
        drawn = np.bincount(random.integers(len(curves), size=len(curves)), minlength=len(curves))
        predicted = _predicted(rows, points[:, 1], drawn[owner].astype(float), questions, resample)
        left_out = drawn == 0
        sums[left_out] += predicted[: len(curves)][left_out]
        counts[left_out] += 1
        answers.append(predicted[len(curves) :])
    resampled = _by_feature(features, np.array(answers), len(asked))
    return Dependence(
        {name: curves.mean(axis=0) for name, curves in resampled.items()},
        resampled,
        tuple((sums / np.maximum(counts, 1)).tolist()),
    )


def _predicted(rows: Floats, targets: Floats, weights: Floats, asked: Floats, seed: int) -> Floats:
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(
        _NUM_TREES, min_samples_leaf=_MIN_LEAF, max_features=0.5, random_state=seed
    )
    kept = weights > 0
    forest.fit(rows[kept], targets[kept], sample_weight=weights[kept])
    predicted: Floats = forest.predict(asked)
    return predicted


def _averaged(num_trials: int) -> NDArray[np.intp]:
    return np.linspace(0, num_trials - 1, min(num_trials, _MAX_AVERAGED)).astype(int)


def _asked(features: Sequence[Feature], inputs: Floats) -> Floats:
    """Some trials with each value of each grid in place of their own, at the end of a trial."""
    others = inputs[_averaged(len(inputs))]
    blocks, first = [], 0
    for feature in features:
        for value in feature.grid:
            block = others.copy()
            own = feature.at(value)
            block[:, first : first + len(own)] = own
            blocks.append(block)
        first += len(feature.columns()[0])
    asked = np.vstack(blocks)
    return np.column_stack([asked, np.zeros(len(asked))])


def _by_feature(features: Sequence[Feature], answers: Floats, num_asked: int) -> dict[str, Floats]:
    """By hyperparameter, the mean answer for each value of its grid, `[resample, grid]`."""
    num_values = sum(len(feature.grid) for feature in features)
    means = answers.reshape(len(answers), num_values, num_asked // num_values).mean(axis=2)
    ends = np.cumsum([len(feature.grid) for feature in features])
    parts = np.split(means, ends[:-1], axis=1)
    return {feature.name: part for feature, part in zip(features, parts, strict=True)}
