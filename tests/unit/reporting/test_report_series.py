from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hand_made import make_reading, make_study, make_trial, study_of_runs, with_values

from sweep.records import StudyRecord, TrialRecord, TrialState
from sweep.reporting import series
from sweep.reporting.candidates import Confirmation
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
    history = series.history(study)
    assert history is not None
    assert history.label == "Validation error (%)"
    assert history.points[0].shown == pytest.approx(2.5)
    # Every trial ran two epochs; 0 to 8 are COMPLETE and the first of them is the best.
    assert history.best_so_far == tuple((2 * n, pytest.approx(2.5)) for n in range(1, 10))
    assert history.points[-1].state is TrialState.PRUNED
    assert history.points[-1].epochs_spent == 20
    assert [(point.number, point.epochs_spent) for point in history.failed] == [(10, 22)]
    assert history.best == 0


def test_no_error_at_all_is_drawn_as_half_an_image(space: SearchSpace) -> None:
    history = series.history(make_study([make_trial(space, 0, 0), make_trial(space, 1)], space))
    assert history is not None
    assert history.points[0].shown == pytest.approx(100 * 0.5 / 40)


def test_a_value_that_is_no_number_is_not_drawn(space: SearchSpace) -> None:
    trial = make_trial(space, 0)
    assert trial.outcome is not None
    broken = tuple(with_values(m, validation_accuracy=math.nan) for m in trial.outcome.history)
    trial = with_outcome(trial, history=broken)
    valued = [make_trial(space, 1), make_trial(space, 2)]
    history = series.history(make_study([trial, *valued], space))
    assert history is not None
    assert [point.number for point in history.points] == [1, 2]
    assert history.points[0].epochs_spent == 4  # what the broken one took counts
    assert series.history(make_study([trial, valued[0]], space)) is None


def test_too_little_to_draw_is_none(space: SearchSpace) -> None:
    empty = make_study([], space)
    assert series.history(empty) is None
    assert series.learning_curves(empty) is None
    assert series.samples(empty, space) is None
    assert series.timeline(empty) is None
    assert series.study_test(of(empty)) is None
    assert series.learning_curves(make_study([make_trial(space, 0)], space)) is None
    short = with_outcome(make_trial(space, 0), best_epoch=1)
    assert short.outcome is not None
    short = with_outcome(short, history=short.outcome.history[:1])
    assert series.learning_curves(make_study([short, short], space)) is None
    assert series.chosen_curves(make_study([short], space), short) is None


def test_learning_curves_know_who_was_audited(space: SearchSpace) -> None:
    trials = [replace(make_trial(space, 0, 2), audited=1), make_trial(space, 1, 4)]
    curves = series.learning_curves(make_study(trials, space))
    assert curves is not None
    assert [curve.audited for curve in curves.curves] == [1, None]
    assert curves.curves[0].shown == (pytest.approx(52.5), pytest.approx(5.0))


def test_chosen_curves_give_loss_and_error(space: SearchSpace) -> None:
    trial = make_trial(space, 0, 4)
    curves = series.chosen_curves(make_study([trial], space), trial)
    assert curves is not None
    assert curves.train_loss == (1.0, 0.5)
    assert curves.validation_loss == (0.9, 0.45)
    assert curves.train_error == (pytest.approx(55), pytest.approx(10))
    assert curves.validation_error == (pytest.approx(55), pytest.approx(10))
    assert curves.best_epoch == 2
    assert trial.outcome is not None
    first, second = trial.outcome.history
    history = (
        with_values(first, train_accuracy=math.nan),
        with_values(second, train_accuracy=0.75),
    )
    trial = with_outcome(trial, history=history)
    curves = series.chosen_curves(make_study([trial], space), trial)
    assert curves is not None
    assert math.isnan(curves.train_error[0])
    assert curves.train_error[1] == 25


def test_heights_fit_a_logarithmic_axis_whatever_was_stored(space: SearchSpace) -> None:
    trial = make_trial(space, 0)
    assert trial.outcome is not None
    first, second = trial.outcome.history
    wild = (
        with_values(first, train_loss=math.inf, validation_loss=-1.0, validation_accuracy=-1e300),
        with_values(second, train_loss=1e300, validation_loss=0.0, validation_accuracy=7.0),
    )
    trial = with_outcome(trial, history=wild)
    curves = series.chosen_curves(make_study([trial, make_trial(space, 1)], space), trial)
    assert curves is not None
    assert math.isnan(curves.train_loss[0])
    assert curves.train_loss[1] == 1e12
    assert curves.validation_loss == (1e-12, 1e-12)
    assert curves.validation_error == (1e12, 1.25)


# ---------------------------------------------------------------- samples


def test_samples_know_unused_parameters(study: StudyRecord, space: SearchSpace) -> None:
    samples = series.samples(study, space)
    assert samples is not None
    names = [axis.name for axis in samples.axes]
    assert set(names) == set(space.sampled)
    momentum = names.index("momentum")
    assert samples.samples[1].coordinates[momentum] is None
    assert samples.samples[0].coordinates[momentum] == 0.9
    assert samples.axes[names.index("weight_decay")].log
    assert samples.axes[names.index("activation")].choices == ("relu", "tanh")


def test_thinned_samples_keep_the_best() -> None:
    def sample(number: int) -> series.Sample:
        return series.Sample(number, TrialState.COMPLETE, float(1000 - number), (0.0,))

    everything = series.Samples("", (series.Axis("a"),), tuple(map(sample, range(500))), 7)
    thinned = series.thinned(everything, 100)
    numbers = [sample.number for sample in thinned.samples]
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
    assert progress.values == (39 / 40,) * 9


def test_best_so_far_of_a_study_by_loss(space: SearchSpace) -> None:
    by_loss = load_space(
        space.to_json() | {"objective": {"metric": "validation_loss", "goal": "minimize"}}
    )
    trials = [make_trial(by_loss, 0, 8), make_trial(by_loss, 1, 2)]  # equal losses
    progress = series.best_so_far(make_study(trials, by_loss))
    assert progress.values == progress.shown == (0.45, 0.45)
    assert progress.label == "Validation loss (nats)"
    history = series.history(make_study(trials, by_loss))
    assert history is not None
    assert history.points[0].shown == pytest.approx(0.45)


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


def test_difference_of_matrices_by_hand() -> None:
    difference = series.matrix_difference((3, ((5, 1), (2, 4))), (8, ((6, 0), (3, 3))))
    assert difference == series.Difference(3, 8, ((1, -1), (1, -1)), 0)
    better = series.matrix_difference((3, ((5, 1), (2, 4))), (8, ((6, 0), (2, 4))))
    assert better is not None
    assert better.num_mistakes == -1
    assert series.matrix_difference((0, ((1, 0), (0, 1))), (1, ((2, 0), (0, 1)))) is None
    assert series.matrix_difference((0, ((1, 0), (0, 1))), (1, ((1,),))) is None
    assert series.matrix_difference((0, ((1, 0), (0, 1))), (1, ((1,), (1,)))) is None


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
        (row.worker, [(bar.number, bar.start, bar.end) for bar in row.bars])
        for row in timeline.rows
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
    assert (timeline.pauses, timeline.seconds, timeline.num_unknown) == ((), 30, 0)


def test_long_pauses_are_cut_out(space: SearchSpace) -> None:
    trials = [worked(space, 0, 0, 50), worked(space, 1, 3650, 3700), worked(space, 2, 3705, 3805)]
    timeline = series.timeline(make_study(trials, space))
    assert timeline is not None
    # 200 seconds were busy: a pause is drawn 4 seconds wide, and one of 5 seconds is left.
    assert timeline.pauses == (series.Pause(50, 54, 3600),)
    assert spans(timeline) == [(0, [(0, 0, 50), (1, 54, 104), (2, 109, 209)])]
    assert timeline.seconds == 209


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
    assert len(timeline.rows) == 2
    assert series.timeline(make_study([trials[1], trials[2]], space)) is None
    # As many pauses as trials: they never take up more than a sixth of the figure.
    years = [worked(space, n, 1e7 * n, 1e7 * n + 1) for n in range(100)]
    timeline = series.timeline(make_study(years, space))
    assert timeline is not None
    assert len(timeline.pauses) == 99
    assert timeline.seconds == pytest.approx(120)


def test_more_rows_than_can_be_shown_are_not_shown(space: SearchSpace) -> None:
    trials = [worked(space, n, 0, 10, worker=n) for n in range(201)]
    assert series.timeline(make_study(trials, space)) is None
    assert series.timeline(make_study(trials[:200], space)) is not None
