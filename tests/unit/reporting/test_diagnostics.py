"""Every check warns of what it is for, is content without it, and says when it cannot judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hand_made import SPACE, make_reading, make_study, make_trial, study_of_runs, with_values

from sweep.codec import pack_labels
from sweep.records import (
    Failure,
    FailureKind,
    StudyRecord,
    TrialRecord,
    TrialState,
)
from sweep.reporting.answer import answer
from sweep.reporting.diagnostics import Diagnosis, Verdict, diagnoses, main_diagnoses
from sweep.reporting.reported import reported
from sweep.reporting.statistics import rank_correlation
from sweep.space import SearchSpace, load_space

WARNING, FINE, NOT_APPLICABLE = Verdict


def diagnosed(
    name: str, record: StudyRecord, space: SearchSpace, runs: StudyRecord | None = None
) -> Diagnosis:
    """What the check whose question contains these words found."""
    study = reported(record, space, runs)
    (found,) = [each for each in diagnoses(study, answer(study)) if name in each.name]
    if found.verdict is WARNING:
        assert found.remedy
    return found


def with_epochs(trial: TrialRecord, values: Sequence[float]) -> TrialRecord:
    """The trial, had it run so many epochs with these validation accuracies."""
    assert trial.outcome is not None
    last = trial.outcome.history[-1]
    history = tuple(
        with_values(replace(last, epoch=epoch), validation_accuracy=value)
        for epoch, value in enumerate(values, 1)
    )
    best = 1 + int(np.argmax(values))
    params = {**trial.params, "epochs": len(values)}
    return replace(
        trial, params=params, outcome=replace(trial.outcome, history=history, best_epoch=best)
    )


def test_all_checks_are_made_and_warnings_come_first(study, space):
    found = diagnoses(reported(study, space, None), answer(reported(study, space, None)))
    assert len({each.name for each in found}) == len(found) == 9
    order = [list(Verdict).index(each.verdict) for each in found]
    assert order == sorted(order)
    assert {each.name for each in main_diagnoses(reported(study, space, None), None)} <= {
        each.name for each in found
    }


def test_a_study_without_a_complete_trial_is_diagnosed_too(space):
    record = make_study([make_trial(space, n, state=TrialState.FAIL) for n in range(2)], space)
    found = diagnoses(reported(record, space, None), None)
    assert [each.verdict for each in found].count(WARNING) == 1  # too few trials


# ---------------------------------------------------------------- ranges


WIDTHS = {
    **SPACE,
    "parameters": {
        "num_layers": {"low": 2, "high": 6},
        "layer_size": {"choices": [64, 128, 256]},
        "weight_decay": {"low": 1e-4, "high": 1e-1, "log": True},
        "dropout": {"low": 0.0, "high": 0.5},
        "epochs": 3,
    },
}


def searched(**of_the_best: Any) -> tuple[StudyRecord, SearchSpace]:
    """Six trials; the best three have these values, the others lie in the middle."""
    space = load_space(WIDTHS)
    middle = {"num_layers": 4, "layer_size": 128, "weight_decay": 3e-3, "dropout": 0.25}
    trials = [
        make_trial(space, n, 1 + n, **(middle | of_the_best if n < 3 else middle)) for n in range(6)
    ]
    return make_study(trials, space), space


@pytest.mark.parametrize(
    ("best", "words"),
    [
        ({"layer_size": 256}, "layer_size 256 (upper end of 64 to 256)"),
        ({"num_layers": 6}, "num_layers 6 (upper end of 2 to 6)"),
        ({"num_layers": 2}, "num_layers 2 (lower end of 2 to 6)"),
        ({"weight_decay": 0.095}, "weight_decay 0.095 (upper end of 0.0001 to 0.1)"),
        ({"weight_decay": 1.05e-4}, "weight_decay 0.000105 (lower end of 0.0001 to 0.1)"),
    ],
)
def test_a_best_value_at_the_end_of_its_range_is_a_warning(best, words):
    found = diagnosed("inside the ranges", *searched(**best))
    assert found.verdict is WARNING
    assert words in found.evidence


@pytest.mark.parametrize("best", [{}, {"dropout": 0.0}, {"weight_decay": 0.03}])
def test_what_is_inside_or_cannot_be_exceeded_is_none(best):
    """Dropout below 0 does not exist."""
    assert diagnosed("inside the ranges", *searched(**best)).verdict is FINE


def test_one_trial_at_the_end_among_others_in_the_middle_is_none():
    record, space = searched()
    best = replace(record.trials[0], params={**record.trials[0].params, "layer_size": 256})
    record = replace(record, trials=(best, *record.trials[1:]))
    assert diagnosed("inside the ranges", record, space).verdict is FINE


def test_without_a_range_of_numbers_there_is_no_end():
    space = load_space({**SPACE, "parameters": {"activation": {"choices": ["relu", "tanh"]}}})
    record = make_study([make_trial(space, 0)], space)
    found = diagnosed("inside the ranges", record, space)
    assert (found.verdict, found.finding) == (
        NOT_APPLICABLE,
        "No range of numbers was searched.",
    )


# ---------------------------------------------------------------- the network


def test_what_is_not_above_the_commonest_class_is_a_warning(space):
    worse = make_reading(0, confusion_matrix=((9, 0, 0), (5, 1, 0), (5, 0, 0)), mistakes=())
    trials = [make_trial(space, 0)]
    found = diagnosed("needs no search", make_study(trials, space, readings=(worse,)), space)
    assert found.verdict is WARNING
    assert "always saying 'zero'" in found.finding
    good = make_study(trials, space, readings=(make_reading(0),))
    assert diagnosed("needs no search", good, space).verdict is FINE
    sealed = diagnosed("needs no search", make_study(trials, space), space)
    assert sealed.verdict is FINE  # by the validation split
    assert "`sweep confirm`" in sealed.evidence


@pytest.mark.parametrize(
    ("default", "verdict", "words"),
    [
        ([20, 21, 22], FINE, "It beats"),
        ([2, 3, 2], WARNING, "It is not shown to be better than the"),
        ([0, 0, 1], WARNING, "It is worse than the"),
    ],
)
def test_what_does_not_beat_the_default_configuration_is_a_warning(space, default, verdict, words):
    search = make_study([make_trial(space, n, 2 + n) for n in range(2)], space)
    runs = study_of_runs([[2, 3, 2], [9, 10, 9], default], [0, 1], space=space)
    assert runs.confirms is not None
    confirms = replace(runs.confirms, trials=(0, 1), baselines=("default",))
    found = diagnosed("needs no search", search, space, replace(runs, confirms=confirms))
    assert found.verdict is verdict
    assert words in found.finding
    assert "the default configuration" in found.finding


def fitted(space: SearchSpace, train: float, validation: float, **params: Any) -> StudyRecord:
    trial = make_trial(space, 0, **params)
    assert trial.outcome is not None
    history = tuple(
        with_values(m, train_accuracy=train, validation_accuracy=validation)
        for m in trial.outcome.history
    )
    trial = replace(trial, outcome=replace(trial.outcome, history=history))
    labels = pack_labels(np.arange(10_000) % 3, 3)
    study = make_study([trial], space)
    return replace(study, data=replace(study.data, validation_labels=labels))


@pytest.mark.parametrize(
    ("train", "validation", "params", "verdict", "words"),
    [
        (1.0, 0.98, {}, WARNING, "overfits"),
        (0.985, 0.98, {}, FINE, "Neither"),
        (0.979, 0.98, {}, WARNING, "may underfit"),
        (0.979, 0.98, {"dropout": 0.3, "num_layers": 3}, FINE, "Neither"),
        (1.0, 0.9999, {}, FINE, "Neither"),
    ],
)
def test_over_and_underfitting(space, train, validation, params, verdict, words):
    found = diagnosed("underfit", fitted(space, train, validation, **params), space)
    assert found.verdict is verdict
    assert words in found.finding


@pytest.mark.parametrize(
    ("best", "end", "verdict", "words"),
    [
        (1, {"train_loss": 0.2, "validation_loss": 0.33}, WARNING, "best after epoch 1 of 2"),
        (2, {"train_loss": 0.2, "validation_loss": 0.33}, FINE, "Neither"),
        (1, {"train_loss": 0.2, "validation_loss": 0.31}, FINE, "Neither"),
        (1, {"train_loss": 0.4, "validation_loss": 0.33}, FINE, "Neither"),
    ],
)
def test_what_gets_worse_from_an_early_epoch_on_overfits(space, best, end, verdict, words):
    study = fitted(space, 0.84, 0.8, dropout=0.3, num_layers=3)
    (trial,) = study.trials
    assert trial.outcome is not None
    losses = ({"train_loss": 0.3, "validation_loss": 0.3}, end)
    history = tuple(with_values(m, **v) for m, v in zip(trial.outcome.history, losses, strict=True))
    outcome = replace(trial.outcome, history=history, best_epoch=best)
    study = replace(study, trials=(replace(trial, outcome=outcome),))
    found = diagnosed("underfit", study, space)
    assert found.verdict is verdict
    assert words in found.finding


# ---------------------------------------------------------------- the pruner


@pytest.mark.parametrize(("sign", "verdict"), [(1, FINE), (-1, WARNING), (0, WARNING)])
def test_early_values_that_do_not_predict_the_end_are_a_warning(space, sign, verdict):
    random = np.random.default_rng(0)
    trials = []
    for number in range(20):
        early = 0.5 + (sign * number if sign else random.integers(20)) / 100
        trials.append(with_epochs(make_trial(space, number), [early, 0.8, 0.8, 0.8 + number / 200]))
    found = diagnosed("predict the end", make_study(trials, space), space)
    assert found.verdict is verdict
    assert "20 complete trials" in found.evidence


def test_of_few_or_short_trials_nothing_is_said_of_early_values(space):
    few = [with_epochs(make_trial(space, n), [0.5, 0.6, 0.7, 0.8]) for n in range(9)]
    found = diagnosed("predict the end", make_study(few, space), space)
    assert found.verdict is NOT_APPLICABLE
    assert "there are 9" in found.finding
    short = make_study([make_trial(space, n, n) for n in range(20)], space)
    assert "there are 0" in diagnosed("predict the end", short, space).finding


def test_rank_correlation_by_hand():
    pairs = [(1.0, 10.0), (2.0, 20.0), (3.0, 30.0), (4.0, 20.5), (5.0, 50.0)]
    found = rank_correlation(pairs)
    assert found is not None
    assert found.value == pytest.approx(0.9)  # 1 - 6 * 2 / (5 * 24)
    assert -1 < found.interval.low < found.value < found.interval.high < 1
    assert rank_correlation([(1.0, 1.0)] * 9) is None


def of_lengths(
    complete: Sequence[int], pruned: Sequence[int], **changes: Any
) -> tuple[StudyRecord, SearchSpace]:
    epochs = {"low": 5, "high": 20}
    plain = {**SPACE, "parameters": {**SPACE["parameters"], "epochs": epochs}, **changes}
    space = load_space(plain)
    trials = [
        make_trial(space, n, state=state, epochs=planned)
        for n, (state, planned) in enumerate(
            [(TrialState.COMPLETE, n) for n in complete] + [(TrialState.PRUNED, n) for n in pruned]
        )
    ]
    # A complete trial has run all of its epochs, a pruned one two of them.
    trials = [
        with_epochs(t, [0.9] * t.params["epochs"]) if t.state is TrialState.COMPLETE else t
        for t in trials
    ]
    return make_study(trials, space), space


def test_pruning_that_favours_short_trials_is_a_warning():
    found = diagnosed("favour short", *of_lengths([5, 6, 6, 7, 8, 7], [14, 15, 18, 20, 19, 12]))
    assert found.verdict is WARNING
    assert "epochs: 20" in found.remedy
    even = diagnosed("favour short", *of_lengths([5, 19, 6, 18, 12], [6, 18, 12, 7, 19]))
    assert even.verdict is FINE


@pytest.mark.parametrize(
    ("lengths", "changes", "words"),
    [
        (([5] * 6, [20] * 6), {"pruner": {"type": "none"}}, "Nothing is pruned."),
        (([5] * 6, [20] * 4), {}, "Fewer than 5 trials"),
    ],
)
def test_where_nothing_can_be_favoured_nothing_is_said(lengths, changes, words):
    found = diagnosed("favour short", *of_lengths(*lengths, **changes))
    assert found.verdict is NOT_APPLICABLE
    assert words in found.finding


# ---------------------------------------------------------------- the trials and the data


@pytest.mark.parametrize(("count", "verdict"), [(24, WARNING), (25, FINE)])
def test_too_few_trials_are_five_for_each_hyperparameter(space, count, verdict):
    assert len(space.sampled) == 5
    record = make_study([make_trial(space, n) for n in range(count)], space)
    found = diagnosed("enough trials", record, space)
    assert found.verdict is verdict
    assert f"{count} trials" in found.evidence


def failing(space: SearchSpace, number: int, kind: FailureKind, **params: Any) -> TrialRecord:
    trial = make_trial(space, number, state=TrialState.FAIL, **params)
    assert trial.outcome is not None
    return replace(trial, outcome=replace(trial.outcome, failure=Failure(kind, "why")))


def test_failures_alike_are_a_warning_with_what_sets_them_apart():
    space = load_space(
        {**SPACE, "parameters": {"learning_rate": {"low": 1e-4, "high": 1.0, "log": True}}}
    )
    good = [make_trial(space, n, learning_rate=1e-3 * (1 + n)) for n in range(6)]
    bad = [failing(space, 6 + n, FailureKind.NAN, learning_rate=0.3 + n / 10) for n in range(5)]
    found = diagnosed("one cause", make_study([*good, *bad], space), space)
    assert found.verdict is WARNING
    assert "All 5 failed trials failed alike (nan), and learning_rate sets them apart." in (
        found.finding
    )
    assert "learning_rate" in found.remedy
    alone = diagnosed("one cause", make_study(bad, space), space)
    assert alone.finding == "All trials failed alike (nan)."


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        ([], "No trial failed."),
        ([FailureKind.NAN] * 2, "Too few trials failed"),
        ([FailureKind.NAN] * 3 + [FailureKind.KILLED], "Failures differ"),
    ],
)
def test_few_or_different_failures_are_none(space, kinds, words):
    bad = [failing(space, 4 + n, kind) for n, kind in enumerate(kinds)]
    record = make_study([*(make_trial(space, n) for n in range(4)), *bad], space)
    found = diagnosed("one cause", record, space)
    assert found.verdict is FINE
    assert words in found.finding


@pytest.mark.parametrize(
    ("counts", "metric", "verdict"),
    [
        ([20, 15, 10], "validation_accuracy", FINE),
        ([21, 15, 10], "validation_accuracy", WARNING),
        ([21, 15, 10], "validation_balanced_accuracy", FINE),
        ([], "validation_accuracy", NOT_APPLICABLE),
    ],
)
def test_unbalanced_classes(counts, metric, verdict):
    space = load_space({**SPACE, "objective": metric})
    study = make_study([make_trial(space, 0)], space)
    labels = pack_labels(np.repeat(np.arange(3), counts), 3) if counts else b""
    study = replace(study, data=replace(study.data, validation_labels=labels))
    assert diagnosed("balanced", study, space).verdict is verdict


@pytest.mark.parametrize(("shared", "verdict"), [(None, NOT_APPLICABLE), (0, FINE), (3, WARNING)])
def test_test_examples_that_were_seen(space, shared, verdict):
    reading = make_reading(0, num_in_training=shared)
    record = make_study([make_trial(space, 0)], space, readings=(reading,))
    assert diagnosed("unseen", record, space).verdict is verdict
