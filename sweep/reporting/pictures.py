"""Which figures a study has enough data for, drawn for the page and the folder."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweep.records import StudyRecord, TestReading
from sweep.reporting import figures, series, tables
from sweep.reporting.comparison import StudyComparison
from sweep.reporting.figures import course, hyperparameters, matrices, trust, weighing
from sweep.reporting.findings import Findings
from sweep.reporting.render import Picture, Thumbnail
from sweep.reporting.reported import Reported
from sweep.words import capital, metric_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["comparison_pictures", "study_pictures", "thumbnails"]


_TINY = 64  # pixels of a side: the page shows it larger than it is


@dataclass(frozen=True, slots=True)
class _Plan:
    """A figure before it is rendered: its kind, which names its file, and its `Picture`'s texts."""

    kind: str
    description: str
    figure: Figure
    note: str = ""


def study_pictures(found: Findings, identifier: str) -> dict[str, Picture]:
    """The figures of one study by kind; those with too little data are missing."""
    parts = (_trust_plans, _front_plans, _matrix_plans, _parameter_plans, _course_plans)
    return _drawn(itertools.chain.from_iterable(plans(found) for plans in parts), identifier)


def comparison_pictures(
    studies: Sequence[Reported], comparison: StudyComparison
) -> dict[str, Picture]:
    """The figures that compare several studies, by kind."""
    return _drawn(_comparison_plans(studies, comparison), "all")


def _drawn(plans: Iterator[_Plan], identifier: str) -> dict[str, Picture]:
    with figures.drawing():  # the generators make the figures, so they run inside it
        return {
            plan.kind: Picture(
                png=figures.to_png(plan.figure),
                svg=figures.to_svg(
                    plan.figure, name=f"{identifier}f{place}", description=plan.description
                ),
                description=plan.description,
                note=plan.note,
            )
            for place, plan in enumerate(plans)
        }


def _comparison_plans(studies: Sequence[Reported], comparison: StudyComparison) -> Iterator[_Plan]:
    tested = [study.test for study in comparison.studies]
    progress = [series.best_so_far(study.record) for study in studies]
    if comparison.metric is None:
        return
    metric = comparison.metric.replace("validation_", "test_")
    if any(tested):
        yield _Plan(
            "test",
            f"{capital(metric_words(metric))} of each study with its interval",
            trust.draw_study_tests(tested, metric),
        )
    if any(study.epochs for study in progress):
        yield _Plan(
            "best-so-far",
            f"{capital(metric_words(comparison.metric))} of the best trial so far "
            "against the epochs spent, by study, trials in the order of their numbers",
            trust.draw_best_so_far(progress),
        )


def thumbnails(record: StudyRecord, reading: TestReading | None) -> tuple[Thumbnail, ...]:
    """The most confident mistakes on the test split; none if its examples are not images."""
    if reading is None or not reading.mistakes or reading.image_shape[:1] not in ((1,), (3,)):
        return ()
    names = tables.class_names(record, len(reading.confusion_matrix or ()))
    brightest = max(max(mistake.image) for mistake in reading.mistakes)
    return tuple(
        Thumbnail(
            png=figures.image_png(mistake.image, reading.image_shape, brightest=brightest),
            is_tiny=max(reading.image_shape[1:]) <= _TINY,
            true=names[mistake.true],
            predicted=names[mistake.predicted],
            confidence=mistake.confidence,
        )
        for mistake in reading.mistakes
    )


def _metric(record: StudyRecord) -> str:
    return metric_words(record.objective.metric)


def _trust_plans(found: Findings) -> Iterator[_Plan]:
    confirmation, calibration = found.study.confirmation, found.calibration
    if confirmation is not None and any(row.mean for row in confirmation.candidates):
        yield _Plan(
            "confirmation",
            f"{capital(_metric(found.study.record))} of {len(confirmation.candidates)} "
            f"configurations on {confirmation.num_seeds} fresh seeds: runs, means with intervals, "
            "and the value in the search",
            trust.draw_confirmation(confirmation),
        )
    if calibration is not None:
        yield _Plan(
            "reliability",
            "Accuracy against confidence on the test split, and how many examples have which "
            "confidence",
            trust.draw_reliability(calibration),
        )


def _front_plans(found: Findings) -> Iterator[_Plan]:
    if found.front is not None and found.front.curves is not None:
        yield _Plan(
            "front",
            f"{capital(_metric(found.study.record))} of every complete trial against what it cost, "
            "and the front of those that no other beats or equals at no more cost",
            weighing.draw_front(found.front.curves),
        )


def _matrix_plans(found: Findings) -> Iterator[_Plan]:
    record, answer = found.study.record, found.answer
    test, validation = found.test_matrix, found.validation_matrix
    if answer is not None and test is not None:
        yield _Plan(
            "test-confusion-matrix",
            f"Confusion matrix of the network to use, {answer.network_words}, on the test split",
            matrices.draw_confusion_matrix(test, found.class_names, "Test examples"),
        )
    if validation is not None and record.best is not None:
        names = tables.class_names(record, len(validation))
        yield _Plan(
            "validation-confusion-matrix",
            f"Confusion matrix of trial {record.best.number}, the best of the search, on the "
            "validation split",
            matrices.draw_confusion_matrix(validation, names, "Validation examples"),
        )


def _parameter_plans(found: Findings) -> Iterator[_Plan]:
    record = found.study.record
    if found.importances.shares:
        yield _Plan(
            "importances",
            "Share of importance of each hyperparameter with its 95% interval",
            hyperparameters.draw_importances(found.importances),
        )
    samples = series.samples(record, found.study.space, _chosen(found.study))
    if samples is not None:
        shown = series.thinned(samples)
        note = ""
        if shown.num_left_out:
            note = (
                f"{len(shown.frame):,} of {len(samples.frame):,} trials are drawn: the best "
                "and an even share of the others."
            )
        yield _Plan(
            "slices",
            f"{capital(_metric(record))} against each hyperparameter",
            hyperparameters.draw_slices(shown, found.importances.effects),
            note,
        )


def _chosen(study: Reported) -> int | None:
    return study.chosen.number if study.chosen else None


def _course_plans(found: Findings) -> Iterator[_Plan]:
    study = found.study
    record, chosen = study.record, _chosen(study)
    history = series.history(record, chosen)
    curves = series.learning_curves(record, chosen)
    own = series.chosen_curves(record, study.network.trial) if study.network else None
    timeline = series.timeline(record)
    if history is not None:
        yield _Plan(
            "history",
            f"{capital(_metric(record))} of each trial against the epochs spent, and the "
            "best so far, trials in the order of their numbers",
            course.draw_history(history),
        )
    if curves is not None:
        yield _Plan(
            "learning-curves",
            f"{capital(_metric(record))} of every trial, epoch by epoch",
            course.draw_learning_curves(curves),
            "Diamonds: audited trials, where the pruner would have ended them."
            if curves.frame["audited"].any()
            else "",
        )
    if own is not None:
        yield _Plan(
            "losses",
            "Loss and error of the network to use in training and validation, epoch by epoch",
            course.draw_chosen_curves(own),
        )
    if timeline is not None:
        yield _Plan(
            "timeline",
            "When each worker trained which trial",
            course.draw_timeline(timeline),
            f"{timeline.num_unknown:,} trials are not shown: their times are not recorded."
            if timeline.num_unknown
            else "",
        )
