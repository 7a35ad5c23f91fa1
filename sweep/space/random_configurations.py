"""Configurations of a search space drawn at random, without Optuna."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

from sweep.definitions import Scalar
from sweep.space.search_space import SearchSpace
from sweep.space.steps import step_value

__all__ = ["random_configurations"]


def random_configurations(space: SearchSpace, number: int) -> list[dict[str, Scalar]]:
    """So many configurations, always the same ones."""
    draw = _Random(0)
    return [space.suggest(draw) for _ in range(number)]


class _Random(random.Random):
    """Draws each value at random, a `sweep.space.Suggester`."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        if log:
            return round(self.suggest_float(name, low, high, step=None, log=True))
        return low + step * self.randint(0, (high - low) // step)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None, log: bool
    ) -> float:
        if log:
            return math.exp(self.uniform(math.log(low), math.log(high)))
        if step is not None:
            return step_value(low, step, self.randint(0, round((high - low) / step)))
        return self.uniform(low, high)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self.choice(choices)
