"""What limits a study, and what a study may be ended by.

Kept apart from `study`, which says what a study is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FINAL = ("target", "epochs", "plateau")
"""What ends a study for its paused trials, too: not even a promotion starts any more.

It may also end by `trials` or `copies`, after which paused trials may be promoted, or by `timeout`,
after which it continues with the next command.
"""


_OF_THE_SPACE = ("epochs", "target", "plateau")


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
    return Limits(num_trials, *(budget.get(name) for name in _OF_THE_SPACE))


def with_limits(space: Mapping[str, Any], budget: Mapping[str, Any]) -> dict[str, Any]:
    """A search space as plain data, with the limits of another budget, but for the trials."""
    limits = {name: budget.get(name) for name in _OF_THE_SPACE}
    return {**space, "budget": {**space["budget"], **limits}}
