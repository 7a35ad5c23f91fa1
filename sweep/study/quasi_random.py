"""Configurations spread evenly over a search space: points of a low-discrepancy sequence.

Optuna's `QMCSampler` draws choices at random, and all else, too, until a trial is complete.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sweep.space import Choices, Range
from sweep.study.cube import Cube

__all__ = ["QuasiRandom"]

_MOST_SKIPPED = 10_000  # one after the other


class QuasiRandom:
    """Points of a sequence that fit; all others are skipped.

    The same arguments give the same points in any process.

    Args:
        domains: A value of each is in every point.
        fits: Whether a point is wanted.
        qmc_type: `sobol` or `halton`.
        scramble: Whether `seed` randomises the sequence.
    """

    def __init__(
        self,
        domains: Mapping[str, Range | Choices],
        fits: Callable[[Mapping[str, Any]], bool],
        *,
        seed: int,
        qmc_type: str = "sobol",
        scramble: bool = True,
    ) -> None:
        from scipy.stats import qmc  # half a second

        sequence = {"sobol": qmc.Sobol, "halton": qmc.Halton}[qmc_type]
        self._sequence = sequence(len(domains), scramble=scramble, rng=seed)
        self._cube = Cube(domains)
        self._fits = fits
        self._points: list[dict[str, Any]] = []

    def point(self, number: int) -> dict[str, Any]:
        """One of the points that fit, counted from 0. Where hardly any does, it may not fit."""
        while len(self._points) <= number:
            self._points.append(self._next())
        return self._points[number]

    def _next(self) -> dict[str, Any]:
        point: dict[str, Any] = {}
        for _ in range(_MOST_SKIPPED):
            [shares] = self._sequence.random(1)
            point = self._cube.params(shares)
            if self._fits(point):
                break
        return point
