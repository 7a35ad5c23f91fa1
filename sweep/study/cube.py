"""A search space as the unit cube, of which samplers draw points.

Shape legend: N points, P sampled parameters, F features.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.definitions import Scalar
from sweep.space import Choices, Range, condition, nearest_step

__all__ = ["Cube"]

Array = NDArray[np.float64]
_MIDDLE = 0.5  # of a parameter that has no value
_DIGITS = 12  # of numbers: more than anyone writes, less than logarithms lose


class Cube:
    """Each parameter is a side of the cube; its choices or steps take equal parts of it.

    Args:
        domains: Of the sampled parameters.
    """

    def __init__(self, domains: Mapping[str, Range | Choices]) -> None:
        self._domains = domains
        self._names = list(domains)
        # Of each column of the features, the parameter it belongs to.
        self.owners = np.repeat(range(len(domains)), [_width(each) for each in domains.values()])

    def params(self, point: Array) -> dict[str, Scalar]:
        """The values at a point, shape (P,); of parameters without effect, too."""
        along = zip(self._domains.items(), point.tolist(), strict=True)
        return {name: _value(domain, share) for (name, domain), share in along}

    def point(self, params: Mapping[str, Any]) -> Array:
        """Where a configuration lies, shape (P,); the middle, where it has no value."""
        return np.array(
            [
                _share(domain, params[name]) if name in params else _MIDDLE
                for name, domain in self._domains.items()
            ]
        )

    def features(self, points: Array) -> Array:
        """What a model of distances sees of points (N, P): shape (N, F).

        Numbers are as they are in the cube, at the middle of their step. Two different choices of
        text are 1 apart. What has no effect is the same for all.
        """
        columns = []
        for (name, domain), shares in zip(self._domains.items(), points.T, strict=True):
            found = _columns(domain, shares)
            found[~self._has_effect(name, points)] = _MIDDLE
            columns.append(found)
        return np.concatenate(columns, axis=1)

    def _has_effect(self, name: str, points: Array) -> NDArray[np.bool_]:
        """At which of the points (N, P) a parameter has an effect: shape (N,)."""
        effective = np.ones(len(points), dtype=bool)
        for parent, wanted in condition(self._domains[name]).items():
            if parent in self._domains:
                domain, shares = self._domains[parent], points[:, self._names.index(parent)]
                places = np.array([_share(domain, value) for value in wanted])
                same = _columns(domain, shares)[:, None] == _columns(domain, places)
                effective &= same.all(2).any(1) & self._has_effect(parent, points)
        return effective


def _value(domain: Range | Choices, share: float) -> Scalar:
    """What lies so far along a domain, from 0 up to 1."""
    if isinstance(domain, Choices):
        choice: Scalar = domain.choices[
            min(int(share * len(domain.choices)), len(domain.choices) - 1)
        ]
        return choice
    low, high = _ends(domain)
    if domain.log:
        value = math.exp(math.log(low) + share * math.log(high / low))
    else:
        value = low + share * (high - low)
    if _step(domain):
        stepped: Scalar = nearest_step(domain, value)
        return stepped
    # A value that lies where another one does is that one; and rounding stays in the range.
    return float(min(max(domain.low, float(f"{value:.{_DIGITS}g}")), domain.high))


def _share(domain: Range | Choices, value: Any) -> float:
    """How far along a domain a value lies."""
    if isinstance(domain, Choices):
        return (domain.choices.index(value) + 0.5) / len(domain.choices)
    low, high = _ends(domain)
    if low == high:
        return _MIDDLE
    if domain.log:
        return math.log(value / low) / math.log(high / low)
    return float((value - low) / (high - low))


def _step(domain: Range) -> float:
    return domain.step or (1 if isinstance(domain.low, int) else 0)


def _ends(domain: Range) -> tuple[float, float]:
    """Where a domain begins and ends: half a step beyond its first and last value."""
    half = _step(domain) / 2
    return domain.low - half, domain.high + half


def _is_text(domain: Range | Choices) -> bool:
    """Whether a domain has no order: numbers have one, as choices, too."""
    return isinstance(domain, Choices) and any(isinstance(c, str) for c in domain.choices)


def _width(domain: Range | Choices) -> int:
    """How many features a parameter has."""
    return len(domain.choices) if isinstance(domain, Choices) and _is_text(domain) else 1


def _columns(domain: Range | Choices, shares: Array) -> Array:
    """Features of one parameter, of shares (N,): (N, 1), or a column for each choice of text."""
    parts = _number_of_parts(domain)
    if not parts:
        return shares[:, None].copy()
    part = np.minimum(shares * parts, parts - 1).astype(int)
    if isinstance(domain, Choices):
        if _is_text(domain):
            chosen: Array = np.eye(parts)[part] / math.sqrt(2)
            return chosen
        part = np.argsort(np.argsort(domain.choices))[part]
    found: Array = (part[:, None] + 0.5) / parts
    return found


def _number_of_parts(domain: Range | Choices) -> int:
    """Into how many equal parts a side is divided; 0 if it is not."""
    if isinstance(domain, Choices):
        return len(domain.choices)
    step = _step(domain)
    return round((domain.high - domain.low) / step) + 1 if step and not domain.log else 0
