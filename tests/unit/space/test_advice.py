"""What a search space whose trials all fail should change."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import space_mapping

from sweep.records import (
    DataFacts,
    DataSpec,
    Failure,
    FailureKind,
    Objective,
    StudyRecord,
    StudyState,
    TrialOutcome,
    TrialRecord,
    TrialState,
)
from sweep.space import advice, advice_lines, load_space


def space(**budget: Any):
    parameters = {
        "learning_rate": {"low": 5.0, "high": 10.0},
        "batch_size": {"choices": [512, 1024]},
        "layer_size": 2048,
        "epochs": {"low": 5, "high": 20},
    }
    return load_space(space_mapping(parameters=parameters, budget={"trials": 20, **budget}))


def study(*kinds: FailureKind | None) -> StudyRecord:
    """A study with a trial for each kind of failure; None is COMPLETE."""
    trials = tuple(
        TrialRecord(
            number=number,
            state=TrialState.COMPLETE if kind is None else TrialState.FAIL,
            params={},
            reports={},
            outcome=TrialOutcome(
                number,
                TrialState.COMPLETE if kind is None else TrialState.FAIL,
                failure=None if kind is None else Failure(kind, "so it was"),
            ),
        )
        for number, kind in enumerate(kinds)
    )
    facts = DataFacts(DataSpec("image", (1, 8, 8), ("0", "1"), 10, 10), "", b"")
    return StudyRecord(
        name="small",
        state=StudyState.FINISHED,
        space=space().to_json(),
        objective=Objective("validation_accuracy", "maximize"),
        num_trials=20,
        timeout_seconds=None,
        data=facts,
        trials=trials,
        test_readings=(),
    )


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (FailureKind.NAN, "lower learning_rate, now 5 to 10"),
        (
            FailureKind.OUT_OF_MEMORY,
            "smaller batch_size, now one of 512, 1024 or layer_size, now 2048",
        ),
        (FailureKind.TIME_LIMIT, "a larger --trial-time-limit or fewer epochs, now 5 to 20"),
        (
            FailureKind.KILLED,
            "fewer --workers or smaller batch_size, now one of 512, 1024 or layer_size, now 2048",
        ),
    ],
)
def test_a_kind_of_failure_has_advice_with_the_spaces_own_range(kind, words):
    assert advice(kind, space()) == words
    assert advice_lines(study(*[kind] * 20), space()) == [
        f"all 20 trials ended with {kind}: {words}"
    ]


def test_a_time_limit_is_named():
    words = "a larger --trial-time-limit, now 30 s, or fewer epochs, now 5 to 20"
    assert advice(FailureKind.TIME_LIMIT, space(trial_time_limit="30s")) == words


def test_mixed_reasons_are_counted():
    mixed = study(FailureKind.EXCEPTION, *[FailureKind.NAN] * 2)
    assert advice_lines(mixed, space()) == [
        "2 trials ended with nan: lower learning_rate, now 5 to 10",
        "1 trial ended with exception",
    ]


def test_where_a_trial_got_through_there_is_no_advice():
    assert advice_lines(study(FailureKind.NAN, None), space()) == []
    assert advice_lines(study(), space()) == []
