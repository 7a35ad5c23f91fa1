"""What this project adds to Optuna's studies and trials: user attributes, and how to read them.

Optuna's own columns say some of it again, without a seal: they are compared with what is sealed, so
that a damaged number is noticed wherever it stands.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from sweep.codec import from_plain, to_plain
from sweep.records import (
    KEPT_WEIGHTS,
    Confirms,
    DataFacts,
    Failure,
    Objective,
    StudyRecord,
    StudyState,
    TestReading,
    TrialConfig,
    TrialOutcome,
    TrialRecord,
    TrialState,
    confirmation_name,
)
from sweep.store.failures import one_line
from sweep.store.seal import unsealed
from sweep.study import PRUNED

__all__ = [
    "AUDITED",
    "BUDGET",
    "CHECKPOINTS",
    "CONFIG",
    "CONFIRMS",
    "DATA",
    "FINISHED",
    "LOST",
    "OUTCOME",
    "READINGS",
    "REPORTS",
    "RETRY_OF",
    "SPACE",
    "WEIGHTS",
    "confirms_of",
    "objective_of",
    "reports_of",
    "study_record",
    "test_readings",
    "trial_record",
    "trial_records",
    "with_reading",
]

# Of a study.
SPACE = "sweep_space"
BUDGET = "sweep_budget"
DATA = "sweep_data"
FINISHED = "sweep_finished"
CONFIRMS = "sweep_confirms"
READINGS = "sweep_test_readings"

# Of a trial.
CONFIG = "sweep_config"
OUTCOME = "sweep_outcome"
REPORTS = "sweep_reports"
WEIGHTS = "sweep_weights_sha256"
CHECKPOINTS = "sweep_checkpoints"  # of the last two, newest first: [{"epoch": …, "sha256": …}]
LOST = "sweep_lost"
RETRY_OF = "sweep_retry_of"
AUDITED = "sweep_audited"  # the epoch after which the pruner would have ended it


def trial_records(
    trials: Iterable[FrozenTrial], owner: str, objective: Objective, *, format_version: int
) -> tuple[TrialRecord, ...]:
    """A study's trials, each compared with what is sealed of it and with the others.

    Raises:
        ValueError: something is not what was written; the message names the trial.
    """
    ranges: dict[str, BaseDistribution] = {}
    records: list[TrialRecord] = []
    for number, trial in enumerate(trials):
        try:
            _compare("number", trial.number, number)
            for parameter, distribution in trial.distributions.items():
                _compare(
                    f"range of {parameter}",
                    distribution,
                    ranges.setdefault(parameter, distribution),
                )
            records.append(trial_record(trial, owner, objective, format_version=format_version))
        except (LookupError, TypeError, ValueError) as error:
            raise ValueError(f"trial {number}: {one_line(error)}") from None
    return tuple(records)


def trial_record(
    trial: FrozenTrial, owner: str, objective: Objective, *, format_version: int
) -> TrialRecord:
    """A trial as this project knows it.

    Args:
        trial: The trial as Optuna knows it.
        owner: Its study's name.
        objective: What the study ranks by.
        format_version: The study's.

    Raises:
        ValueError: something about it is not what was written.
    """
    found = unsealed((owner, trial.number), trial.user_attrs, format_version=format_version)
    config = from_plain(TrialConfig, found[CONFIG]) if found.get(CONFIG) else None
    outcome = from_plain(TrialOutcome, found[OUTCOME]) if found.get(OUTCOME) else None
    state = TrialState[trial.state.name]
    if state in (TrialState.RUNNING, TrialState.WAITING):
        outcome = None  # it counts once it was told
    elif outcome is not None:
        _compare_outcome(trial, state, outcome, objective)
        _compare("reports", _numbers(trial.intermediate_values), found.get(REPORTS))
    elif format_version >= 2 and state is not TrialState.FAIL:
        raise ValueError(f"it is {state} and has no outcome")
    if config is not None:
        _compare("number", config.number, trial.number)
        _compare("parameters", trial.params, {name: config.params[name] for name in trial.params})
    return TrialRecord(
        number=trial.number,
        state=state,
        params=config.params if config else {},
        reports=dict(sorted(trial.intermediate_values.items())),
        outcome=outcome,
        lost=tuple(from_plain(Failure, failure) for failure in found.get(LOST, [])),
        retry_of=found.get(RETRY_OF),
        audited=_audited(trial, found.get(AUDITED)),
        started_at=trial.datetime_start,
        ended_at=trial.datetime_complete,
    )


def _audited(trial: FrozenTrial, epoch: object) -> int | None:
    """The epoch after which an audited trial would have ended, compared with what became of it."""
    if epoch is None:
        return None
    # Optuna reads a trial in several steps, and its driver may have added an epoch between two.
    is_under_way = trial.state is OptunaState.RUNNING
    if type(epoch) is not int or not (is_under_way or epoch in trial.intermediate_values):
        raise ValueError(f"it was audited after epoch {epoch!r}, which it did not report")
    if trial.state is OptunaState.PRUNED or PRUNED in trial.system_attrs:
        raise ValueError(f"it was audited after epoch {epoch} and pruned all the same")
    return epoch


def reports_of(trial: FrozenTrial) -> dict[str, float]:
    """What a trial has reported, to be sealed when it ends.

    It is not always its history: a trial that was trained again reports no epoch twice.
    """
    return _numbers(trial.intermediate_values)


def _compare_outcome(
    trial: FrozenTrial, state: TrialState, outcome: TrialOutcome, objective: Objective
) -> None:
    _compare("number", outcome.trial, trial.number)
    _compare("state", outcome.state, state)
    if state is TrialState.COMPLETE:
        value = objective.value(outcome.best) if outcome.best else None
        _compare("value", trial.values, None if value is None else [value])
    elif state is TrialState.PRUNED and trial.values:
        # Optuna gives a pruned trial its last report as value.
        _compare("value", trial.values, [trial.intermediate_values[max(trial.intermediate_values)]])
    elif trial.values:
        raise ValueError(f"it is {state} and has a value")


def _compare(what: str, found: object, recorded: object) -> None:
    """Compare what two places say; a place that does not say anything agrees."""
    # What is equal is written alike but for a number that is none, which equals nothing.
    if recorded is not None and found != recorded and repr(found) != repr(recorded):
        raise ValueError(f"its {what} differ: {found!r} in one place and {recorded!r} in another")


def _numbers(reports: dict[int, float]) -> dict[str, float]:
    return {str(step): reports[step] for step in sorted(reports)}


def study_record(
    found: dict[str, Any], name: str, trials: tuple[TrialRecord, ...], *, is_locked: bool
) -> StudyRecord:
    """A study as this project knows it.

    Args:
        found: The study's attributes.
        name: Its name.
        trials: Its trials.
        is_locked: Whether a driver holds it.

    Raises:
        LookupError: something is missing.
        ValueError: something about it is not what was written.
    """
    budget = found.get(BUDGET, {"trials": None, "timeout": None})
    idle = StudyState.INTERRUPTED if found.get(FINISHED) is None else StudyState.FINISHED
    return StudyRecord(
        name=name,
        state=StudyState.RUNNING if is_locked else idle,
        space=found[SPACE],
        objective=objective_of(found),
        num_trials=budget["trials"],
        timeout_seconds=budget["timeout"],
        keep_weights=budget.get("keep_weights") or KEPT_WEIGHTS,
        data=from_plain(DataFacts, found[DATA]),
        trials=trials,
        test_readings=test_readings(found),
        finished_by=found.get(FINISHED),
        confirms=confirms_of(found, name),
        num_audits=budget.get("audit") or 0,
    )


def objective_of(found: dict[str, Any]) -> Objective:
    """What a study ranks by."""
    return Objective(**found[SPACE]["objective"])


def confirms_of(attributes: dict[str, Any], name: str) -> Confirms | None:
    """What a study confirms, or None if it is a search."""
    if attributes.get(CONFIRMS) is None:
        return None
    confirms = from_plain(Confirms, attributes[CONFIRMS])
    num = len(set(confirms.trials))
    if not num or num < len(confirms.trials) or min(confirms.trials) < 0 or confirms.num_seeds < 1:
        raise ValueError(f"it repeats trials {confirms.trials}, each {confirms.num_seeds} times")
    if name != confirmation_name(confirms.study):
        raise ValueError(f"it says that it confirms {confirms.study!r}")
    return confirms


def test_readings(attributes: dict[str, Any]) -> tuple[TestReading, ...]:
    """Every opening of the test split that a study's attributes name."""
    return tuple(from_plain(TestReading, reading) for reading in attributes.get(READINGS, []))


def with_reading(found: dict[str, Any], reading: TestReading) -> list[dict[str, Any]]:
    """The openings that a study's attributes name, and this one in place of its own beginning."""
    others = [
        earlier
        for earlier in test_readings(found)
        if (earlier.trial, earlier.opened_at) != (reading.trial, reading.opened_at)
    ]
    return [to_plain(each) for each in [*others, reading]]
