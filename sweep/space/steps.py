"""The values of a range with a step: which they are, and whether they can be told apart."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import Any, TypeVar, cast

__all__ = ["ROUNDING", "check_steps", "step_value"]

MAX_STEPS = 1_000_000
ROUNDING = 1e-8  # in steps: Optuna takes a value within it for a step

T = TypeVar("T")


def check_steps(low: float, high: float, step: float) -> None:
    """Raise `ValueError` if the steps from `low` do not reach `high`, or run into each other."""
    found = f"found low {low}, high {high}, step {step}"
    steps = (high - low) / step
    if steps > MAX_STEPS:
        raise ValueError(f"a range may have at most {MAX_STEPS:,} steps; {found}")
    if isinstance(low, int):
        is_multiple = (high - low) % step == 0
        is_exact = True
    else:
        is_multiple = abs(steps - round(steps)) <= 1e-9 * max(1.0, steps)
        exact_low, exact_step = (Fraction(*_as_written(number)) for number in (low, step))
        last = exact_low + round(steps) * exact_step
        margin = math.ulp(max(abs(low), abs(high)))
        is_exact = margin < ROUNDING * step and Fraction(repr(float(last))) == last
    if (high > low and steps < 0.5) or (is_exact and not is_multiple):
        raise ValueError(f"high - low must be a multiple of step; {found}")
    if not is_exact:
        # Optuna would leave out the last value, or take a value for none.
        raise ValueError(
            f"low and step have too many digits to tell the steps apart; {found}; round them"
        )


def step_value(low: T, step: Any, number: int) -> T:
    """The value of a range after a number of steps.

    Of floats, the sum of the decimal fractions that they are written as: 0.3, where adding up
    floats gives 0.30000000000000004.
    """
    if isinstance(low, int):
        return cast("T", low + number * step)
    (a, b), (c, d) = _as_written(low), _as_written(step)
    return cast("T", (a * d + number * c * b) / (b * d))


@lru_cache(1000)
def _as_written(number: Any) -> tuple[int, int]:
    """Numerator and denominator of the decimal fraction that a number is written as."""
    return Fraction(repr(number)).as_integer_ratio()
