from __future__ import annotations

import math
from dataclasses import replace

import pytest
import yaml
from hand_made import make_reading, make_study, make_trial

from sweep.records import StudyRecord, TrialState
from sweep.reporting import series, tables
from sweep.reporting.render import _yaml
from sweep.reporting.statistics import compare_with_best
from sweep.space import SearchSpace, load_space


def test_leaderboard_is_sorted_and_shares_ranks(study: StudyRecord, space: SearchSpace) -> None:
    rows = tables.leaderboard(study, space, compare_with_best(study), 5)
    assert [row.trial.number for row in rows] == [0, 1, 2, 3, 4]
    assert [row.rank for row in rows] == [1, 1, 3, 3, 5]
    assert rows[0].comparison is None
    assert rows[1].comparison is not None
    assert rows[1].comparison.tied
    interval = rows[0].validation_accuracy_interval
    assert interval is not None
    assert interval.low < 39 / 40 < interval.high


def test_best_joins_validation_and_test(study: StudyRecord, space: SearchSpace) -> None:
    best = tables.best_trial(study, space)
    assert best is not None
    assert best.test_accuracy == pytest.approx(18 / 20)
    assert best.test_errors == 2
    assert best.gap == pytest.approx(39 / 40 - 18 / 20)


def test_an_unfinished_reading_is_no_result(study: StudyRecord, space: SearchSpace) -> None:
    opened = replace(study, test_readings=(make_reading(0, confusion_matrix=None, num_images=0),))
    best = tables.best_trial(opened, space)
    assert best is not None
    assert best.test_accuracy is None


def test_trials_are_counted(study: StudyRecord) -> None:
    counts = tables.counts(study)
    assert (counts.trials, counts.complete, counts.pruned, counts.failed) == (12, 9, 1, 1)
    assert (counts.waiting, counts.epochs, counts.seconds) == (1, 22, 11.0)


def test_unused_parameters_are_named(study: StudyRecord, space: SearchSpace) -> None:
    rows = tables.trial_rows(study, space)
    assert rows[0].unused_params == ()
    assert rows[1].unused_params == ("momentum",)
    assert rows[11].params == {}


def test_confusions_are_sorted(study: StudyRecord) -> None:
    found = tables.confusions(study, ((8, 1, 0), (0, 6, 0), (3, 0, 4)))
    assert [(row.true, row.predicted, row.count, row.num_true) for row in found] == [
        ("two", "zero", 3, 7),
        ("zero", "one", 1, 9),
    ]


def test_provenance_lists_what_differs(study: StudyRecord, space: SearchSpace) -> None:
    outcome = study.trials[0].outcome
    assert outcome is not None
    other = replace(outcome, environment={"torch": "2.7.0", "commit": "abc"}, device="cuda")
    trials = (replace(study.trials[0], outcome=other), *study.trials[1:])
    made = tables.provenance(replace(study, trials=trials), space)
    assert made.versions == {"torch": ("2.7.0", "2.6.0"), "commit": ("abc",)}
    assert made.devices == {"cuda": 1, "cpu": 10}
    assert made.study_seed == 7


def test_history_shows_errors(study: StudyRecord) -> None:
    history = series.history(study)
    assert history.label == "Validation error (% of images)"
    assert history.points[0].shown == pytest.approx(2.5)
    assert history.best_so_far[-1] == (8, pytest.approx(2.5))
    assert history.points[-1].state is TrialState.PRUNED
    assert history.failed == (10,)


def test_no_error_at_all_is_drawn_as_half_an_image(space: SearchSpace) -> None:
    history = series.history(make_study([make_trial(space, 0, 0)], space))
    assert history.points[0].shown == pytest.approx(100 * 0.5 / 40)


def test_a_value_that_is_no_number_is_not_drawn(space: SearchSpace) -> None:
    trial = make_trial(space, 0)
    assert trial.outcome is not None
    broken = tuple(replace(m, validation_accuracy=math.nan) for m in trial.outcome.history)
    trial = replace(trial, outcome=replace(trial.outcome, history=broken))
    assert series.history(make_study([trial], space)).points == ()


def test_samples_know_unused_parameters(study: StudyRecord, space: SearchSpace) -> None:
    samples = series.samples(study, space)
    names = [axis.name for axis in samples.axes]
    assert set(names) == set(space.sampled)
    momentum = names.index("momentum")
    assert samples.samples[1].coordinates[momentum] is None
    assert samples.samples[0].coordinates[momentum] == 0.9
    assert samples.axes[names.index("weight_decay")].log
    assert samples.axes[names.index("activation")].choices == ("relu", "tanh")


def test_best_so_far_counts_every_epoch(study: StudyRecord) -> None:
    progress = series.best_so_far(study)
    assert progress.epochs == (2, 4, 6, 8, 10, 12, 14, 16, 18)
    assert progress.accuracies == (39 / 40,) * 9


def test_best_so_far_of_a_study_by_loss(space: SearchSpace) -> None:
    by_loss = load_space(
        space.to_json() | {"objective": {"metric": "validation_loss", "goal": "minimize"}}
    )
    trials = [make_trial(by_loss, 0, 8), make_trial(by_loss, 1, 2)]  # equal losses
    progress = series.best_so_far(make_study(trials, by_loss))
    assert progress.accuracies == (32 / 40, 32 / 40)
    assert series.history(make_study(trials, by_loss)).points[0].shown == pytest.approx(0.45)


def test_the_shown_yaml_starts_the_same_search(space: SearchSpace) -> None:
    shown = yaml.safe_load(_yaml(space.to_json()))
    assert load_space(shown).fingerprint == space.fingerprint
