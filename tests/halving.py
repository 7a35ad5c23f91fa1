"""A simple schedule that pauses and promotes, in place of the one that a space names.

Asynchronous successive halving (Li et al., 2020, "A system for massively parallel hyperparameter
tuning"): every trial pauses at every rung, and continues once it is in the better half of those
that have reached it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import optuna

from sweep.records import Decision
from sweep.space import SearchSpace
from sweep.study import schedules

RUNGS = (1, 3)
REDUCTION = 2


class Halving:
    rungs = RUNGS

    def decide(self, trial: optuna.Trial) -> Decision:
        (frozen,) = (t for t in trial.study.get_trials(deepcopy=False) if t.number == trial.number)
        return Decision.PAUSE if frozen.last_step in RUNGS else Decision.CONTINUE

    def promote(self, study: optuna.Study, paused: Collection[int]) -> int | None:
        sign = -1 if study.direction is optuna.study.StudyDirection.MAXIMIZE else 1
        trials = study.get_trials(deepcopy=False)
        for rung in reversed(RUNGS):
            arrived = [trial for trial in trials if rung in trial.intermediate_values]
            arrived.sort(key=lambda trial: (sign * trial.intermediate_values[rung], trial.number))
            for trial in arrived[: len(arrived) // REDUCTION]:
                if trial.number in paused and trial.last_step == rung:
                    return trial.number
        return None


def _build(_space: SearchSpace) -> Halving:
    return Halving()


def halve(set_attribute: Callable[[Any, str, Any], None] = setattr) -> None:
    """Use this schedule for every study of this process from here on."""
    set_attribute(schedules, "build_schedule", _build)
