"""What limits a study over its whole life, and what each limit ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FINAL = ("epochs", "target", "plateau")
"""The limits that end a study for its paused trials, too: not even a promotion starts any more.

It may also end by `trials` or `copies`, after which paused trials may be promoted, or by `timeout`,
after which it continues with the next command.
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """The parts of a budget that hold over a study's whole life; None is no limit.

    Attributes:
        trials: Trials that may start.
        epochs: Epochs of all trials after which none starts.
        target: A value of the objective; no trial starts once a COMPLETE one reaches it.
        plateau: Epochs without an improvement of the best value after which no trial starts.
    """

    trials: int | None = None
    epochs: int | None = None
    target: float | None = None
    plateau: int | None = None


def limits_of(num_trials: int | None, budget: Mapping[str, Any]) -> Limits:
    """The limits of a study of `num_trials` in all; `budget` is its search space's section."""
    return Limits(num_trials, **{name: budget.get(name) for name in FINAL})


def with_limits(space: Mapping[str, Any], budget: Mapping[str, Any]) -> dict[str, Any]:
    """A search space as plain data, with the limits of another budget, but for the trials."""
    limits = {name: budget.get(name) for name in FINAL}
    return {**space, "budget": {**space["budget"], **limits}}
