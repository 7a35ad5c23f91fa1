"""Trials of one value: the loss ranks them, then the number of parameters, then their number."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from helpers import HERE, make_metrics, space_mapping

import sweep
from sweep.cli.progress import Tally
from sweep.records import (
    DataFacts,
    DataSpec,
    Objective,
    StudyRecord,
    StudyState,
    TrialOutcome,
    TrialRecord,
    TrialState,
)
from sweep.runner.spending import Spending
from sweep.words import equal_words

ACCURACY = Objective("validation_accuracy", "maximize")
EQUALS = [  # accuracy, loss, number of parameters
    (0.9, 0.1, 10),
    (0.95, 0.4, 10),
    (0.95, 0.3, 30),
    (0.95, 0.3, 20),
    (0.95, 0.3, 20),
    (0.95, 0.5, 5),
]
RANKED = [3, 4, 2, 1, 5, 0]


def outcome(number: int, accuracy: float, loss: float, num_parameters: int) -> TrialOutcome:
    return TrialOutcome(
        number,
        TrialState.COMPLETE,
        (make_metrics(number, 1, accuracy, loss),),
        num_parameters=num_parameters,
        best_epoch=1,
    )


def study(
    measured: list[tuple[float, float, int]] | list[None], objective: Objective = ACCURACY
) -> StudyRecord:
    spec = DataSpec("table", (1,), ("a", "b"), 10, 10)
    trials = [
        TrialRecord(number, TrialState.COMPLETE, {}, {}, outcome(number, *each))
        if each
        else TrialRecord(number, TrialState.FAIL, {}, {}, None)
        for number, each in enumerate(measured)
    ]
    return StudyRecord(
        "x", StudyState.FINISHED, {}, objective, None, None, DataFacts(spec, "", b""),
        tuple(trials), (),
    )  # fmt: skip


def test_equal_values_are_ranked_by_loss_then_size_then_number():
    ranked = study(EQUALS)
    assert [trial.number for trial in ranked.ranked()] == RANKED
    assert ranked.best is not None
    assert (ranked.best.number, ranked.num_best) == (3, 5)
    assert replace(ranked, keep_weights=2).with_weights == {3, 4}


def test_in_a_study_by_loss_equal_losses_are_ranked_by_size():
    ranked = study(EQUALS, Objective("validation_loss", "minimize"))
    assert [trial.number for trial in ranked.ranked()] == [0, 3, 4, 2, 1, 5]
    assert ranked.num_best == 1


def test_a_study_without_a_complete_trial_has_no_best():
    failed = study([None])
    assert (failed.best, failed.num_best, failed.ranked()) == (None, 0, [])


@pytest.mark.parametrize("order", list(itertools.permutations(range(1, 5))))
def test_the_best_so_far_does_not_depend_on_which_trial_ends_first(order):
    tally = Tally(objective=ACCURACY, finished={TrialState.COMPLETE: 0})
    tally.spending = Spending(study([]))
    for number in order:
        tally.update(outcome(number, *EQUALS[number]))
    assert tally.best is not None
    assert tally.best.trial == 3


def test_the_weights_that_are_kept_are_those_of_the_best_by_loss(storage, tmp_path, monkeypatch):
    monkeypatch.setattr(Objective, "value", lambda *_: 0.5)
    found = sweep.run(space_mapping(budget={"trials": 4}), storage=storage, keep_weights=1, **HERE)
    losses = [trial.outcome.best.values["validation_loss"] for trial in found.trials]
    assert losses.index(min(losses)) not in (0, 3), "the test needs a best trial in the middle"
    assert found.best.number == losses.index(min(losses))
    assert found.num_best == 4
    (file,) = tmp_path.rglob("*.safetensors")
    assert file.stem == f"trial-{found.best.number:05d}"


def test_how_many_are_equal_is_said_with_what_ranks_them():
    assert equal_words(3, "validation_accuracy") == (
        "3 trials share the best validation accuracy; they are ranked by lower validation loss, "
        "then fewer parameters, then their order"
    )
    assert "are ranked by fewer parameters" in equal_words(2, "validation_loss")
