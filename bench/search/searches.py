"""The searches that are compared. Baselines that no YAML can name are schedules made here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any
from unittest import mock

import numpy as np
import optuna

from sweep.records import Decision, EpochMetrics
from sweep.space import SearchSpace
from sweep.study import schedules
from sweep.study.promotion import Promotion

__all__ = ["CONTESTANTS", "PORTFOLIO", "Contestant"]


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


class Pasha(Promotion):
    """PASHA (Bohdal et al. 2023, arXiv 2207.06940): `asha` that uses its higher rungs when it must.

    Trials go no higher than the second rung, until those that are there rank otherwise than they
    did a rung below; then they may go one rung higher, and so on. Two trials whose values are
    closer than noise rank alike. At the end, the best trial of the highest rung is finished. For
    studies that are not resumed.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._top = 1
        self._noise = 0.0
        self._curves: dict[int, list[float]] = {}

    def decide(self, trial: optuna.Trial, metrics: EpochMetrics, num_epochs: int) -> Decision:
        self._curves.setdefault(trial.number, []).append(self._merit(metrics)[0])
        decision = super().decide(trial, metrics, num_epochs)
        if decision is not Decision.CONTINUE and not self._ranks_alike():
            self._top = min(self._top + 1, len(self._rungs))
        return decision

    def promote(self, paused: Collection[int], *, at_end: bool) -> int | None:
        below = [trial for trial in paused if self._reached[trial] < self._top]
        chosen = super().promote(below, at_end=at_end)
        if chosen is not None or not at_end or self._arrived[-1]:
            return chosen
        highest = next((arrived for arrived in reversed(self._arrived) if arrived), [])
        return next((trial for *_, trial in highest[:1] if trial in paused), None)

    def _ranks_alike(self) -> bool:
        """Whether each trial of the top rung has the rank, or nearly the value, of a rung below."""
        ranked = [trial for *_, trial in self._arrived[self._top]]
        before = {trial: value for value, _, trial in self._arrived[self._top - 1]}
        self._estimate_noise([self._curves[trial] for trial in ranked])
        values = sorted(before[trial] for trial in ranked)
        return all(
            abs(before[trial] - value) <= self._noise
            for trial, value in zip(ranked, values, strict=True)
        )

    def _estimate_noise(self, curves: Collection[list[float]]) -> None:
        """From pairs of trials that changed places and changed them back."""
        apart = []
        for one, other in combinations(curves, 2):
            common = min(len(one), len(other))
            differences = np.subtract(one[:common], other[:common])
            if np.count_nonzero(np.diff(differences > 0)) > 1:
                apart.append(abs(differences[-1]))
        if apart:
            self._noise = float(np.quantile(apart, 0.9))


def _default(section: str) -> dict[str, Any]:
    """What a search space has that does not name it."""
    plain: dict[str, Any] = SearchSpace.model_fields[section].default.model_dump()
    return plain


PORTFOLIO = ", portfolio"
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
    "tpe/halving": Contestant({"type": "tpe"}, {"type": "successive_halving"}),
    "random/asha": Contestant({"type": "random"}, {"type": "asha"}),
    "random/pasha": Contestant({"type": "random"}, {"type": "asha"}, Pasha),
    "tpe/pasha": Contestant({"type": "tpe"}, {"type": "asha"}, Pasha),
    "tpe/asha": Contestant({"type": "tpe"}, {"type": "asha"}),
    "default": Contestant(_default("sampler"), _default("pruner")),
    f"default{PORTFOLIO}": Contestant(_default("sampler"), _default("pruner"), portfolio=True),
}
