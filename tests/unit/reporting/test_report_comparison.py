from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hand_made import (
    DATA,
    PACKED,
    SPACE,
    make_study,
    make_trial,
    opened,
)
from scipy import stats
from statsmodels.stats.multitest import multipletests

from sweep.records import DataFacts, StudyRecord, TestReading, TrialState
from sweep.reporting.candidates import Confirmation
from sweep.reporting.comparison import compare_studies, epochs_to_reach, sensible_values
from sweep.reporting.reported import Network, Reported
from sweep.reporting.statistics import mcnemar, mean_interval, wilson_interval
from sweep.space import SearchSpace, load_space


def searched(
    space: SearchSpace, name: str, reading: TestReading | None, wrong: Sequence[int] = (2, 5)
) -> Reported:
    """A search that was not confirmed, with the reading of its best trial."""
    trials = [make_trial(space, number, count) for number, count in enumerate(wrong)]
    record = make_study(trials, space, name=name, readings=(reading,) if reading else ())
    best = record.best
    network = None if best is None else Network(name, best, reading)
    return Reported(record, space, None, None, best, network)


def confirmed(
    space: SearchSpace, name: str, reading: TestReading, accuracies: Sequence[float]
) -> Reported:
    found = searched(space, name, reading)
    return replace(
        found,
        confirmation=Confirmation(
            study=f"{name}.confirm",
            metric="validation_accuracy",
            finished=True,
            num_seeds=len(accuracies),
            candidates=(),
            winner=0,
            survived=True,
            test_values=tuple(accuracies),
            test_mean=mean_interval(accuracies),
        ),
    )


# ---------------------------------------------------------------- what it cost


def with_data(record: StudyRecord, fingerprint: str) -> StudyRecord:
    return replace(record, data=DataFacts(DATA, fingerprint, PACKED))


def test_epochs_are_counted_over_all_trials_in_order(space: SearchSpace) -> None:
    # Each trial runs two epochs, whatever becomes of it. Of 40 images.
    trials = [
        make_trial(space, 0, 20),
        make_trial(space, 1, 1, state=TrialState.PRUNED),
        make_trial(space, 2, state=TrialState.FAIL),
        make_trial(space, 3, 8),
        make_trial(space, 4, 10),
        make_trial(space, 5, 2),
        make_trial(space, 6, state=TrialState.WAITING),
    ]
    record = make_study(trials, space)
    # A half after one trial; 75 and 80 % after four; 95 % after six; never 97.5 %.
    found = epochs_to_reach(record, (0.5, 0.75, 0.8, 0.95, 0.975))
    assert found == (2, 8, 8, 12, None)
    assert epochs_to_reach(make_study([], space), (0.5,)) == (None,)


def test_accuracies_are_the_highest_that_were_reached(space: SearchSpace) -> None:
    good = make_study([make_trial(space, 0, 2), make_trial(space, 1, 20)], space)
    fair = make_study([make_trial(space, 0, 4)], space)
    assert sensible_values([good]) == (0.9, 0.92, 0.94, 0.95)
    assert sensible_values([fair, good]) == (0.9, 0.92, 0.94, 0.95)
    assert sensible_values([fair]) == (0.8, 0.85, 0.88, 0.9)


def test_each_data_set_has_its_own_accuracies(space: SearchSpace) -> None:
    easy = with_data(make_study([make_trial(space, 0, 2)], space), "aa")
    hard = with_data(make_study([make_trial(space, 0, 12)], space), "bb")
    assert sensible_values([easy, hard]) == (0.6, 0.7, 0.94, 0.95)
    many = [with_data(easy, f"{number:02}") for number in range(6)]
    assert sensible_values([*many, hard]) == (0.7, 0.95)


def test_nothing_reached_has_no_accuracies(space: SearchSpace) -> None:
    pruned = make_study([make_trial(space, 0, 2, state=TrialState.PRUNED)], space)
    assert sensible_values([]) == sensible_values([pruned]) == ()


# ---------------------------------------------------------------- side by side


def test_studies_are_summed_up(space: SearchSpace) -> None:
    found = compare_studies(
        [searched(space, "one", opened(4), wrong=(2, 5, 9)), searched(space, "two", None)]
    )
    one, two = found.studies
    assert (one.name, one.dataset, one.sampler, one.pruner) == (
        "one", "digits", "random", "hyperband",
    )  # fmt: skip
    assert (one.num_trials, one.epochs, one.seconds, one.best) == (3, 6, 3.0, 0)
    assert one.value == pytest.approx(38 / 40)
    assert one.metric == found.metric == "validation_accuracy"
    assert one.test is not None
    assert (one.test.value, one.test.interval) == (36 / 40, wilson_interval(36, 40))
    assert (one.test.confirmed, one.test.num_runs) == (False, 1)
    assert two.test is None
    assert found.values == (0.9, 0.92, 0.94, 0.95)
    assert one.epochs_to_reach == (2, 2, 2, 2)
    assert found.pairs == ()  # the second is sealed


def test_a_confirmed_study_has_the_mean_over_its_runs(space: SearchSpace) -> None:
    runs = (0.9, 0.95, 0.925)
    (one,) = compare_studies([confirmed(space, "one", opened(4), runs)]).studies
    assert one.test is not None
    assert one.test.value == pytest.approx(0.925)
    assert one.test.interval == mean_interval(runs).interval
    assert (one.test.confirmed, one.test.num_runs) == (True, 3)


def test_a_study_without_trials_is_no_hindrance(space: SearchSpace) -> None:
    (empty,) = compare_studies([searched(space, "empty", None, wrong=())]).studies
    assert empty.best is empty.value is empty.test is None
    assert (empty.num_trials, empty.epochs) == (0, 0)


def test_networks_are_compared_in_pairs_and_corrected(space: SearchSpace) -> None:
    studies = [
        searched(space, "good", opened(1)),
        searched(space, "fair", opened(4, 20)),
        searched(space, "poor", opened(15, 25)),
    ]
    pairs = compare_studies(studies).pairs
    assert [(pair.first, pair.second) for pair in pairs] == [
        ("good", "fair"), ("good", "poor"), ("fair", "poor"),
    ]  # fmt: skip
    networks = [pair.networks for pair in pairs]
    assert [(n.only_first, n.only_second) for n in networks if n] == [(4, 1), (15, 1), (15, 4)]
    p_values = [mcnemar(4, 1), mcnemar(15, 1), mcnemar(15, 4)]
    assert [n.p_value for n in networks if n] == p_values
    expected = multipletests(p_values, method="holm")[1]
    assert [pair.networks_p_value_holm for pair in pairs] == pytest.approx(list(expected))
    assert [pair.networks_tied for pair in pairs] == [True, False, False]
    # All three steps of Holm's correction, the last of which was not passed.
    levels = [1 - 0.05, 1 - 0.05 / 3, 1 - 0.05 / 2]
    assert [n.level for n in networks if n] == pytest.approx(levels)
    for test, level in zip(networks, levels, strict=True):
        assert test is not None
        assert test.interval is not None
        different = test.only_first + test.only_second
        share = stats.binomtest(test.only_first, different).proportion_ci(level, method="exact")
        scale = different / 40
        expected = [(2 * end - 1) * scale for end in (share.low, share.high)]
        assert list(test.interval) == pytest.approx(expected)
    for pair in pairs:
        assert pair.means is pair.means_p_value_holm is pair.means_tied is None


def test_configurations_are_compared_where_both_are_confirmed(space: SearchSpace) -> None:
    first, second = (0.95, 0.951, 0.949, 0.95), (0.9, 0.902, 0.899, 0.901)
    studies = [
        confirmed(space, "one", opened(2), first),
        confirmed(space, "two", opened(3), second),
        searched(space, "three", opened(3)),
    ]
    one_two, one_three, two_three = compare_studies(studies).pairs
    expected = stats.ttest_ind(first, second, equal_var=False)
    assert one_two.means is not None
    assert one_two.means.p_value == pytest.approx(expected.pvalue)
    assert one_two.means.difference == pytest.approx(0.0495)
    assert one_two.means_p_value_holm == one_two.means.p_value  # the only such test
    assert one_two.means_tied is False
    assert one_two.means.level == pytest.approx(0.95), "nothing had to be corrected"
    assert one_two.networks_tied is True
    assert one_three.means is two_three.means is None


@pytest.mark.parametrize(
    ("changes", "num_pairs"),
    [
        ({"fingerprint": "ef" * 32}, 0),  # another test split
        ({"fingerprint": ""}, 0),
        ({"labels": b"", "predictions": b""}, 1),  # an old reading of the same split
    ],
)
def test_networks_that_cannot_be_compared_are_not(
    space: SearchSpace, changes: dict[str, Any], num_pairs: int
) -> None:
    other = opened(3, **changes)
    pairs = compare_studies(
        [searched(space, "one", opened(2)), searched(space, "two", other)]
    ).pairs
    assert len(pairs) == num_pairs
    assert all(pair.networks is pair.networks_tied is None for pair in pairs)


def test_studies_of_other_spaces_are_compared(space: SearchSpace) -> None:
    other = load_space(
        SPACE | {"name": "other", "sampler": {"type": "tpe"}, "pruner": {"type": "none"}}
    )
    found = compare_studies([searched(space, "one", None), searched(other, "two", None)])
    assert [(study.sampler, study.pruner) for study in found.studies] == [
        ("random", "hyperband"), ("tpe", "none"),
    ]  # fmt: skip


def test_the_interval_of_means_has_the_level_that_decided(space: SearchSpace) -> None:
    near, middle, far = (0.95, 0.951, 0.949), (0.949, 0.951, 0.95), (0.9, 0.902, 0.899)
    studies = [
        confirmed(space, name, opened(2), values)
        for name, values in (("near", near), ("middle", middle), ("far", far))
    ]
    pairs = compare_studies(studies).pairs
    assert [pair.means_tied for pair in pairs] == [True, False, False]
    levels = [pair.means.level for pair in pairs if pair.means]
    assert sorted(levels) == pytest.approx([1 - 0.05, 1 - 0.05 / 2, 1 - 0.05 / 3])
    for pair, values in zip(pairs, [(near, middle), (near, far), (middle, far)], strict=True):
        assert pair.means is not None
        welch = stats.ttest_ind(*values, equal_var=False)
        expected = tuple(welch.confidence_interval(pair.means.level))
        assert pair.means.interval == pytest.approx(expected)
