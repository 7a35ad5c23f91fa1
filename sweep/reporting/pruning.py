"""What pruning saved, and, as far as audited trials show, what it missed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from sweep.records import StudyRecord, TrialRecord, TrialState
from sweep.reporting.statistics import Interval, wilson_interval

__all__ = ["Audit", "AuditedTrial", "Pruning", "pruning"]

_TOP_SHARE = 0.1
_MAX_EPOCHS = 2**53  # a stranger's store may claim more than a float can hold


@dataclass(frozen=True, slots=True)
class AuditedTrial:
    """A trial that ran on although the pruner would have ended it after `epoch`.

    `value_then` is its best value up to that epoch, `value` that in the end; None unless COMPLETE.
    """

    number: int
    state: str
    epoch: int
    epochs_run: int
    value_then: float | None
    value: float | None


@dataclass(frozen=True, slots=True)
class Audit:
    """What became of trials that the pruner would have ended.

    They are compared with the other COMPLETE trials: those that the study would have had without
    audits.

    Attributes:
        num_planned: How many decisions of the pruner were to be audited at most.
        trials: The audited trials by number.
        num_complete: Those that are COMPLETE, and can be compared.
        best_of_others: Value of the best other trial.
        num_better_than_best: COMPLETE audited trials that beat it.
        num_in_top_tenth: Those at least as good as the last of the others' best tenth, rounded up.
        missed_interval: Share of the pruned trials that would have beaten the best: 95%, Wilson.
            Audited are the first candidates of equal slices of the study, not a random draw.
    """

    num_planned: int
    trials: tuple[AuditedTrial, ...]
    num_complete: int
    best_of_others: float | None
    num_better_than_best: int
    num_in_top_tenth: int
    missed_interval: Interval | None


@dataclass(frozen=True, slots=True)
class Pruning:
    """What pruning saved.

    Attributes:
        trials: Number of pruned trials.
        seconds_saved: An estimate: for each remaining epoch, the median time of the trial's epochs
            after its first report, which includes the start of its worker. A trial without a second
            report counts with the median of all trials' later epochs. None without those.
        audit: What pruning missed; None if no audit was planned or made.
    """

    trials: int
    epochs_run: int
    epochs_planned: int
    epochs_saved: int
    seconds_saved: float | None
    audit: Audit | None


def pruning(record: StudyRecord) -> Pruning:
    """What pruning saved against running every pruned trial to its end."""
    pruned = [trial for trial in record.trials if trial.state is TrialState.PRUNED]
    return Pruning(
        trials=len(pruned),
        epochs_run=sum(trial.epochs_run for trial in pruned),
        epochs_planned=sum(trial.epochs_run + _epochs_left(trial) for trial in pruned),
        epochs_saved=sum(map(_epochs_left, pruned)),
        seconds_saved=_seconds_saved(record, [trial for trial in pruned if trial.epochs_left]),
        audit=_audit(record),
    )


def _epochs_left(trial: TrialRecord) -> int:
    return min(trial.epochs_left, _MAX_EPOCHS)


def _seconds_saved(record: StudyRecord, pruned: Sequence[TrialRecord]) -> float | None:
    if not pruned:
        return 0.0
    later = {trial.number: _later_seconds(trial) for trial in record.trials}
    usual = [seconds for each in later.values() for seconds in each]
    if not usual:
        return None
    usual_pace = median(usual)
    return sum(
        (median(later[trial.number]) if later[trial.number] else usual_pace) * _epochs_left(trial)
        for trial in pruned
    )


def _later_seconds(trial: TrialRecord) -> list[float]:
    """Seconds of an epoch, from each report but the first."""
    history = trial.outcome.history if trial.outcome else ()
    return [
        metrics.seconds / max(1, metrics.epoch - former.epoch)
        for former, metrics in pairwise(history)
    ]


def _audit(record: StudyRecord) -> Audit | None:
    audited = [trial for trial in record.trials if trial.audited is not None]
    if not audited and not record.num_audits:
        return None
    is_better = record.objective.is_better
    others: list[float] = []  # best first, like the audited ones
    values: list[float] = []
    for trial in record.ranked():
        if (value := record.value(trial)) is not None:
            (others if trial.audited is None else values).append(value)
    best = others[0] if others else None
    num_better = 0 if best is None else sum(is_better(value, best) for value in values)
    tenth = others[: math.ceil(_TOP_SHARE * len(others))]
    return Audit(
        num_planned=record.num_audits,
        trials=tuple(_audited_trial(record, trial) for trial in audited),
        num_complete=len(values),
        best_of_others=best,
        num_better_than_best=num_better,
        num_in_top_tenth=sum(not is_better(tenth[-1], value) for value in values) if tenth else 0,
        missed_interval=wilson_interval(num_better, len(values)) if values and others else None,
    )


def _audited_trial(record: StudyRecord, trial: TrialRecord) -> AuditedTrial:
    epoch = trial.audited or 0
    outcome = trial.outcome
    values: Mapping[int, float] = trial.reports
    if outcome is not None:  # a trial that was trained again reports no epoch twice
        values = {metrics.epoch: record.objective.value(metrics) for metrics in outcome.history}
    then = [value for step, value in values.items() if step <= epoch]
    best = max if record.objective.goal == "maximize" else min
    return AuditedTrial(
        number=trial.number,
        state=trial.state.value,
        epoch=epoch,
        epochs_run=trial.epochs_run,
        value_then=best(then) if then else None,
        value=record.value(trial) if trial.state is TrialState.COMPLETE else None,
    )
