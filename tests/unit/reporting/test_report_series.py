from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from hand_made import make_reading, make_study, make_trial, study_of_runs, with_values

from sweep.records import StudyRecord, TrialRecord, TrialState
from sweep.reporting import series
from sweep.reporting.candidates import Confirmation
from sweep.reporting.figures.course import draw_timeline
from sweep.reporting.reported import Reported, reported
from sweep.reporting.statistics import Mean, mean_interval
from sweep.space import SearchSpace, load_space, stored_space


def of(record: StudyRecord) -> Reported:
    """A search that was not confirmed."""
    return reported(record, stored_space(record), None)


def with_outcome(trial: TrialRecord, **changes: Any) -> TrialRecord:
    assert trial.outcome is not None
    return replace(trial, outcome=replace(trial.outcome, **changes))


# ---------------------------------------------------------------- course


def test_history_shows_errors_against_the_epochs_spent(study: StudyRecord) -> None:
    history = series.history(study, 0)
    assert history is not None
    assert history.label == "Validation error (%)"
    assert history.chosen == 0
    frame = history.frame.set_index("number")
    assert list(frame.index) == list(range(11))
    assert frame["height"][0] == pytest.approx(2.5)
    # Every trial ran two epochs; 0 to 8 are COMPLETE and the first of them is the best.
    assert list(frame["epochs_spent"]) == [2 * n for n in range(1, 12)]
    assert list(frame["best"]) == [pytest.approx(2.5)] * 11
    assert list(frame["state"]) == ["complete"] * 9 + ["pruned", "failed"]
    assert list(frame.index[frame["height"].isna()]) == [10]


def test_only_complete_trials_are_the_best_so_far(space: SearchSpace) -> None:
    trials = [
        make_trial(space, 0, 1, state=TrialState.PRUNED),
        make_trial(space, 1, 8),
        make_trial(space, 2, 4),
        make_trial(space, 3, 6),
    ]
    history = series.history(make_study(trials, space), None)
    assert history is not None
    best = history.frame["best"].tolist()
    assert math.isnan(best[0])
    assert best[1:] == pytest.approx([20, 10, 10])


def test_no_error_at_all_is_drawn_as_half_an_image(space: SearchSpace) -> None:
    study = make_study([make_trial(space, 0, 0), make_trial(space, 1)], space)
    history = series.history(study, None)
    assert history is not None
    assert history.frame["height"][0] == pytest.approx(100 * 0.5 / 40)


def test_a_value_that_is_no_number_is_not_drawn(space: SearchSpace) -> None:
    trial = make_trial(space, 0)
    assert trial.outcome is not None
    broken = tuple(with_values(m, validation_accuracy=math.nan) for m in trial.outcome.history)
    trial = with_outcome(trial, history=broken)
    valued = [make_trial(space, 1), make_trial(space, 2)]
    history = series.history(make_study([trial, *valued], space), None)
    assert history is not None
    assert history.frame["number"].tolist() == [1, 2]
    assert history.frame["epochs_spent"].tolist() == [4, 6]  # what the broken one took counts
    assert series.history(make_study([trial, valued[0]], space), None) is None


def test_too_little_to_draw_is_none(space: SearchSpace) -> None:
    empty = make_study([], space)
    assert series.history(empty, None) is None
    assert series.learning_curves(empty, None) is None
    assert series.samples(empty, space, None) is None
    assert series.timeline(empty) is None
    assert series.study_test(of(empty)) is None
    assert series.best_so_far(empty).epochs == ()
    assert series.best_so_far(empty).end == 0
    assert series.learning_curves(make_study([make_trial(space, 0)], space), None) is None
    short = with_outcome(make_trial(space, 0), best_epoch=1)
    assert short.outcome is not None
    short = with_outcome(short, history=short.outcome.history[:1])
    pair = [short, replace(short, number=1)]
    assert series.learning_curves(make_study(pair, space), None) is None
    assert series.chosen_curves(make_study([short], space), short) is None


def test_learning_curves_know_who_was_audited(space: SearchSpace) -> None:
    trials = [replace(make_trial(space, 0, 2), audited=1), make_trial(space, 1, 4)]
    curves = series.learning_curves(make_study(trials, space), 1)
    assert curves is not None
    frame = curves.frame
    assert frame["number"].tolist() == [0, 0, 1, 1]
    assert frame["epoch"].tolist() == [1, 2, 1, 2]
    assert frame["audited"].tolist() == [True, False, False, False]
    assert frame["height"][:2].tolist() == pytest.approx([52.5, 5.0])


def columns_of(curves: series.ChosenCurves | None) -> dict[tuple[str, str], list[float]]:
    """Loss and error of each split, epoch by epoch."""
    assert curves is not None
    return {
        (column, split): own[column].tolist()
        for split, own in curves.frame.groupby("split")
        for column in ("loss", "error")
    }


def test_chosen_curves_give_loss_and_error(space: SearchSpace) -> None:
    trial = make_trial(space, 0, 4)
    curves = series.chosen_curves(make_study([trial], space), trial)
    assert curves is not None
    assert curves.best_epoch == 2
    assert columns_of(curves) == {
        ("loss", "training"): [1.0, 0.5],
        ("loss", "validation"): [0.9, 0.45],
        ("error", "training"): pytest.approx([55, 10]),
        ("error", "validation"): pytest.approx([55, 10]),
    }
    assert trial.outcome is not None
    first, second = trial.outcome.history
    history = (
        with_values(first, train_accuracy=math.nan),
        with_values(second, train_accuracy=0.75),
    )
    trial = with_outcome(trial, history=history)
    errors = columns_of(series.chosen_curves(make_study([trial], space), trial))
    assert errors["error", "training"] == pytest.approx([math.nan, 25], nan_ok=True)


def test_heights_fit_a_logarithmic_axis_whatever_was_stored(space: SearchSpace) -> None:
    trial = make_trial(space, 0)
    assert trial.outcome is not None
    first, second = trial.outcome.history
    wild = (
        with_values(first, train_loss=math.inf, validation_loss=-1.0, validation_accuracy=-1e300),
        with_values(second, train_loss=1e300, validation_loss=0.0, validation_accuracy=7.0),
    )
    trial = with_outcome(trial, history=wild)
    found = columns_of(
        series.chosen_curves(make_study([trial, make_trial(space, 1)], space), trial)
    )
    assert found["loss", "training"] == pytest.approx([math.nan, 1e12], nan_ok=True)
    assert found["loss", "validation"] == [1e-12, 1e-12]
    assert found["error", "validation"] == [1e12, 1.25]


# ---------------------------------------------------------------- samples


def test_samples_know_unused_parameters(study: StudyRecord, space: SearchSpace) -> None:
    samples = series.samples(study, space, 0)
    assert samples is not None
    axes = {axis.name: axis for axis in samples.axes}
    assert set(axes) == set(space.sampled) == set(samples.params.columns)
    assert math.isnan(samples.params["momentum"][1])
    assert samples.params["momentum"][0] == 0.9
    assert samples.params["activation"][:2].tolist() == ["relu", "tanh"]
    assert axes["weight_decay"].log
    assert axes["activation"].choices == ("relu", "tanh")


def test_thinned_samples_keep_the_best() -> None:
    frame = pd.DataFrame({"state": "complete", "height": range(1000, 500, -1)})
    everything = series.Samples("", (series.Axis("a"),), frame, pd.DataFrame({"a": [0.0] * 500}), 7)
    thinned = series.thinned(everything, 100)
    numbers = thinned.frame.index.tolist()
    assert thinned.params.index.tolist() == numbers
    assert len(numbers) == 100
    assert thinned.num_left_out == 400
    assert numbers == sorted(set(numbers))
    assert {7, *range(491, 500)} <= set(numbers)  # the chosen one and the nine lowest
    assert sum(number < 250 for number in numbers) == pytest.approx(46, abs=2)  # the rest evenly
    assert series.thinned(everything, 500) is everything


# ---------------------------------------------------------------- comparison


def test_best_so_far_counts_every_epoch(study: StudyRecord) -> None:
    progress = series.best_so_far(study)
    assert progress.epochs == (2, 4, 6, 8, 10, 12, 14, 16, 18)
    assert progress.end == 22  # with a pruned trial and a failed one
    assert progress.values == (39 / 40,) * 9


def test_best_so_far_of_a_study_by_loss(space: SearchSpace) -> None:
    by_loss = load_space(
        space.to_json() | {"objective": {"metric": "validation_loss", "goal": "minimize"}}
    )
    trials = [make_trial(by_loss, 0, 8), make_trial(by_loss, 1, 2)]  # equal losses
    progress = series.best_so_far(make_study(trials, by_loss))
    assert progress.values == progress.shown == (0.45, 0.45)
    assert progress.label == "Validation loss (nats)"
    history = series.history(make_study(trials, by_loss), None)
    assert history is not None
    assert history.frame["height"][0] == pytest.approx(0.45)


def test_study_test_prefers_what_was_confirmed(study: StudyRecord) -> None:
    single = series.study_test(of(study))
    assert single is not None
    assert (single.value, single.confirmed, single.num_runs) == (0.9, False, 1)
    assert single.interval is not None
    assert single.interval.low < 0.9 < single.interval.high

    def confirmation(mean: Mean | None) -> Confirmation:
        return Confirmation(
            "c", "validation_accuracy", mean is not None, 2, (), None, None, (), mean
        )

    mean = mean_interval([0.8, 0.9])
    confirmed = series.study_test(replace(of(study), confirmation=confirmation(mean)))
    assert confirmed is not None
    assert (confirmed.value, confirmed.confirmed) == (pytest.approx(0.85), True)
    assert confirmed.interval == mean.interval
    assert series.study_test(replace(of(study), confirmation=confirmation(None))) == single
    unread = replace(study, test_readings=(make_reading(0, confusion_matrix=None),))
    assert series.study_test(of(unread)) is None


def test_a_winner_that_was_not_read_has_no_accuracy_of_another_trial(space: SearchSpace) -> None:
    """The search's best was tested before its confirmation, whose weights are gone."""
    trials = [make_trial(space, number, 2 + number) for number in range(2)]
    search = make_study(trials, space, readings=(make_reading(0),))
    runs = study_of_runs([[4, 6], [3, 1]], [0, 1], space=space)
    assert series.study_test(of(search)) is not None
    assert series.study_test(reported(search, space, runs)) is None
    read = replace(runs, test_readings=(make_reading(2), make_reading(3)))
    found = series.study_test(reported(search, space, read))
    assert found is not None
    assert (found.value, found.confirmed, found.num_runs) == (pytest.approx(0.9), True, 2)


# ---------------------------------------------------------------- timeline

BEGIN = datetime(2026, 3, 1, 12)


def worked(
    space: SearchSpace, number: int, start: float, end: float, worker: int | None = 0
) -> TrialRecord:
    trial = with_outcome(make_trial(space, number), worker=worker, seconds=0.0)
    return replace(
        trial,
        started_at=BEGIN + timedelta(seconds=start),
        ended_at=BEGIN + timedelta(seconds=end),
    )


def spans(timeline: series.Timeline) -> list[tuple[int, list[tuple[int, float, float]]]]:
    return [
        (own["worker"].iloc[0], [*zip(own["number"], own["start"], own["end"], strict=True)])
        for _, own in timeline.frame.groupby("row")
    ]


def test_trials_that_overlap_on_a_worker_get_rows_of_their_own(space: SearchSpace) -> None:
    trials = [
        worked(space, 0, 0, 10),
        worked(space, 1, 0, 20),
        worked(space, 2, 10, 30),
        worked(space, 3, 5, 30, worker=1),
    ]
    timeline = series.timeline(make_study(trials, space))
    assert timeline is not None
    assert spans(timeline) == [
        (0, [(0, 0, 10), (2, 10, 30)]),
        (0, [(1, 0, 20)]),
        (1, [(3, 5, 30)]),
    ]
    assert timeline.num_unknown == 0


def test_workers_of_one_node_are_together_and_named_after_it(space: SearchSpace) -> None:
    """After a resume, another machine may have the worker of a number."""
    trials = [
        with_outcome(worked(space, number, start, start + 10, worker), node=node)
        for number, start, worker, node in (
            (0, 0, 1, "beta"),
            (1, 0, 0, "alpha"),
            (2, 9.8, 1, "alpha"),
        )
    ]
    timeline = series.timeline(make_study(trials, space))
    assert timeline is not None
    rows = timeline.frame.sort_values("row")
    assert rows["node"].tolist() == ["alpha", "alpha", "beta"]
    assert rows["start"].round(6).tolist() == [0, 9.8, 0], "on another node, it waited for nobody"
    axes = draw_timeline(timeline).axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["alpha, worker 0", "alpha, worker 1", "beta, worker 1"]


def test_a_bar_is_as_long_as_the_training(space: SearchSpace) -> None:
    early = with_outcome(worked(space, 0, 0, 100), seconds=30.0)
    late = with_outcome(worked(space, 1, 0, 100), seconds=1e9)
    timeline = series.timeline(make_study([early, late], space))
    assert timeline is not None
    assert spans(timeline) == [(0, [(1, 0, 100)]), (0, [(0, 70, 100)])]


def test_being_told_a_little_late_needs_no_row(space: SearchSpace) -> None:
    trials = [worked(space, 0, 0, 100.5), worked(space, 1, 100, 200)]
    timeline = series.timeline(make_study(trials, space))
    assert timeline is not None
    assert spans(timeline) == [(0, [(0, 0, 100.5), (1, 100.5, 200)])]


def test_hostile_times_break_nothing(space: SearchSpace) -> None:
    trials = [
        worked(space, 0, 0, 10),
        worked(space, 1, 20, 10),  # ended before it began
        worked(space, 2, 0, 10, worker=None),
        replace(worked(space, 3, 0, 1), ended_at=None),
        replace(worked(space, 4, 0, 1), started_at=datetime.min, ended_at=datetime.max),
        replace(worked(space, 5, 0, 1), started_at=datetime.min.replace(tzinfo=UTC)),
        make_trial(space, 6),
        make_trial(space, 7, state=TrialState.RUNNING),
    ]
    timeline = series.timeline(make_study(trials, space))
    assert timeline is not None
    assert timeline.num_unknown == 4
    assert timeline.frame["row"].nunique() == 2
    assert series.timeline(make_study([trials[1], trials[2]], space)) is None


def test_more_rows_than_can_be_shown_are_not_shown(space: SearchSpace) -> None:
    trials = [worked(space, n, 0, 10, worker=n) for n in range(201)]
    assert series.timeline(make_study(trials, space)) is None
    assert series.timeline(make_study(trials[:200], space)) is not None
