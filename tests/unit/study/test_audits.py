"""Which trials run on although the pruner would have ended them, and that this never changes."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import best_epoch, make_metrics, space_mapping
from optuna.storages import InMemoryStorage

from sweep.records import Decision, TrialOutcome, TrialState
from sweep.space import SearchSpace, load_space
from sweep.study import StudySession
from sweep.study.schedules import Audits


def taken(audits: Audits, trials: Any) -> list[int]:
    """Of trials that the pruner wants to end, those that are audited."""
    return [trial for trial in trials if audits.take(trial, epoch=1)]


def test_the_first_of_each_slice_is_audited():
    assert taken(Audits(4, 20, {}), range(20)) == [0, 5, 10, 15]
    assert taken(Audits(4, 20, {}), [3, 4, 7, 8, 9, 16, 17]) == [3, 7, 16]
    assert taken(Audits(3, 10, {}), range(10)) == [0, 4, 7]


def test_the_order_of_asking_decides_within_a_slice():
    assert taken(Audits(2, 10, {}), [9, 4, 0, 5]) == [9, 4]


@pytest.mark.parametrize("num_planned", [1, 2, 3, 7, 10, 25])
@pytest.mark.parametrize("num_trials", [1, 7, 10])
def test_there_are_never_more_than_planned(num_planned, num_trials):
    audits = Audits(num_planned, num_trials, {})
    found = taken(audits, range(num_trials))
    assert len(found) == min(num_planned, num_trials)
    found += taken(audits, range(num_trials, 50))
    assert len(found) <= num_planned


def test_without_a_plan_or_a_total_nothing_is_audited():
    assert taken(Audits(0, 10, {}), range(10)) == []
    assert taken(Audits(4, None, {}), range(10)) == []


def test_slices_follow_a_new_total():
    earlier = {0: 2, 5: 3}  # of 10 trials, two of them audited
    assert taken(Audits(4, 20, earlier), range(10, 20)) == [10, 15]
    assert taken(Audits(2, 20, earlier), range(10, 20)) == []
    # Both are of the first of the new slices; the others are free, but one audit is left.
    assert taken(Audits(3, 30, earlier), range(10, 30)) == [10]
    assert Audits(4, 20, earlier).epoch(5) == 3
    assert Audits(4, 20, earlier).epoch(6) is None


def test_numbers_beyond_the_total_are_of_the_last_slice():
    assert taken(Audits(2, 10, {}), [12, 11]) == [12]


# ---------------------------------------------------------------- in a session

GOOD = [0.5, 0.7, 0.8, 0.85, 0.9, 0.92]
BAD = [0.2, 0.18, 0.16, 0.14, 0.12, 0.1]


def make_space(pruner: str, audit: int) -> SearchSpace:
    pruners = {"median": {"type": "median", "n_startup_trials": 2}}
    return load_space(
        space_mapping(
            pruner=pruners.get(pruner, pruner),
            parameters={"epochs": 6, "dropout": {"low": 0.0, "high": 0.5}},
            budget={"trials": 16, "audit": audit},
        )
    )


def finish(session: StudySession, space: SearchSpace, values: list[float]) -> list[Decision]:
    number = session.ask().number
    history, decisions = (), []
    for epoch, value in enumerate(values, 1):
        history += (make_metrics(number, epoch, value),)
        decisions.append(session.report(history[-1]))
        if decisions[-1] is Decision.PRUNE:
            break
    state = TrialState.PRUNED if Decision.PRUNE in decisions else TrialState.COMPLETE
    best = best_epoch(history, space.trial_objective)
    session.tell(TrialOutcome(number, state, history, best_epoch=best))
    return decisions


@pytest.mark.parametrize("pruner", ["median", "hyperband", "successive_halving"])
def test_an_audited_trial_goes_on_and_the_next_one_is_pruned(pruner):
    space = make_space(pruner, audit=2)
    session = StudySession(InMemoryStorage(), "x", space)
    session.plan(space.num_trials, {})
    for index in range(4):
        finish(session, space, [value + index / 1000 for value in GOOD])
    poor = [finish(session, space, BAD) for _ in range(12)]
    audited = [number for number in range(16) if session.audited_after(number) is not None]
    assert len(audited) == 2
    assert audited[0] < 8 <= audited[1]
    for number in audited:
        assert poor[number - 4] == [Decision.CONTINUE] * 6
    pruned = [number + 4 for number, decisions in enumerate(poor) if len(decisions) < 6]
    assert len(pruned) >= 4
    assert not set(audited) & set(pruned)


def test_the_pruner_is_not_asked_again_about_an_audited_trial(monkeypatch):
    space = make_space("median", audit=1)
    session = StudySession(InMemoryStorage(), "x", space)
    session.plan(space.num_trials, {})
    for _ in range(3):
        finish(session, space, GOOD)
    asked = []
    monkeypatch.setattr("optuna.Trial.should_prune", lambda trial: asked.append(1) or True)
    assert finish(session, space, GOOD) == [Decision.CONTINUE] * 6
    assert len(asked) == 1
    assert session.audited_after(3) == 1


@pytest.mark.parametrize("lost_after", range(1, 6))
@pytest.mark.parametrize("pruner", ["median", "hyperband", "successive_halving"])
def test_an_orphan_stays_audited(pruner, lost_after):
    """Decisions of all trials are those of a study that was never interrupted."""
    space = make_space(pruner, audit=1)

    def decisions(lost_after: int | None) -> tuple[list[Decision], list[list[Decision]], Any]:
        storage = InMemoryStorage()
        session = StudySession(storage, "x", space)
        session.plan(space.num_trials, {})
        for index in range(4):
            finish(session, space, [value + index / 1000 for value in GOOD])
        number = session.ask().number
        answers = []
        for epoch, value in enumerate(BAD, 1):
            answers.append(session.report(make_metrics(number, epoch, value)))
            if epoch == lost_after:
                known = session.audited_after(number)
                session = StudySession(storage, "x", space)
                session.recover()
                session.plan(space.num_trials, {} if known is None else {number: known})
                answers = [
                    session.report(make_metrics(number, again, BAD[again - 1]))
                    for again in range(1, epoch + 1)
                ]
        history = tuple(make_metrics(number, e, value) for e, value in enumerate(BAD, 1))
        session.tell(TrialOutcome(number, TrialState.COMPLETE, history, best_epoch=1))
        later = [finish(session, space, BAD) for _ in range(6)]
        return answers, later, session.audited_after(number)

    undisturbed = decisions(None)
    assert undisturbed[0] == [Decision.CONTINUE] * 6
    assert undisturbed[2] is not None
    assert any(Decision.PRUNE in answers for answers in undisturbed[1])
    assert decisions(lost_after) == undisturbed
