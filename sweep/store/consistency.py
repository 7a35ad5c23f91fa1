"""The records of a study and its trials → `StudyRecord`, compared with Optuna's own columns.

These repeat part of the records without a digest, so that only a comparison finds damage in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace

from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from sweep.definitions import FAMILIES, definition_of, parameters_of, read_model, with_defaults
from sweep.records import (
    Confirms,
    Model,
    Objective,
    StudyRecord,
    StudyState,
    TrialConfig,
    TrialOutcome,
    TrialRecord,
    TrialState,
    confirmation_name,
)
from sweep.space import baseline_parameters
from sweep.store.diagnosis import one_line
from sweep.store.digests import checked
from sweep.store.stored import StoredStudy, StoredTrial, differences, trial_summary
from sweep.study import PRUNED

__all__ = ["complete_config", "study_record"]

_OF_OURS = {"seed", "epochs_run"}  # user attributes of every trial that sweep has ended


def study_record(
    stored: StoredStudy,
    name: str,
    directions: list[StudyDirection],
    trials: Iterable[FrozenTrial],
    *,
    is_locked: bool,
) -> StudyRecord:
    """A study: its record, and what Optuna stores of it and its trials.

    A trial without a record of its own is another program's, unless it was given to the study.

    Raises:
        LookupError | TypeError | ValueError: something is not what was written.
    """
    objective = Objective(**stored.space["objective"])
    if [direction.name.lower() for direction in directions] != [objective.goal]:
        raise ValueError(f"its direction is {directions} and its goal {objective.goal!r}")
    if stored.confirms is not None:
        _check_confirms(stored.confirms, name, read_model(stored.space["model"]))
    values = {field.name: getattr(stored, field.name) for field in fields(stored)}
    records, foreign = _trial_records(trials, stored, objective)
    record = StudyRecord(
        name=name,
        state=StudyState.RUNNING,
        objective=objective,
        trials=records,
        foreign=foreign,
        **values,
    )
    return record if is_locked else replace(record, state=record.state_at_rest)


def _trial_records(
    trials: Iterable[FrozenTrial], study: StoredStudy, objective: Objective
) -> tuple[tuple[TrialRecord, ...], tuple[int, ...]]:
    """The study's own trials, and the numbers of the others."""
    model = read_model(study.space["model"])
    ranges: dict[str, BaseDistribution] = {}
    records: list[TrialRecord] = []
    foreign: list[int] = []
    copies: dict[int, float | None] = {}
    for number, trial in enumerate(trials):
        try:
            _compare("number", trial.number, number)
            record = _own_record(trial, study)
            if record is None:
                foreign.append(number)
                continue
            for name, distribution in trial.distributions.items():
                known = ranges.setdefault(name, distribution)
                _compare(f"range of {name}", distribution, known)
            records.append(_trial_record(trial, record, objective, model))
            if record.copy_of is not None and trial.state is OptunaState.COMPLETE:
                copies[number] = trial.value
        except (LookupError, TypeError, ValueError) as error:
            raise ValueError(f"trial {number}: {one_line(error)}") from None
    _check_copies(records, copies, objective)
    return tuple(records), tuple(foreign)


def _own_record(trial: FrozenTrial, study: StoredStudy) -> StoredTrial | None:
    """The record of a trial, or None if the trial is not this study's."""
    found = checked(StoredTrial, trial.system_attrs)
    if found is not None:
        owner, record = found
        if owner == [study.identity, trial.number]:
            return record
        # Optuna copies a trial whole. A record that only landed here does not fit the trial.
        config = record.config.params if record.config else {}
        _compare("parameters", trial.params, {name: config.get(name) for name in trial.params})
        if trial.state.is_finished():
            _compare("reports", dict(sorted(trial.intermediate_values.items())), record.reports)
        return None
    if trial.user_attrs.keys() >= _OF_OURS:
        raise ValueError("its record is missing")
    # What was given has none before it is asked for; another program may have asked.
    num_given = len(study.space["enqueue"]) + len(study.starting)
    return StoredTrial() if trial.number < num_given else None


def _trial_record(
    trial: FrozenTrial, stored: StoredTrial, objective: Objective, model: Model
) -> TrialRecord:
    config = complete_config(stored.config, model) if stored.config else None
    state = TrialState[trial.state.name]
    if _was_ended_by_another(trial, stored):
        stored, state = replace(stored, outcome=None, paused_at=None), TrialState.FAIL
    if stored.paused_at is not None:
        _compare_paused(trial, stored, stored.paused_at)
        state = TrialState.PAUSED if state is TrialState.RUNNING else state
    if state is TrialState[trial.state.name] and trial.state.is_finished():
        _compare_ended(trial, state, stored, objective)
    if config is not None:
        _compare("number", config.number, trial.number)
        _compare("parameters", trial.params, {name: config.params[name] for name in trial.params})
    if stored.audited is not None:
        _compare_audited(trial, stored.audited)
    return TrialRecord(
        number=trial.number,
        state=state,
        params=dict(config.params) if config else {},
        reports=dict(sorted(trial.intermediate_values.items())),
        outcome=stored.outcome if trial.state.is_finished() else None,  # not before it was told
        lost=stored.lost,
        retry_of=stored.retry_of,
        audited=stored.audited,
        order=config.order if config else 0,
        copy_of=stored.copy_of,
        study_epochs=stored.study_epochs,
        started_at=trial.datetime_start,
        ended_at=trial.datetime_complete,
    )


def complete_config(config: TrialConfig, model: Model) -> TrialConfig:
    """A configuration with defaults for parameters that are newer than the trial.

    Raises:
        ValueError: it has a parameter that this version does not know.
    """
    if isinstance(model, str) and model not in FAMILIES:
        return config  # of another version; what needs its parameters says so
    params = with_defaults(parameters_of(model), config.params)
    if unknown := sorted(config.params.keys() - params.keys()):
        raise ValueError(
            f"this version knows no parameter {', '.join(unknown)} of {definition_of(model).name}"
        )
    return replace(config, params=params)


def _was_ended_by_another(trial: FrozenTrial, stored: StoredTrial) -> bool:
    """Whether another program told Optuna how a trial ended that was waiting, running or paused."""
    state = trial.state
    if stored.outcome is None:
        return state in (OptunaState.COMPLETE, OptunaState.PRUNED)
    is_paused = stored.paused_at is not None and stored.outcome.state is TrialState.PRUNED
    return is_paused and state in (OptunaState.COMPLETE, OptunaState.FAIL)


def _compare_paused(trial: FrozenTrial, stored: StoredTrial, epoch: int) -> None:
    outcome = stored.outcome
    if trial.state is OptunaState.WAITING:
        raise ValueError("it is WAITING and paused")
    if epoch not in trial.intermediate_values:
        raise ValueError(f"it was paused after epoch {epoch!r}, which it did not report")
    if outcome is None or not outcome.history:
        raise ValueError(f"it was paused after epoch {epoch} and has no history")
    _compare("last epoch", outcome.history[-1].epoch, epoch)
    _compare("state", outcome.state, TrialState.PRUNED)
    _compare("number", outcome.trial, trial.number)
    # Optuna reads a trial in several steps: it may have been promoted meanwhile.
    until = {step: value for step, value in trial.intermediate_values.items() if step <= epoch}
    _compare("reports", dict(sorted(until.items())), stored.reports)


def _compare_audited(trial: FrozenTrial, epoch: int) -> None:
    # Optuna reads a trial in several steps, and its driver may have added an epoch between two.
    if trial.state is not OptunaState.RUNNING and epoch not in trial.intermediate_values:
        raise ValueError(f"it was audited after epoch {epoch!r}, which it did not report")
    if trial.state is OptunaState.PRUNED or PRUNED in trial.system_attrs:
        raise ValueError(f"it was audited after epoch {epoch} and pruned all the same")


def _compare_ended(
    trial: FrozenTrial, state: TrialState, stored: StoredTrial, objective: Objective
) -> None:
    if stored.outcome is not None:
        _compare_outcome(trial, state, stored.outcome, objective)
        _compare("reports", dict(sorted(trial.intermediate_values.items())), stored.reports)
    for key, value in differences(trial_summary(stored), trial.user_attrs).items():
        raise ValueError(_contradiction(key, trial.user_attrs.get(key), value))


def _check_copies(
    records: Iterable[TrialRecord], copies: Mapping[int, float | None], objective: Objective
) -> None:
    """Compare the values of copies, by number, with their originals'."""
    if not copies:
        return
    by_number = {record.number: record for record in records}
    for number, value in copies.items():
        copy_of = by_number[number].copy_of
        original = by_number.get(copy_of) if copy_of is not None else None
        if original is None or original.copy_of is not None or original.number >= number:
            raise ValueError(f"trial {number}: it copies trial {copy_of}, which is no original")
        # Trials are read one after the other: its end may have been written meanwhile.
        if original.outcome is not None and original.outcome.best is not None:
            _compare(f"values (trial {number})", value, objective.value(original.outcome.best))


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
    """Raise a `ValueError` unless two places agree; None in the second one agrees with all."""
    # The texts are for NaN, which equals nothing.
    if recorded is not None and found != recorded and repr(found) != repr(recorded):
        raise ValueError(_contradiction(what, found, recorded))


def _contradiction(what: str, found: object, recorded: object) -> str:
    return f"its {what} differ: {found!r} in one place and {recorded!r} in another"


def _check_confirms(confirms: Confirms, name: str, model: Model) -> None:
    num = len(set(confirms.trials))
    if not num or num < len(confirms.trials) or min(confirms.trials) < 0 or confirms.num_seeds < 1:
        raise ValueError(f"it repeats trials {confirms.trials}, each {confirms.num_seeds} times")
    known, baselines = baseline_parameters(model), confirms.baselines
    if not known.keys() >= set(baselines) or len(set(baselines)) < len(baselines):
        raise ValueError(f"its baselines are {baselines}, and there can be {tuple(known)}")
    if name != confirmation_name(confirms.study):
        raise ValueError(f"it says that it confirms {confirms.study!r}")
