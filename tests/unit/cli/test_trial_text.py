"""A trial for people, as far as it was recorded."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers import make_config, make_metrics, space_mapping

from sweep.cli.check_text import check_text
from sweep.cli.json_output import study_json
from sweep.cli.study_text import headline, study_rows, trial_text
from sweep.definitions import DATASETS
from sweep.estimate import check
from sweep.records import (
    DataFacts,
    EpochMetrics,
    Objective,
    StudyRecord,
    StudyState,
    TrialOutcome,
    TrialRecord,
    TrialState,
)
from sweep.space import load_space


def study_of(trial: TrialRecord) -> StudyRecord:
    return StudyRecord(
        name="x",
        state=StudyState.FINISHED,
        space={},
        objective=Objective("validation_accuracy", "maximize"),
        num_trials=1,
        timeout_seconds=None,
        data=DataFacts(DATASETS["digits"], "", b""),
        trials=(trial,),
        test_readings=(),
    )


def recorded(metrics: EpochMetrics, train_accuracy: float | None) -> EpochMetrics:
    """These metrics with this value, or without it, as an earlier version recorded them."""
    values = {n: v for n, v in metrics.values.items() if n != "train_accuracy"}
    if train_accuracy is not None:
        values["train_accuracy"] = train_accuracy
    return replace(metrics, values=values)


def lines_of(*train_accuracies: float | None, best_epoch: int | None = 1) -> list[str]:
    """What is said of a trial of so many epochs."""
    history = tuple(
        recorded(make_metrics(0, epoch), accuracy)
        for epoch, accuracy in enumerate(train_accuracies, 1)
    )
    outcome = TrialOutcome(0, TrialState.COMPLETE, history, best_epoch=best_epoch)
    trial = TrialRecord(0, TrialState.COMPLETE, make_config().params, {}, outcome)
    return trial_text(study_of(trial), trial, has_weights=True).splitlines()


def shown(*train_accuracies: float | None) -> list[list[str]]:
    """The rows of the table of epochs, cell by cell."""
    lines = lines_of(*train_accuracies)
    start = next(index for index, line in enumerate(lines) if line.startswith("epoch "))
    return [line.split() for line in lines[start : start + 1 + len(train_accuracies)]]


NAMES = ["validation accuracy", "validation balanced accuracy", "validation f1 macro"]


def test_one_of_a_kind_is_singular():
    assert any(line.startswith("1 epoch in ") for line in lines_of(None))
    assert any(line.startswith("2 epochs in ") for line in lines_of(None, None))
    trial = TrialRecord(0, TrialState.COMPLETE, make_config().params, {}, None)
    assert headline(study_of(trial)) == "study x: finished, 1 of 1 trial (1 complete)"
    changes = {"budget": {"trials": 1}, "pruner": {"type": "none"}}
    text = check_text(check(space_mapping(**changes)))
    assert "budget: 1 trial; at most 4 epochs in all" in text
    assert "sampler, no pruner, data set digits" in text


@pytest.mark.parametrize(
    ("pruner", "epochs", "warns"),
    [
        ("hyperband", {"low": 5, "high": 20}, True),
        ("median", {"choices": [5, 20]}, True),
        ("asha", {"low": 5, "high": 20}, False),
        ({"type": "patient"}, {"choices": [20], "when": {"num_layers": 1}}, True),
        ("hyperband", {"low": 5, "high": 5}, False),
        ("hyperband", 5, False),
        ("none", {"low": 5, "high": 20}, False),
    ],
)
def test_a_pruner_of_trials_of_different_lengths_is_warned_of(pruner, epochs, warns):
    parameters = {"epochs": epochs, "num_layers": {"choices": [1, 2]}}
    text = check_text(check(space_mapping(pruner=pruner, parameters=parameters)))
    last = text.splitlines()[-1]
    assert last.startswith("warning: epochs is searched") == warns
    assert ("fix epochs at the most (epochs: 20)" in last) == warns


def test_asha_without_a_rung_is_warned_of():
    def warnings(epochs: object) -> list[str]:
        parameters = {"epochs": epochs, "num_layers": {"choices": [1, 2]}}
        text = check_text(check(space_mapping(pruner="asha", parameters=parameters)))
        return [line for line in text.splitlines() if line.startswith("warning")]

    assert warnings(2) == []
    assert warnings(1) == ["warning: asha pauses no trial, because none has more than one epoch"]


@pytest.mark.parametrize(
    ("parameters", "futile"),
    [
        ({"optimizer": {"choices": ["sgd", "adamw"]}, "momentum": {"low": 0.1, "high": 0.9}}, []),
        ({"optimizer": "adamw", "momentum": {"low": 0.1, "high": 0.9}}, ["momentum"]),
        ({"max_shift": {"low": 0.1, "high": 0.2}}, ["max_shift"]),
        ({"num_layers": 1, "activation": {"choices": ["relu", "tanh"]}}, ["activation"]),
    ],
)
def test_what_is_searched_for_nothing_is_warned_of(parameters, futile):
    lines = check_text(check(space_mapping(parameters=parameters))).splitlines()
    assert [line.split()[1] for line in lines if "is searched without effect" in line] == futile


def test_a_star_is_explained_where_there_is_one():
    assert lines_of(0.25, None)[-1] == "* best epoch, whose weights were kept"
    assert not any("*" in line for line in lines_of(0.25, None, best_epoch=None))


def test_train_accuracy_has_a_column_where_it_is_known():
    head, first, second = shown(0.25, None)
    metrics = ["train loss", "validation loss", *NAMES, "train accuracy"]
    assert " ".join(head) == " ".join(["epoch", *metrics, "seconds"])
    assert first == ["1", "*", "1.0000", "1.0000", *["50.00%"] * 3, "25.00%", "0.10"]
    assert second == ["2", "1.0000", "1.0000", *["50.00%"] * 3, "–", "0.10"]


def test_an_old_trial_has_no_such_column():
    head, first = shown(None)
    assert "train accuracy" not in " ".join(head)
    assert first == ["1", "*", "1.0000", "1.0000", *["50.00%"] * 3, "0.10"]


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


def test_a_pruned_trial_names_its_pruner():
    outcome = TrialOutcome(0, TrialState.PRUNED, (make_metrics(0, 1),), best_epoch=1)
    trial = TrialRecord(0, TrialState.PRUNED, make_config().params, {}, outcome)
    space = {"name": "x", "dataset": "digits", "pruner": {"type": "median"}}
    study = replace(study_of(trial), space=load_space(space).to_json())
    _, reason, *_ = trial_text(study, trial, has_weights=False).splitlines()
    assert reason == f"{trial.reason} by the median pruner"


def test_without_a_driver_nothing_is_running():
    trial = TrialRecord(0, TrialState.RUNNING, {"epochs": 4}, {1: 0.5, 2: 0.6}, None)
    held = replace(study_of(trial), state=StudyState.RUNNING)
    assert headline(held) == "study x: running, 0 of 1 trial (1 running)"
    assert study_json(held, with_trials=True)["trials"][0]["state"] == "RUNNING"

    left = replace(held, state=StudyState.INTERRUPTED)
    assert headline(left) == "study x: interrupted, 0 of 1 trial (1 to finish)"
    shown = study_json(left, with_trials=True)["trials"][0]
    assert (shown["state"], shown["epochs_run"]) == ("WAITING", 2)
    assert list(left.to_dataframe()["state"]) == ["WAITING"]
    text = trial_text(left, trial, has_weights=False)
    assert text.startswith("trial 0 of study x: WAITING")
    assert "interrupted after epoch 2: it continues with its study" in text
    assert "running" not in (text + study_rows([left])).lower()


def test_check_says_what_share_meets_each_constraint_and_reflects_what_is_left():
    parameters = {"num_layers": {"choices": [1, 2]}, "layer_size": {"choices": [16, 32]}}
    limits = ["num_layers * layer_size <= 32", "num_parameters < 2000"]
    free = check(space_mapping(parameters={**parameters, "epochs": 1}, sampler="grid"))
    space = space_mapping(
        parameters={**parameters, "epochs": 1}, sampler="grid", budget={}, constraints=limits
    )
    found = check(space)
    lines = check_text(found).splitlines()
    start = lines.index("different configurations: 4, before constraints")
    assert [line.split() for line in lines[start + 1 : start + 5]] == [
        ["constraints:", "75%", "of", "4", "grid's", "configurations", "meet", "all"],
        [*limits[0].split(), "75%"],
        [*limits[1].split(), "75%"],
        ["networks:", "650", "to", "1,210", "parameters"],
    ]
    assert "budget: 3 trials; at most 3 epochs in all" in lines
    assert found.cost.max_parameters == 1210 < free.cost.max_parameters
    assert free.accepted is None
