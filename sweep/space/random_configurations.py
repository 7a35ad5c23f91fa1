"""Configurations of a search space drawn at random, without Optuna."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sweep.definitions import Params, Scalar
from sweep.space.search_space import SearchSpace
from sweep.space.steps import step_value

__all__ = [
    "Acceptance",
    "acceptance",
    "can_be_completed",
    "draw_fitting",
    "random_configurations",
]

NUM_LOOKED_AT = 10_000
_COMPLETIONS = 1000  # draws of what a given configuration leaves open


@dataclass(frozen=True, slots=True)
class Acceptance:
    """How many configurations meet the constraints: of a grid, or of random draws.

    Attributes:
        num_drawn: How many were looked at.
        num_met: How many meet all constraints.
        met: How many meet each constraint, by its text.
    """

    num_drawn: int
    num_met: int
    met: Mapping[str, int]


def acceptance(space: SearchSpace) -> Acceptance:
    """How many configurations of a space meet its constraints."""
    limits, num_drawn, num_met = space.limits, 0, 0
    refused: Counter[str] = Counter()
    for params in _candidates(space):
        broken = limits.broken(params)
        refused.update(broken)
        num_drawn += 1
        num_met += not broken
    met = {text: num_drawn - refused[text] for text in space.constraints}
    return Acceptance(num_drawn, num_met, met)


def random_configurations(space: SearchSpace, number: int) -> list[dict[str, Scalar]]:
    """So many configurations that meet the constraints, always the same ones.

    Fewer, if there are not so many among those that are looked at.
    """
    if not space.constraints:
        suggest, draw = space.suggesting(), _Random(0)
        return [suggest(draw) for _ in range(number)]
    limits = space.limits
    return list(islice((each for each in _candidates(space) if not limits.broken(each)), number))


def draw_fitting(
    space: SearchSpace, seed: int, given: Params, most: int, refused: Counter[str]
) -> dict[str, Scalar] | None:
    """A configuration drawn at random that meets the constraints; None if `most` draws do not.

    Parameters in `given` have their value where they are active. Which constraints refused how many
    draws is added to `refused`.
    """
    suggest, draw, limits = space.suggesting(), _Random(seed, given), space.limits
    for _ in range(most):
        params = suggest(draw)
        broken = limits.broken(params)
        if not broken:
            return params
        refused.update(broken)
    return None


def can_be_completed(
    space: SearchSpace, given: Params, refused: Counter[str] | None = None
) -> bool:
    """Whether a configuration can meet the constraints once what it leaves open is drawn.

    Which constraints refused how many draws is added to `refused`.
    """
    refused = Counter() if refused is None else refused
    most = _COMPLETIONS if space.constraints else 1
    return draw_fitting(space, 0, given, most, refused) is not None


def _candidates(space: SearchSpace) -> Iterator[dict[str, Scalar]]:
    """All configurations of a grid in random order, or many drawn at random; always the same."""
    draw = _Random(0)
    if space.sampler.type != "grid":
        suggest = space.suggesting()
        return (suggest(draw) for _ in range(NUM_LOOKED_AT))
    grid, completed = space.configurations(), space.completing()
    order = draw.sample(range(grid.count), grid.count)
    return (completed(grid[number]) for number in order)


class _Random(random.Random):
    """Draws each value at random that is not given, a `sweep.space.Suggester`."""

    def __init__(self, seed: int, given: Params | None = None) -> None:
        super().__init__(seed)
        self._given: Mapping[str, Any] = given or {}

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        if name in self._given:
            return int(self._given[name])
        if log:
            return round(self.suggest_float(name, low, high, step=None, log=True))
        return low + step * self.randint(0, (high - low) // step)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None, log: bool
    ) -> float:
        if name in self._given:
            return float(self._given[name])
        if log:  # rounding must not lead out of the range
            return min(max(low, math.exp(self.uniform(math.log(low), math.log(high)))), high)
        if step is not None:
            return step_value(low, step, self.randint(0, round((high - low) / step)))
        return self.uniform(low, high)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._given[name] if name in self._given else self.choice(choices)
