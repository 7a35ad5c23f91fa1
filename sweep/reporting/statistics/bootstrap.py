"""How far a metric depends on which examples were drawn: the bootstrap.

Shape legend: T networks, N examples, C classes, B resamples, K kinds of mistakes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweep.definitions import class_metrics
from sweep.reporting.statistics.intervals import Interval

__all__ = ["NUM_RESAMPLES", "Replicate", "replicates_of_losses", "replicates_of_predictions"]

NUM_RESAMPLES = 2000
_SEED = 2_000
_PIECE = 2**22  # counts of a piece of the resamples
_ROUNDING = 1e-12  # far below what a single example changes


@dataclass(frozen=True, slots=True)
class Replicate:
    """A metric of a network, and how it varies with the examples.

    The standard deviation of `draws` is the metric's standard error. The draws of networks that
    answered the same examples are paired: they are of the same resamples.
    """

    value: float
    draws: NDArray[np.floating]

    @property
    def error(self) -> float:
        """The metric's standard error."""
        return _error(self.draws)

    def interval(self, *, highest: float) -> Interval | None:
        """The standard 95% interval, cut at 0 and `highest`; None if all resamples are alike."""
        half = 1.96 * self.error
        low, high = max(self.value - half, 0.0), min(self.value + half, highest)
        return Interval(low, high) if half else None

    def p_value(self, other: Replicate) -> float:
        """Two-sided p-value: does another network differ on the same examples?

        By the normal approximation with the bootstrap's standard error of the difference (Efron &
        Tibshirani 1993, chapter 12). Counting resamples gives no p-value below 1 / 2,000, which
        is too coarse to correct for all pairs of 64 trials.
        """
        difference, error = self.value - other.value, self.error_against(other)
        if not error:
            return 1.0 if abs(difference) < _ROUNDING else 0.0
        return math.erfc(abs(difference) / error / math.sqrt(2))

    def error_against(self, other: Replicate) -> float:
        """Standard error of the difference from another network on the same examples."""
        return _error(self.draws - other.draws)


def _error(draws: NDArray[np.floating]) -> float:
    """Standard deviation, or 0 if the draws differ by rounding alone."""
    error = float(np.std(draws, dtype=np.float64))
    return error if error > _ROUNDING else 0.0


def replicates_of_losses(losses: Mapping[int, NDArray[np.float32]]) -> dict[int, Replicate]:
    """Mean losses by network, from the losses of its examples, shape (N,).

    The standard error of a mean over infinitely many resamples is known without drawing one: the
    deviation of the losses divided by the root of N (Efron & Tibshirani 1993, chapter 5).
    """
    means = {network: float(own.mean(dtype=np.float64)) for network, own in losses.items()}
    return {
        network: Replicate(means[network], own / np.float32(math.sqrt(len(own))))
        for network, own in losses.items()
    }


def replicates_of_predictions(
    metric: str,
    labels: NDArray[np.int64],
    predictions: Mapping[int, NDArray[np.int64]],
    num_classes: int,
) -> dict[int, Replicate]:
    """A metric of `class_metrics` by network, computed again for each of 2,000 resamples.

    `labels` and the `predictions` of each network have shape (N,). The resamples depend on N
    alone. The counts of each class in a resample follow from the mistakes, which are few: only
    they are added up.
    """
    if not predictions:
        return {}
    num_examples = len(labels)
    random = np.random.default_rng(_SEED)
    draws = np.empty((len(predictions), NUM_RESAMPLES))
    size = max(1, _PIECE // num_examples)
    answers = list(predictions.values())
    for start in range(0, NUM_RESAMPLES, size):
        weights = _weights(random, num_examples, min(size, NUM_RESAMPLES - start))
        for row, values in zip(
            draws, _weighted(metric, labels, answers, num_classes, weights), strict=True
        ):
            row[start : start + size] = values
    once = np.ones((num_examples, 1), np.int32)
    measured = _weighted(metric, labels, answers, num_classes, once)
    return {
        network: Replicate(float(value), row)
        for network, (value,), row in zip(predictions, measured, draws, strict=True)
    }


def _weights(random: np.random.Generator, num_examples: int, size: int) -> NDArray[np.integer]:
    """How often each of `size` resamples draws each example, shape (N, size)."""
    weights = np.empty((size, num_examples), np.int16 if num_examples < 2**15 else np.int32)
    for row in weights:
        row[:] = np.bincount(
            random.integers(num_examples, size=num_examples), minlength=num_examples
        )
    return np.ascontiguousarray(weights.T)


def _weighted(
    metric: str,
    labels: NDArray[np.int64],
    predictions: Sequence[NDArray[np.int64]],
    num_classes: int,
    weights: NDArray[np.integer],
) -> Iterable[NDArray[np.float64]]:
    """Yield the metric of each network in each resample, shape (B,)."""
    true = _sums(labels, weights, num_classes)
    for predicted in predictions:
        wrong = np.flatnonzero(predicted != labels)
        kinds, kind = np.unique(labels[wrong] * num_classes + predicted[wrong], return_inverse=True)
        mistakes = _sums(kind, weights, len(kinds), wrong)
        right = true - _sums(kinds // num_classes, mistakes, num_classes)
        called = right + _sums(kinds % num_classes, mistakes, num_classes)
        counts = (array.T.astype(np.float64) for array in (right, true, called))
        yield class_metrics(*counts)[metric]


def _sums(
    groups: NDArray[np.int64],
    weights: NDArray[np.integer],
    num_groups: int,
    rows: NDArray[np.int64] | None = None,
) -> NDArray[np.integer]:
    """Sums of those rows of `weights` (all if None) that belong to each group."""
    from scipy.sparse import csr_array  # a tenth of a second, which not every command needs

    rows = np.arange(len(groups)) if rows is None else rows
    ones = np.ones(len(groups), weights.dtype)
    member = csr_array((ones, (groups, rows)), shape=(num_groups, len(weights)))
    sums: NDArray[np.integer] = member @ weights
    return sums
