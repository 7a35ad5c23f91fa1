"""Which hyperparameters acted together rather than each by itself. Draws nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sweep.definitions import Scalar
from sweep.errors import ContradictionError
from sweep.records import StudyRecord
from sweep.reporting.statistics.importance import Importances
from sweep.reporting.statistics.tried import tried_values
from sweep.space import Choices, Range, SearchSpace

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestRegressor

__all__ = ["Interactions", "interactions"]

Floats = NDArray[np.float64]
Cells = NDArray[np.intp]

_MIN_TRIALS = 30
_MAX_TRIALS = 2000
_MAX_SHOWN = 6
_MAX_CELLS = 12
_MIN_PREDICTED = 0.3
_NUM_TREES = 100
_NUM_SAMPLES = 4096
_SEED = 0  # a study's report is the same twice


@dataclass(frozen=True, slots=True)
class Interactions:
    """How strongly each pair of hyperparameters acted together.

    Attributes:
        names: The hyperparameters, most important first; empty if the trials do not say.
        strengths: Square and symmetric: of the variance that a model of the value explains, the
            share that a pair explains beyond its two members alone, 0 to 1; zero on the diagonal.
        note: How the strengths were found and how far to trust them, or why there are none.
    """

    names: tuple[str, ...]
    strengths: tuple[tuple[float, ...], ...]
    note: str


@dataclass(frozen=True, slots=True)
class _Leaves:
    """The leaves of all trees of a forest: boxes of cells, and what they predict.

    Attributes:
        inside: For each hyperparameter whether a leaf holds a cell, `[leaf, cell]`, 0 or 1.
        covered: Share of each hyperparameter's trials that a leaf holds, `[leaf, name]`.
        values: Share of each leaf in the forest's prediction, which is on average 0.
    """

    inside: tuple[Floats, ...]
    covered: Floats
    values: Floats

    def effect(self, *names: int) -> Floats:
        """Mean prediction for each cell, or pair of cells, of one or two hyperparameters."""
        others = np.delete(self.covered, names, axis=1).prod(axis=1) * self.values
        first = self.inside[names[0]] * others[:, None]
        effect: Floats = first.T @ self.inside[names[1]] if len(names) > 1 else first.sum(axis=0)
        return effect


def interactions(record: StudyRecord, space: SearchSpace, importances: Importances) -> Interactions:
    """Functional ANOVA of a random forest (Hutter, Hoos & Leyton-Brown, ICML 2014).

    The forest predicts the value from all hyperparameters that varied. Its variance is taken over
    hyperparameters drawn independently of each other, each as the trials chose it: drawn evenly
    from the space, most would lie where no trial was and the forest can only guess (Hooker 2007).
    Pruned trials are left out, because their values are those of an earlier epoch.

    Args:
        record: The study.
        space: Its search space.
        importances: Which hyperparameters to show; the forest's own choice if it has no shares.

    Raises:
        ContradictionError: a trial's hyperparameter is none of its choices.
    """
    scored = [
        (trial, value)
        for trial in record.ranked()
        if (value := record.value(trial)) is not None and math.isfinite(value)
    ]
    num_complete = len(scored)
    if num_complete < _MIN_TRIALS:
        return _none(
            f"Too few trials to say which hyperparameters act together: {num_complete} COMPLETE, "
            f"at least {_MIN_TRIALS} are needed."
        )
    random = np.random.default_rng(_SEED)
    if num_complete > _MAX_TRIALS:
        scored = [scored[i] for i in random.choice(num_complete, _MAX_TRIALS, replace=False)]
    tried = tried_values(space, [trial for trial, _ in scored])
    if len(tried) < 2:
        return _none("Fewer than two hyperparameters took different values.")
    values = np.array([value for _, value in scored])
    cells = np.column_stack(
        [_cells(space.sampled[name], chosen, random) for name, chosen in tried.items()]
    )
    forest = _forest(cells, values)
    predicted = f"{100 * max(0.0, forest.oob_score_):.0f} %"
    if not forest.oob_score_ >= _MIN_PREDICTED:
        return _none(
            f"The {num_complete} COMPLETE trials do not say which hyperparameters act together: a "
            f"random forest predicts {predicted} of the variance of values that it has not seen, "
            f"and at least {100 * _MIN_PREDICTED:.0f} % are needed."
        )
    names = list(tried)
    shown = _shown(names, importances, forest.feature_importances_)
    strengths = _strengths(forest, cells, values, [names.index(name) for name in shown])
    drawn = f"{len(values)} drawn at random from " if num_complete > len(values) else ""
    return Interactions(
        tuple(shown),
        tuple(tuple(map(float, row)) for row in strengths),
        f"Functional ANOVA of a random forest on {drawn}{num_complete} COMPLETE trials, which "
        f"predicts {predicted} of the variance of values that it has not seen: shares of the "
        "forest's variance that a pair explains beyond its two members alone. Less than 5 % is "
        "found where nothing acts together, too. A description of these trials, not a law.",
    )


def _none(reason: str) -> Interactions:
    return Interactions((), (), reason)


def _cells(
    domain: Range[Any, Any] | Choices[Any],
    chosen: Sequence[Scalar | None],
    random: np.random.Generator,
) -> Cells:
    """A number from 0 for each trial: its choice, or its place among the others' values.

    A hyperparameter that a trial did not use had no effect, so any value may stand for it. It is
    drawn from those of the other trials: a value of its own would tell the forest on what the
    condition depends, and one hyperparameter's effect would be taken for another's.
    """
    used = np.array([value is not None for value in chosen])
    cells = np.zeros(len(chosen), int)
    if isinstance(domain, Choices) and not all(isinstance(v, int | float) for v in domain.choices):
        places = {choice: place for place, choice in enumerate(domain.choices)}
        missing = [value for value in chosen if value is not None and value not in places]
        if missing:
            raise ContradictionError(
                f"a trial has the value {missing[0]!r}, which was not to be chosen"
            )
        cells[used] = [places[value] for value in chosen if value is not None]
    else:
        cells[used] = _ranks(np.array([value for value in chosen if value is not None], float))
    cells[~used] = random.choice(cells[used], int((~used).sum()))
    return cells


def _ranks(values: Floats) -> Cells:
    """Places among the different values; neighbours share one where there are many.

    Trees only look at the order, so that logarithms are not needed.
    """
    different = np.unique(values)
    if len(different) <= _MAX_CELLS:
        return np.searchsorted(different, values)
    borders = np.quantile(values, np.arange(1, _MAX_CELLS) / _MAX_CELLS)
    return np.searchsorted(borders, values, side="right")


def _forest(cells: Cells, values: Floats) -> RandomForestRegressor:
    from sklearn.ensemble import RandomForestRegressor  # a second, which few commands need

    forest = RandomForestRegressor(
        _NUM_TREES, min_samples_leaf=2, oob_score=True, random_state=_SEED, n_jobs=1
    )
    return forest.fit(cells, values)


def _shown(names: Sequence[str], importances: Importances, weights: Floats) -> list[str]:
    """The most important hyperparameters, most important first."""
    if importances.shares is not None:
        ordered = [name for name in importances.shares if name in names]
    else:
        ordered = [names[index] for index in np.argsort(-weights, kind="stable")]
    return ordered[:_MAX_SHOWN]


def _strengths(
    forest: RandomForestRegressor, cells: Cells, values: Floats, shown: Sequence[int]
) -> Floats:
    """Share of the forest's variance that each pair explains beyond its members."""
    num_cells = cells.max(axis=0) + 1
    weights = [
        np.bincount(column, minlength=size) / len(cells)
        for column, size in zip(cells.T, num_cells, strict=True)
    ]
    leaves = _leaves(forest, weights, float(values.mean()))
    mean = float((leaves.covered.prod(axis=1) * leaves.values).sum())
    random = np.random.default_rng(_SEED)
    samples = np.column_stack(
        [random.choice(len(share), _NUM_SAMPLES, p=share) for share in weights]
    )
    variance = float(forest.predict(samples).var())
    strengths = np.zeros((len(shown), len(shown)))
    for (row, first), (column, second) in combinations(enumerate(shown), 2):
        alone = leaves.effect(first)[:, None] + leaves.effect(second)[None, :] - mean
        joint = leaves.effect(first, second) - alone
        explained = weights[first] @ joint**2 @ weights[second]
        share = min(1.0, float(explained) / variance) if variance > 0 else 0.0
        strengths[row, column] = strengths[column, row] = share
    return strengths


def _leaves(forest: RandomForestRegressor, weights: Sequence[Floats], mean: float) -> _Leaves:
    last = np.array([len(share) - 1 for share in weights])
    boxes = [_boxes(tree.tree_, last) for tree in forest.estimators_]
    low, high, values = (np.concatenate(parts) for parts in zip(*boxes, strict=True))
    inside = tuple(
        _between(low[:, [index]], np.arange(end + 1), high[:, [index]])
        for index, end in enumerate(last)
    )
    covered = np.column_stack([held @ share for held, share in zip(inside, weights, strict=True)])
    return _Leaves(inside, covered, (values - mean) / len(boxes))


def _between(low: Cells, cells: Cells, high: Cells) -> Floats:
    return ((low <= cells) & (cells <= high)).astype(np.float64)


def _boxes(tree: Any, last: Cells) -> tuple[Cells, Cells, Floats]:
    """First and last cell of each leaf, `[leaf, name]`, and what each leaf predicts."""
    low = np.zeros((tree.node_count, len(last)), int)
    high = np.tile(last, (tree.node_count, 1))
    left, right, feature = tree.children_left, tree.children_right, tree.feature
    border = np.floor(tree.threshold).astype(int)
    for node in np.flatnonzero(left >= 0):  # parents come before their children
        for child in (left[node], right[node]):
            low[child], high[child] = low[node], high[node]
        high[left[node], feature[node]] = border[node]
        low[right[node], feature[node]] = border[node] + 1
    is_leaf = left < 0
    return low[is_leaf], high[is_leaf], tree.value[is_leaf, 0, 0]
