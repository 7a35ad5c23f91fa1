"""What this project adds to Optuna's studies and trials: user attributes, and how to read them.

Optuna's own columns say some of it again, without a seal: they are compared with what is sealed, so
that a damaged number is noticed wherever it stands.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from sweep.codec import from_plain, to_plain
from sweep.definitions import FAMILIES, parameters_of, with_defaults
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
    WorkerChoices,
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
    "PAUSED_AT",
    "READINGS",
    "REPORTS",
    "RETRY_OF",
    "SPACE",
    "WEIGHTS",
    "WORKERS",
    "config_of",
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
WORKERS = "sweep_workers"

# Of a trial.
CONFIG = "sweep_config"
OUTCOME = "sweep_outcome"
REPORTS = "sweep_reports"
WEIGHTS = "sweep_weights_sha256"
CHECKPOINTS = "sweep_checkpoints"  # of the last two, newest first: [{"epoch": …, "sha256": …}]
LOST = "sweep_lost"
RETRY_OF = "sweep_retry_of"
AUDITED = "sweep_audited"  # the epoch after which the pruner would have ended it
PAUSED_AT = "sweep_paused_at"  # the epoch after which it was paused; None once it is promoted


def trial_records(
    trials: Iterable[FrozenTrial], owner: str, objective: Objective, model: str
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
            records.append(trial_record(trial, owner, objective, model))
        except (LookupError, TypeError, ValueError) as error:
            raise ValueError(f"trial {number}: {one_line(error)}") from None
    return tuple(records)


def trial_record(trial: FrozenTrial, owner: str, objective: Objective, model: str) -> TrialRecord:
    """A trial as this project knows it.

    Args:
        trial: The trial as Optuna knows it.
        owner: Its study's name.
        objective: What the study ranks by.
        model: Name of its model family.

    Raises:
        ValueError: something about it is not what was written.
    """
    found = unsealed((owner, trial.number), trial.user_attrs)
    config = config_of(found[CONFIG], model) if found.get(CONFIG) else None
    outcome = from_plain(TrialOutcome, found[OUTCOME]) if found.get(OUTCOME) else None
    state = TrialState[trial.state.name]
    if found.get(PAUSED_AT) is not None:
        _compare_paused(trial, found[PAUSED_AT], outcome, found.get(REPORTS))
        state = TrialState.PAUSED if state is TrialState.RUNNING else state
    if state in (TrialState.RUNNING, TrialState.WAITING, TrialState.PAUSED):
        outcome = None  # it counts once it was told
    elif outcome is not None:
        _compare_outcome(trial, state, outcome, objective)
        _compare("reports", _numbers(trial.intermediate_values), found.get(REPORTS))
    elif state is not TrialState.FAIL:
        raise ValueError(f"it is {state} and has no outcome")
    if config is not None:
        _compare("number", config.number, trial.number)
        _compare("parameters", trial.params, {name: config.params[name] for name in trial.params})
    return TrialRecord(
        number=trial.number,
        state=state,
        params=dict(config.params) if config else {},
        reports=dict(sorted(trial.intermediate_values.items())),
        outcome=outcome,
        lost=tuple(from_plain(Failure, failure) for failure in found.get(LOST, [])),
        retry_of=found.get(RETRY_OF),
        audited=_audited(trial, found.get(AUDITED)),
        started_at=trial.datetime_start,
        ended_at=trial.datetime_complete,
    )


def config_of(plain: object, model: str) -> TrialConfig:
    """A trial's configuration; a parameter that is newer than the trial had its default.

    Raises:
        ValueError: it is none, or has a parameter that this version does not know.
    """
    config = from_plain(TrialConfig, plain)
    if model not in FAMILIES:  # of another version; whoever needs its parameters says so
        return config
    params = with_defaults(parameters_of(model), config.params)
    if unknown := sorted(config.params.keys() - params.keys()):
        raise ValueError(f"this version knows no parameter {', '.join(unknown)} of {model}")
    return replace(config, params=params)


def _compare_paused(
    trial: FrozenTrial, epoch: object, outcome: TrialOutcome | None, reports: object
) -> None:
    """Compare when a trial was paused with what it reported until then."""
    if trial.state not in (OptunaState.RUNNING, OptunaState.PRUNED):
        raise ValueError(f"it is {trial.state.name} and paused")
    if type(epoch) is not int or epoch not in trial.intermediate_values:
        raise ValueError(f"it was paused after epoch {epoch!r}, which it did not report")
    if outcome is None or not outcome.history:
        raise ValueError(f"it was paused after epoch {epoch} and has no history")
    _compare("last epoch", outcome.history[-1].epoch, epoch)
    _compare("state", outcome.state, TrialState.PRUNED)
    _compare("number", outcome.trial, trial.number)
    # Optuna reads a trial in several steps: it may have been promoted meanwhile.
    until = {step: value for step, value in trial.intermediate_values.items() if step <= epoch}
    _compare("reports", _numbers(until), reports)


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
        workers=from_plain(WorkerChoices, found[WORKERS]) if found.get(WORKERS) else None,
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
