"""What a colleague would point at in a finished search: one small function each, in one list."""

from __future__ import annotations

from collections.abc import Callable

from sweep.reporting.answer import Answer
from sweep.reporting.diagnostics.data import leaks_between_splits, unbalanced_classes
from sweep.reporting.diagnostics.diagnosis import Diagnosis, Verdict
from sweep.reporting.diagnostics.network import beats_baselines, fits_the_data
from sweep.reporting.diagnostics.search import (
    alike_failures,
    best_at_the_end_of_a_range,
    early_values_predict,
    enough_trials,
    short_trials_favoured,
)
from sweep.reporting.reported import Reported

__all__ = ["Diagnosis", "Verdict", "diagnoses", "main_diagnoses"]

_Check = Callable[[Reported, Answer | None], Diagnosis]

_MAIN: tuple[_Check, ...] = (best_at_the_end_of_a_range, beats_baselines, fits_the_data)
_OTHERS: tuple[_Check, ...] = (
    enough_trials,
    early_values_predict,
    short_trials_favoured,
    alike_failures,
    unbalanced_classes,
    leaks_between_splits,
)


def diagnoses(study: Reported, found: Answer | None) -> tuple[Diagnosis, ...]:
    """All checks of a study, warnings first; `found` is its answer, if it has one."""
    made = [check(study, found) for check in (*_MAIN, *_OTHERS)]
    order = list(Verdict)
    return tuple(sorted(made, key=lambda diagnosis: order.index(diagnosis.verdict)))


def main_diagnoses(study: Reported, found: Answer | None) -> tuple[Diagnosis, ...]:
    """The few that a terminal has room for."""
    return tuple(check(study, found) for check in _MAIN)
