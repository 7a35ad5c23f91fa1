"""What pruning saved and what it missed, by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hand_made import make_study, make_trial, with_values

from sweep.records import StudyRecord, TrialRecord, TrialState
from sweep.reporting.pruning import AuditedTrial, pruning
from sweep.reporting.statistics import wilson_interval
from sweep.space import SearchSpace, load_space


def audited(trial: TrialRecord, epoch: int = 1) -> TrialRecord:
    return replace(trial, audited=epoch)


def with_audits(trials: list[TrialRecord], space: SearchSpace, planned: int) -> StudyRecord:
    return replace(make_study(trials, space), num_audits=planned)


def test_what_pruning_saved(study: StudyRecord, space: SearchSpace) -> None:
    """Each pruned trial ran two epochs of half a second."""
    found = pruning(study)
    assert (found.trials, found.epochs_run, found.epochs_planned) == (1, 2, 3)
    assert (found.epochs_saved, found.seconds_saved) == (1, 0.5)
    assert found.audit is None
    more = make_trial(space, 12, 12, state=TrialState.PRUNED, epochs=20)
    assert more.outcome is not None
    slow = tuple(replace(metrics, seconds=2.0) for metrics in more.outcome.history)
    more = replace(more, outcome=replace(more.outcome, history=slow))
    found = pruning(make_study([*study.trials, more], space))
    assert (found.trials, found.epochs_run, found.epochs_planned) == (2, 4, 23)
    assert (found.epochs_saved, found.seconds_saved) == (19, 0.5 + 18 * 2.0)


def test_a_study_without_pruned_trials_saved_nothing(space: SearchSpace) -> None:
    found = pruning(make_study([make_trial(space, 0)], space))
    assert (found.trials, found.epochs_saved, found.seconds_saved) == (0, 0, 0)


def test_a_pruned_trial_without_epochs_or_with_absurd_ones_is_counted(space: SearchSpace) -> None:
    trial = make_trial(space, 0, state=TrialState.PRUNED)
    assert trial.outcome is not None
    empty = replace(trial, outcome=replace(trial.outcome, history=(), best_epoch=None))
    absurd = make_trial(space, 1, state=TrialState.PRUNED, epochs=10**400)
    found = pruning(make_study([empty, absurd], space))
    assert (found.trials, found.epochs_run) == (2, 2)
    assert found.seconds_saved is not None
    assert math.isfinite(found.seconds_saved)
    seconds = pruning(make_study([absurd], space)).seconds_saved
    assert seconds is not None
    assert math.isfinite(seconds)


def took(trial: TrialRecord, *seconds: float) -> TrialRecord:
    """A trial with so many epochs of so many seconds each."""
    assert trial.outcome is not None
    history = tuple(
        replace(trial.outcome.history[0], epoch=epoch, seconds=each)
        for epoch, each in enumerate(seconds, start=1)
    )
    return replace(trial, outcome=replace(trial.outcome, history=history))


def test_a_first_epoch_and_one_that_was_held_up_do_not_stand_for_the_others(
    space: SearchSpace,
) -> None:
    pruned = make_trial(space, 0, state=TrialState.PRUNED, epochs=14)
    found = pruning(make_study([took(pruned, 30.0, 1.0, 50.0, 2.0)], space))
    assert (found.epochs_saved, found.seconds_saved) == (10, 10 * 2.0)


def test_a_single_epoch_does_not_stand_for_the_others(space: SearchSpace) -> None:
    """A first epoch of 0.75 s, in a search of 20 ms an epoch."""
    trials = [make_trial(space, number, state=TrialState.PRUNED, epochs=6) for number in range(2)]
    complete = took(make_trial(space, 2), 0.5, 0.03, 0.03, 0.03)
    single = took(trials[1], 0.75)
    found = pruning(make_study([took(trials[0], 0.1, 0.02), single, complete], space))
    assert found.epochs_saved == 9
    assert found.seconds_saved == pytest.approx(4 * 0.02 + 5 * 0.03)
    alone = pruning(make_study([single], space))
    assert (alone.epochs_saved, alone.seconds_saved) == (5, None)


def test_an_audit_that_found_nothing(space: SearchSpace) -> None:
    trials = [make_trial(space, number, 1 + number) for number in range(4)]
    trials += [audited(make_trial(space, 4, 10)), audited(make_trial(space, 5, 20), epoch=2)]
    found = pruning(with_audits(trials, space, 3)).audit
    assert found is not None
    assert (found.num_planned, found.num_complete) == (3, 2)
    assert found.trials == (
        AuditedTrial(4, "COMPLETE", epoch=1, epochs_run=2, value_then=0.75 / 2, value=0.75),
        AuditedTrial(5, "COMPLETE", epoch=2, epochs_run=2, value_then=0.5, value=0.5),
    )
    assert found.best_of_others == 39 / 40
    assert (found.num_better_than_best, found.num_in_top_tenth) == (0, 0)
    assert found.missed_interval == wilson_interval(0, 2)


def test_an_audited_trial_that_beats_the_best_and_one_that_equals_it(space: SearchSpace) -> None:
    trials = [make_trial(space, number, 4 + number) for number in range(3)]
    trials += [audited(make_trial(space, 3, 3)), audited(make_trial(space, 4, 4))]
    study = with_audits(trials, space, 2)
    found = pruning(study).audit
    assert found is not None
    assert (found.num_better_than_best, found.num_in_top_tenth) == (1, 2)
    assert found.missed_interval == wilson_interval(1, 2)
    assert study.best is not None
    assert study.best.number == 3, "it counts like any other"


def test_the_top_tenth_is_that_of_the_others(space: SearchSpace) -> None:
    """Of eleven others, two are the best tenth: those with 1 and 2 errors."""
    trials = [make_trial(space, number, 1 + number) for number in range(11)]
    trials += [audited(make_trial(space, 11 + index, wrong)) for index, wrong in enumerate((1, 2))]
    found = pruning(with_audits(trials, space, 2)).audit
    assert found is not None
    assert (found.num_better_than_best, found.num_in_top_tenth) == (0, 2)


def test_a_loss_is_better_when_it_is_low(space: SearchSpace) -> None:
    by_loss = load_space(space.to_json() | {"objective": {"metric": "validation_loss"}})
    trials = [make_trial(by_loss, number) for number in range(3)]
    assert trials[2].outcome is not None
    history = tuple(with_values(m, validation_loss=0.1) for m in trials[2].outcome.history)
    trials[2] = audited(replace(trials[2], outcome=replace(trials[2].outcome, history=history)))
    found = pruning(with_audits(trials, by_loss, 1)).audit
    assert found is not None
    assert found.num_better_than_best == 1
    assert found.best_of_others == pytest.approx(0.45)
    assert found.trials[0].value_then == 0.1


def test_audited_trials_that_cannot_be_compared(space: SearchSpace) -> None:
    failed = audited(make_trial(space, 1, state=TrialState.FAIL))
    running = replace(make_trial(space, 2, state=TrialState.RUNNING), reports={1: 0.25, 2: 0.5})
    found = pruning(with_audits([make_trial(space, 0), failed, audited(running)], space, 4)).audit
    assert found is not None
    assert (found.num_complete, found.num_better_than_best) == (0, 0)
    assert found.missed_interval is None
    assert [trial.value for trial in found.trials] == [None, None]
    assert found.trials[1].value_then == 0.25
    alone = pruning(with_audits([audited(make_trial(space, 0))], space, 4)).audit
    assert alone is not None
    assert (alone.best_of_others, alone.missed_interval) == (None, None)


def test_planned_audits_without_a_pruned_trial_are_said(space: SearchSpace) -> None:
    found = pruning(with_audits([make_trial(space, 0)], space, 4)).audit
    assert found is not None
    assert (found.num_planned, found.trials) == (4, ())
