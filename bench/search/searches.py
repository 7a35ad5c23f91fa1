"""The searches that are compared. Baselines that no YAML can name are schedules made here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import optuna

from sweep.records import Decision, EpochMetrics
from sweep.study import schedules

__all__ = ["CONTESTANTS", "Contestant"]


@dataclass(frozen=True, slots=True)
class Contestant:
    """A sampler with a pruner, as in YAML, or with a schedule in its place.

    Attributes:
        portfolio: Whether it tries a portfolio first, learnt with the data set left out.
    """

    sampler: dict[str, Any]
    pruner: dict[str, Any] = field(default_factory=lambda: {"type": "none"})
    schedule: Callable[..., schedules.Schedule] | None = None
    portfolio: bool = False

    @contextmanager
    def playing(self) -> Iterator[None]:
        """Context in which every study uses its schedule."""
        if self.schedule is None:
            yield
            return
        with mock.patch.object(schedules, "build_schedule", self.schedule):
            yield


class BestAfter:
    """Trains all trials for `epochs` epochs, and then goes on with the best `number` of them.

    With one epoch, "1-Epoch" (Egele et al. 2024, arXiv 2404.04111). It is a schedule of
    `sweep.study`, for studies that are not resumed.
    """

    def __init__(self, num_trials: int, epochs: int, number: int) -> None:
        self._num_trials = num_trials
        self._epochs = epochs
        self._number = number
        self._arrived: list[tuple[float, int]] = []

    def plan(self, num_trials: int | None) -> None:
        """The number of trials is known."""

    def decide(self, trial: optuna.Trial, metrics: EpochMetrics, _num_epochs: int) -> Decision:
        if metrics.epoch != self._epochs:
            return Decision.CONTINUE
        self._arrived.append((-metrics.values["validation_accuracy"], trial.number))
        return Decision.PAUSE

    def promote(self, paused: Collection[int], *, at_end: bool) -> int | None:
        del at_end
        if len(self._arrived) < self._num_trials:
            return None
        chosen = [number for _, number in sorted(self._arrived)[: self._number]]
        return next((number for number in chosen if number in paused), None)

    def hopeless(self, _paused: Collection[int]) -> list[int]:
        return []


def _best_after(epochs: int) -> Callable[..., BestAfter]:
    return lambda space, *_: BestAfter(space.num_trials or 0, epochs, 3)


_SAMPLERS = ("tpe", "gp", "qmc")
_PRUNERS = ("none", "median", "hyperband")
CONTESTANTS: dict[str, Contestant] = {
    "random": Contestant({"type": "random"}),
    "1-epoch": Contestant({"type": "random"}, schedule=_best_after(1)),
    "2-epoch": Contestant({"type": "random"}, schedule=_best_after(2)),
    **{
        f"{sampler}/{pruner}": Contestant({"type": sampler}, {"type": pruner})
        for sampler in _SAMPLERS
        for pruner in _PRUNERS
    },
    **{
        f"tpe/{pruner}, portfolio": Contestant({"type": "tpe"}, {"type": pruner}, portfolio=True)
        for pruner in ("none", "hyperband", "asha")
    },
    "tpe/halving": Contestant({"type": "tpe"}, {"type": "successive_halving"}),
    "random/asha": Contestant({"type": "random"}, {"type": "asha"}),
    "tpe/asha": Contestant({"type": "tpe"}, {"type": "asha"}),
}
