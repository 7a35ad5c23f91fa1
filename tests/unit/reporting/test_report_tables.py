from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import yaml
from hand_made import make_reading, make_study, make_trial

from sweep.records import StudyRecord
from sweep.reporting import tables
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
    interval = rows[0].value_interval
    assert interval is not None
    assert interval.low < 39 / 40 < interval.high


def test_counts_and_pruning(study: StudyRecord) -> None:
    counts = tables.counts(study)
    assert (counts.trials, counts.complete, counts.pruned, counts.failed) == (12, 9, 1, 1)
    assert (counts.waiting, counts.epochs, counts.seconds) == (1, 22, 11.0)


def test_time_by_the_clock_counts_no_moment_twice(space: SearchSpace) -> None:
    def at(minute: int) -> datetime:
        return datetime(2026, 3, 1, 12, minute)

    spans = [(0, 10), (5, 12), (6, 7), (30, 31)]  # overlapping, within, and after a pause
    trials = [
        replace(make_trial(space, number), started_at=at(start), ended_at=at(end))
        for number, (start, end) in enumerate(spans)
    ]
    assert tables.counts(make_study(trials, space)).clock_seconds == 13 * 60
    backwards = replace(trials[0], started_at=at(10), ended_at=at(0))
    assert tables.counts(make_study([backwards], space)).clock_seconds == 0
    assert tables.counts(make_study([make_trial(space, 0)], space)).clock_seconds is None


def test_unused_parameters_are_named(study: StudyRecord, space: SearchSpace) -> None:
    rows = [tables.trial_row(study, space, trial) for trial in study.trials]
    assert set(rows[0].unused_params) == {"layer_size", "activation", "dropout"}  # no hidden layer
    assert rows[1].unused_params == ("momentum",)
    assert rows[3].unused_params == ()
    assert rows[11].params == {}


def test_a_confirmation_is_no_opening(study: StudyRecord) -> None:
    """Trials after it are counted with it; whether the test split was open by then is unknown."""
    assert tables.trials_after_opening(study) == 0
    opened = replace(study, test_readings=(make_reading(0, num_trials=9),))
    assert tables.trials_after_opening(opened) == 11 - 9


def test_confusions_are_sorted() -> None:
    found = tables.confusions(("zero", "one", "two"), ((8, 1, 0), (0, 6, 0), (3, 0, 4)))
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


def test_the_shown_yaml_starts_the_same_search(space: SearchSpace) -> None:
    shown = yaml.safe_load(_yaml(space.to_json()))
    assert load_space(shown).fingerprint == space.fingerprint
