"""A trial for people, as far as it was recorded."""

from __future__ import annotations

from dataclasses import replace

from helpers import make_config, make_metrics

from sweep.cli.summary import trial_text
from sweep.records import (
    DataFacts,
    Objective,
    StudyRecord,
    StudyState,
    TrialOutcome,
    TrialRecord,
    TrialState,
)


def shown(*train_accuracies: float | None) -> list[list[str]]:
    """The rows of the table of epochs, cell by cell."""
    history = tuple(
        replace(make_metrics(0, epoch), train_accuracy=accuracy)
        for epoch, accuracy in enumerate(train_accuracies, 1)
    )
    outcome = TrialOutcome(0, TrialState.COMPLETE, history, best_epoch=1)
    trial = TrialRecord(0, TrialState.COMPLETE, make_config().params, {}, outcome)
    study = StudyRecord(
        name="x",
        state=StudyState.FINISHED,
        space={},
        objective=Objective("validation_accuracy", "maximize"),
        num_trials=1,
        timeout_seconds=None,
        data=DataFacts("", (), b""),
        trials=(trial,),
        test_readings=(),
    )
    lines = trial_text(study, trial).splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("epoch "))
    return [line.split() for line in lines[start : start + 1 + len(history)]]


def test_train_accuracy_has_a_column_where_it_is_known():
    head, first, second = shown(0.25, None)
    assert "train loss train accuracy validation loss" in " ".join(head)
    assert first == ["1", "*", "1.0000", "25.00%", "1.0000", "50.00%", "0.10"]
    assert second == ["2", "1.0000", "–", "1.0000", "50.00%", "0.10"]


def test_an_old_trial_has_no_such_column():
    head, first = shown(None)
    assert "train accuracy" not in " ".join(head)
    assert first == ["1", "*", "1.0000", "1.0000", "50.00%", "0.10"]


def test_a_pruned_trial_without_a_configuration_is_shown():
    """In a store that somebody made up."""
    trial = TrialRecord(
        0, TrialState.PRUNED, {}, {}, TrialOutcome(0, TrialState.PRUNED, (make_metrics(0, 1),))
    )
    assert trial.reason == "pruned after epoch 1 of an unknown number"
    assert trial.epochs_left == 0
    planned = replace(trial, params=make_config().params | {"epochs": 5})
    assert planned.reason == "pruned after epoch 1 of 5"
    assert planned.epochs_left == 4
