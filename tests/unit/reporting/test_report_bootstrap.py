"""Metrics other than the accuracy: what they are worth, and paired tests, by the bootstrap."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hand_made import (
    LABELS,
    NUM_CLASSES,
    make_study,
    make_trial,
    metrics_of,
    opened,
    packed,
    predictions,
)
from numpy.typing import NDArray

from sweep.codec import unpack_labels
from sweep.records import StudyRecord
from sweep.reporting.statistics import (
    SIGNIFICANCE,
    bootstrap,
    compare_readings,
    compare_with_best,
    optimism_interval,
    reading_interval,
    reading_value,
    validation_intervals,
    wilson_interval,
)
from sweep.reporting.statistics.bootstrap import (
    Replicate,
    replicates_of_losses,
    replicates_of_predictions,
)
from sweep.space import SearchSpace, load_space

METRICS = ("accuracy", "balanced_accuracy", "f1_macro")


def answers(
    random: np.random.Generator, num_examples: int, num_classes: int, *rights: float
) -> tuple[NDArray[np.int64], dict[int, NDArray[np.int64]]]:
    """Labels of unequal classes, and networks that are right so often by chance."""
    shares = np.arange(1, num_classes + 1) / (num_classes * (num_classes + 1) / 2)
    labels = random.choice(num_classes, num_examples, p=shares)
    guesses = random.integers(num_classes, size=(len(rights), num_examples))
    is_right = random.random(guesses.shape) < np.array(rights)[:, None]
    return labels, dict(enumerate(np.where(is_right, labels, guesses)))


def ranked_by(metric: str, space: SearchSpace) -> SearchSpace:
    goal = "minimize" if metric == "loss" else "maximize"
    return load_space(
        space.to_json() | {"objective": {"metric": f"validation_{metric}", "goal": goal}}
    )


# ---------------------------------------------------------------- against slow references


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("num_classes", [2, 5])
def test_resamples_are_scikit_learns_metrics_of_the_drawn_examples(
    metric: str, num_classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    num_examples, num_checked = 60, 60
    monkeypatch.setattr(bootstrap, "_PIECE", 7 * num_examples)  # several pieces
    labels, predicted = answers(np.random.default_rng(0), num_examples, num_classes, 0.9, 0.4)
    found = replicates_of_predictions(metric, labels, predicted, num_classes)
    random = np.random.default_rng(bootstrap._SEED)
    for resample in range(num_checked):
        drawn = random.integers(num_examples, size=num_examples)
        for network, replicate in found.items():
            expected = metrics_of(labels[drawn], predicted[network][drawn])[metric]
            assert replicate.draws[resample] == pytest.approx(expected)
    for network, replicate in found.items():
        assert replicate.value == pytest.approx(metrics_of(labels, predicted[network])[metric])
        assert len(replicate.draws) == bootstrap.NUM_RESAMPLES


def test_the_error_of_a_loss_is_that_of_resampled_means() -> None:
    random = np.random.default_rng(0)
    first = random.exponential(size=300).astype(np.float32)
    second = (first + random.normal(0.02, 0.2, 300)).astype(np.float32)
    one, other = replicates_of_losses({3: first, 5: second}).values()
    drawn = random.integers(300, size=(4000, 300))
    assert one.value == pytest.approx(first.mean(dtype=np.float64))
    assert one.error == pytest.approx(first[drawn].mean(axis=1).std(), rel=0.04)
    z = (one.value - other.value) / (first - second)[drawn].mean(axis=1).std()
    assert one.p_value(other) == pytest.approx(math.erfc(abs(z) / math.sqrt(2)), rel=0.1)
    assert one.p_value(other) == other.p_value(one)


def test_of_accuracies_it_is_nearly_the_test_of_the_discordant_examples() -> None:
    labels, predicted = answers(np.random.default_rng(1), 2000, 4, 0.85, 0.82)
    one, other = replicates_of_predictions("accuracy", labels, predicted, 4).values()
    only_one = np.count_nonzero((predicted[0] == labels) & (predicted[1] != labels))
    only_other = np.count_nonzero((predicted[1] == labels) & (predicted[0] != labels))
    difference = only_one - only_other
    z = difference / math.sqrt(only_one + only_other - difference**2 / 2000)
    expected = math.erfc(abs(z) / math.sqrt(2))
    assert 0.001 < expected < 0.2
    assert one.p_value(other) == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("metric", METRICS)
def test_networks_are_held_against_each_other_on_the_same_resamples(metric: str) -> None:
    """Two that share most of their mistakes differ, though their intervals overlap widely."""
    labels, predicted = answers(np.random.default_rng(0), 1000, 3, 0.7)
    better = predicted[0].copy()
    better[np.flatnonzero(better != labels)[:15]] = labels[better != labels][:15]
    found = replicates_of_predictions(metric, labels, {0: better, 1: predicted[0]}, 3)
    assert found[0].p_value(found[1]) < 0.001
    unpaired = (found[0].value - found[1].value) / math.hypot(found[0].error, found[1].error)
    assert unpaired < 1


# ---------------------------------------------------------------- odd answers


def test_networks_that_answer_alike_are_the_same() -> None:
    labels, predicted = answers(np.random.default_rng(0), 200, 3, 0.8)
    found = replicates_of_predictions("f1_macro", labels, {0: predicted[0], 1: predicted[0]}, 3)
    assert found[0].p_value(found[1]) == 1.0


def test_one_class_for_everything() -> None:
    labels, predicted = answers(np.random.default_rng(0), 300, 3, 0.9)
    constant = np.zeros_like(labels)
    found = replicates_of_predictions("f1_macro", labels, {0: predicted[0], 1: constant}, 3)
    assert found[1].value == pytest.approx(metrics_of(labels, constant)["f1_macro"])
    assert found[0].p_value(found[1]) < 1e-6
    balanced = replicates_of_predictions("balanced_accuracy", labels, {1: constant}, 3)[1]
    assert balanced.value == pytest.approx(1 / 3)
    assert balanced.interval(highest=1.0) is None  # a third in every resample


def test_without_a_mistake_nothing_is_known_of_the_interval() -> None:
    labels, _ = answers(np.random.default_rng(0), 300, 3, 0.9)
    flawless = replicates_of_predictions("f1_macro", labels, {0: labels}, 3)[0]
    assert (flawless.value, flawless.interval(highest=1.0)) == (1.0, None)


def test_intervals_end_where_no_value_can_be() -> None:
    near = Replicate(0.99, np.array([0.9, 1.0]))
    found = near.interval(highest=1.0)
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(0.99 - 1.96 * 0.05), 1.0)
    loss = Replicate(0.01, np.array([0.0, 0.2])).interval(highest=math.inf)
    assert loss is not None
    assert (loss.low, loss.high) == (0.0, pytest.approx(0.01 + 1.96 * 0.1))


# ---------------------------------------------------------------- how often it errs


def drawn_pair(random: np.random.Generator, metric: str, second: float) -> tuple[Replicate, ...]:
    """Two networks on new examples, some harder than others; the first is right in 4 of 5."""
    if metric == "loss":
        hardness = random.exponential(0.3, 400)
        factors = random.lognormal(0, 0.5, (2, 400)) * [[0.2], [1 - second]]
        losses = (hardness * factors).astype(np.float32)
        return tuple(replicates_of_losses(dict(enumerate(losses))).values())
    labels, predicted = answers(random, 400, 4, 0.8, second)
    easy = random.random(400) < 0.6
    same = {network: np.where(easy, labels, own) for network, own in predicted.items()}
    return tuple(replicates_of_predictions(metric, labels, same, 4).values())


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["balanced_accuracy", "f1_macro", "loss"])
def test_equal_networks_are_seldom_called_different(metric: str) -> None:
    random = np.random.default_rng(5)
    pairs = [drawn_pair(random, metric, 0.8) for _ in range(150)]
    num_different = sum(one.p_value(other) < SIGNIFICANCE for one, other in pairs)
    assert 1 <= num_different <= 15  # 7.5 on average, more than 15 in one of 250
    worse = [drawn_pair(random, metric, 0.6) for _ in range(20)]
    assert sum(one.p_value(other) < SIGNIFICANCE for one, other in worse) > 12


@pytest.mark.soak
@pytest.mark.parametrize("metric", ["balanced_accuracy", "f1_macro", "loss"])
def test_the_best_of_equal_networks_is_seldom_called_different(
    metric: str, space: SearchSpace
) -> None:
    random = np.random.default_rng(0)
    by_metric = ranked_by(metric, space)
    said = 0
    for _ in range(100):
        study = answered(by_metric, metric, random, num_trials=20, num_examples=1500)
        comparisons = compare_with_best(study)
        assert len(comparisons) == 19
        said += any(not comparison.tied for comparison in comparisons.values())
    assert said <= 8


# ---------------------------------------------------------------- whole studies


def answered(
    space: SearchSpace,
    metric: str,
    random: np.random.Generator,
    num_trials: int = 3,
    num_examples: int = 400,
    rights: tuple[float, ...] = (),
) -> StudyRecord:
    """Trials whose recorded values are those of their answers."""
    rights = rights or (0.9,) * num_trials
    labels, predicted = answers(random, num_examples, 3, *rights)
    trials = []
    for number, own in predicted.items():
        losses = np.where(own == labels, 0.1, 2.0).astype(np.float32)
        losses *= random.lognormal(0, 0.1, num_examples).astype(np.float32)
        value = losses.mean() if metric == "loss" else metrics_of(labels, own)[metric]
        trial = make_trial(space, number)
        assert trial.outcome is not None
        history = tuple(
            replace(epoch, values={**epoch.values, f"validation_{metric}": float(value)})
            for epoch in trial.outcome.history
        )
        outcome = replace(
            trial.outcome,
            history=history,
            validation_predictions=packed(own),
            validation_losses=losses.tobytes() if metric == "loss" else None,
        )
        trials.append(replace(trial, outcome=outcome))
    study = make_study(trials, space)
    return replace(study, data=replace(study.data, validation_labels=packed(labels)))


@pytest.mark.parametrize("metric", ["balanced_accuracy", "f1_macro", "loss"])
def test_trials_are_compared_in_what_the_study_ranks_by(metric: str, space: SearchSpace) -> None:
    by_metric = ranked_by(metric, space)
    study = answered(by_metric, metric, np.random.default_rng(0), rights=(0.95, 0.94, 0.7))
    found = compare_with_best(study)
    best = study.ranked()[0]
    best_value = study.value(best)
    assert best_value is not None
    assert len(found) == 2
    for number, comparison in found.items():
        value = study.value(study.trials[number])
        assert value is not None
        test = comparison.test
        assert (test.name, test.metric) == ("paired bootstrap test", metric)
        assert test.difference == pytest.approx(best_value - value)
        assert test.only_first is test.only_second is None
    assert not found[2].tied
    assert found[1 - best.number].tied
    # Two tests of three pairs.
    assert found[2].p_value_holm == pytest.approx(min(1, 3 * found[2].test.p_value))


def test_a_trial_without_losses_is_not_compared(space: SearchSpace) -> None:
    by_loss = ranked_by("loss", space)
    study = answered(by_loss, "loss", np.random.default_rng(0), num_trials=4)
    order = [trial.number for trial in study.ranked()]

    def without(number: int, losses: bytes | None) -> StudyRecord:
        outcome = study.trials[number].outcome
        assert outcome is not None
        trials = list(study.trials)
        trials[number] = replace(trials[number], outcome=replace(outcome, validation_losses=losses))
        return replace(study, trials=tuple(trials))

    cut = np.full(399, 0.1, np.float32).tobytes()
    for losses in (None, b"", cut, np.full(400, np.nan, np.float32).tobytes()):
        changed = without(order[1], losses)
        assert sorted(compare_with_best(changed)) == sorted(order[2:])
        assert sorted(validation_intervals(changed, changed.trials)) == sorted(
            [order[0], *order[2:]]
        )
    assert compare_with_best(without(order[0], None)) == {}


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["balanced_accuracy", "f1_macro", "loss"])
def test_intervals_are_those_of_the_metric(metric: str, space: SearchSpace) -> None:
    by_metric = ranked_by(metric, space)
    study = answered(by_metric, metric, np.random.default_rng(0), num_trials=2)
    value = study.value(study.trials[0])
    outcome = study.trials[0].outcome
    assert value is not None
    assert outcome is not None
    labels = unpack_labels(study.data.validation_labels, NUM_CLASSES)
    predicted = unpack_labels(outcome.validation_predictions or b"", NUM_CLASSES)
    losses = np.frombuffer(outcome.validation_losses or bytes(1600), np.float32)
    drawn = np.random.default_rng(8).integers(400, size=(300, 400))
    resampled = [
        losses[d].mean() if metric == "loss" else metrics_of(labels[d], predicted[d])[metric]
        for d in drawn
    ]
    interval = validation_intervals(study, study.trials)[0]
    assert interval.low + interval.high == pytest.approx(2 * value)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * np.std(resampled), rel=0.15)


def test_accuracies_have_wilsons_interval(study: StudyRecord) -> None:
    assert validation_intervals(study, study.trials[:1]) == {0: wilson_interval(39, 40)}


def test_the_test_split_says_the_same_metric() -> None:
    reading = opened(7)
    expected = metrics_of(LABELS, predictions(7))
    for metric in METRICS:
        assert reading_value(reading, metric) == pytest.approx(expected[metric])
    assert reading_value(reading, "loss") == 0.3
    assert reading_value(replace(reading, confusion_matrix=None), "f1_macro") is None
    assert reading_interval(reading, "accuracy") == wilson_interval(33, 40)
    interval = reading_interval(reading, "f1_macro")
    assert interval is not None
    assert interval.low < expected["f1_macro"] < interval.high
    assert interval != wilson_interval(33, 40)
    assert reading_interval(reading, "loss") is None  # of the examples one by one nothing is known
    assert reading_interval(replace(reading, labels=b""), "f1_macro") is None


def test_readings_are_compared_in_the_metric() -> None:
    found = compare_readings(opened(3), opened(20), "f1_macro")
    assert found is not None
    assert (found.name, found.metric) == ("paired bootstrap test", "f1_macro")
    values = [metrics_of(LABELS, predictions(num))["f1_macro"] for num in (3, 20)]
    assert found.difference == pytest.approx(values[0] - values[1])
    assert found.p_value < 0.001
    assert found.only_first is None
    same = compare_readings(opened(3), opened(3), "f1_macro")
    assert same is not None
    assert (same.difference, same.p_value) == (0.0, 1.0)


def test_the_errors_of_two_splits_add_up(space: SearchSpace) -> None:
    by_f1 = ranked_by("f1_macro", space)
    study = answered(by_f1, "f1_macro", np.random.default_rng(0), num_trials=1)
    trial, reading = study.trials[0], opened(7)
    found = optimism_interval(study, trial, reading)
    tested, validated = reading_interval(reading, "f1_macro"), validation_intervals(study, [trial])
    assert found is not None
    assert tested is not None
    halves = [(one.high - one.low) / 2 for one in (found, tested, validated[0])]
    assert halves[0] == pytest.approx(math.hypot(*halves[1:]))
    value, test_value = study.value(trial), reading_value(reading, "f1_macro")
    assert value is not None
    assert test_value is not None
    assert (found.low + found.high) / 2 == pytest.approx(value - test_value)
    assert optimism_interval(study, replace(trial, outcome=None), reading) is None
