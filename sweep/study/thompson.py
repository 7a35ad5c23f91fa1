"""The sampler `gp`: Thompson sampling (Thompson 1933) with a Gaussian process.

What is modelled is the logarithm of the gap to a perfect value, at the end of a trial and after
parts of it: the share of the epochs is one more parameter, so that the model learns which
configurations only start fast. Of each trial a function is drawn from the posterior, and the
configuration that it likes best is tried. Draws differ where little is known, so that trials under
way need not be known to keep away from them.

Shape legend: N observations, M candidates, P sampled parameters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from sweep.definitions import Scalar
from sweep.space import Choices, Range
from sweep.study.cube import Cube
from sweep.study.forecast import Observation
from sweep.study.gaussian_process import GaussianProcess

__all__ = ["propose"]

Array = NDArray[np.float64]

_MOST_OBSERVATIONS = 100  # what a proposal costs grows with their cube
_WORST = 2.0  # bad values count no worse: where they differ does not matter
_NUM_RANDOM = 300
_NUM_BEST, _NUM_NEAR = 5, 40  # so many candidates near each of the best
_CHANGED, _REDRAWN, _STEP = 0.3, 0.2, 0.1  # shares of parameters, and of the cube
_SHARE_LENGTH = 3.0  # of logarithms of shares that are as far apart as the ends of a parameter


def propose(
    domains: Mapping[str, Range | Choices],
    observations: Sequence[Observation],
    seed: int,
    *,
    is_noisy: bool,
) -> Iterator[dict[str, Scalar]]:
    """Configurations to try next, the best first, with values of all parameters.

    None of them has been observed: it would be a copy, or the same training once more.

    Args:
        domains: Of the sampled parameters.
        observations: At least one.
        seed: Of all random numbers.
        is_noisy: Whether the same configuration may end with another value.
    """
    cube = Cube(domains)
    # Matrices are small: with cores that are busy, a second thread makes them fifty times slower.
    with _thread_pools().limit(limits=1, user_api="blas"):
        candidates = _ranked(cube, _chosen(observations), seed, is_noisy=is_noisy)
    for candidate in candidates:
        params = cube.params(candidate)
        if not any(known.params.items() <= params.items() for known in observations):
            yield params


@cache
def _thread_pools() -> ThreadpoolController:
    return ThreadpoolController()


def _ranked(cube: Cube, known: Sequence[Observation], seed: int, *, is_noisy: bool) -> Array:
    """Points (M, P) of the cube, best first by a function drawn from the posterior."""
    generator = np.random.default_rng(seed)
    points = np.stack([cube.point(each.params) for each in known])
    shares = np.array([each.share for each in known])
    num_parameters = points.shape[1]
    model = GaussianProcess(
        _features(cube, points, shares),
        _standardised(np.array([each.log_gap for each in known])),
        np.append(cube.owners, num_parameters),
        is_noisy=is_noisy,
    )
    expected = model.means(_features(cube, points))
    best = points[np.argsort(expected)[:_NUM_BEST]]
    random = generator.random((_NUM_RANDOM, num_parameters))
    candidates = np.concatenate([random, _near(best, generator)])
    found: Array = candidates[np.argsort(model.sample(_features(cube, candidates), generator))]
    return found


def _chosen(observations: Sequence[Observation]) -> Sequence[Observation]:
    """All observations or, if there are too many, the best and the latest of the others."""
    if len(observations) <= _MOST_OBSERVATIONS:
        return observations
    order = sorted(range(len(observations)), key=lambda row: observations[row].log_gap)
    half = _MOST_OBSERVATIONS // 2
    rows = {*order[:half], *sorted(order[half:])[-half:]}
    return [observations[row] for row in sorted(rows)]


def _features(cube: Cube, points: Array, shares: Array | None = None) -> Array:
    """Of points (M, P) of the cube, after shares (M,) of the epochs, or all."""
    logs = np.zeros(len(points)) if shares is None else np.log(shares) / _SHARE_LENGTH
    return np.column_stack([cube.features(points), logs])


def _standardised(values: Array) -> Array:
    """Values (N,) with mean 0 and deviation 1, of which the good half decides what is bad."""
    middle = np.median(values)
    spread = middle - np.quantile(values, 0.16)
    if spread > 0:
        values = np.minimum((values - middle) / spread, _WORST)
    deviation = values.std()
    found: Array = (values - values.mean()) / (deviation if deviation > 0 else 1.0)
    return found


def _near(points: Array, generator: np.random.Generator) -> Array:
    """Around each of (N, P) points, some with a few parameters moved or drawn anew."""
    points = np.repeat(points, _NUM_NEAR, axis=0)
    moved = points + _STEP * generator.standard_normal(points.shape)
    redrawn = generator.random(points.shape)
    new = np.where(generator.random(points.shape) < _REDRAWN, redrawn, moved)
    changes = generator.random(points.shape) < max(_CHANGED, 1 / points.shape[1])
    return np.clip(np.where(changes, new, points), 0, 1.0)
