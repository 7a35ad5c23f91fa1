"""Which figures a study has enough data for, drawn once for the page and for the folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sweep.records import StudyRecord, TestReading
from sweep.reporting import figures, series, tables
from sweep.reporting.comparison import StudyComparison
from sweep.reporting.findings import Findings
from sweep.reporting.render import Picture, Thumbnail
from sweep.reporting.reported import Reported
from sweep.words import capital, metric_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Drawer", "comparison_pictures", "study_pictures", "thumbnails"]


@dataclass(frozen=True, slots=True)
class _Plan:
    """A figure that the report needs.

    Attributes:
        kind: Part of its file's name.
        description: What it shows, for those who cannot see it.
        draw: Draws it.
        note: What its caption has to add for this study, or empty.
    """

    kind: str
    description: str
    draw: Callable[[], Figure]
    note: str = ""


class Drawer:
    """Draws figures, and keeps them as PNG files for the folder."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def draw(self, prefix: str, plan: _Plan, identifier: str) -> Picture:
        """One figure for the page; its file's name begins with `prefix`."""
        with figures.drawing():
            figure = plan.draw()
        self.files[f"{prefix}-{plan.kind}.png"] = figures.to_png(figure)
        name = f"{identifier}-{plan.kind}"
        svg = figures.to_svg(figure, name=name, description=plan.description)
        return Picture(svg, plan.description, plan.note)


def study_pictures(
    drawer: Drawer, found: Findings, *, prefix: str, identifier: str
) -> dict[str, Picture]:
    """The figures of one study by kind; one that there is too little data for is missing."""
    return {
        plan.kind: drawer.draw(prefix, plan, identifier)
        for plans in (_trust_plans, _matrix_plans, _parameter_plans, _course_plans)
        for plan in plans(found)
    }


def comparison_pictures(
    drawer: Drawer, studies: Sequence[Reported], comparison: StudyComparison
) -> dict[str, Picture]:
    """The figures that compare several studies, by kind."""
    return {
        plan.kind: drawer.draw("comparison", plan, "comparison")
        for plan in _comparison_plans(studies, comparison)
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
            lambda: figures.draw_study_tests(tested, metric),
        )
    if any(study.epochs for study in progress):
        yield _Plan(
            "best-so-far",
            f"{capital(metric_words(comparison.metric))} of the best trial so far "
            "against the epochs spent, by study, trials in the order of their numbers",
            lambda: figures.draw_best_so_far(progress),
        )


def thumbnails(record: StudyRecord, reading: TestReading | None) -> tuple[Thumbnail, ...]:
    """The most confident mistakes on the test split; none if they are no pictures."""
    if reading is None or not reading.mistakes or reading.image_shape[:1] not in ((1,), (3,)):
        return ()
    names = tables.class_names(record, len(reading.confusion_matrix or ()))
    brightest = max(max(mistake.image) for mistake in reading.mistakes)
    return tuple(
        Thumbnail(
            png=figures.image_png(mistake.image, reading.image_shape, brightest=brightest),
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
            lambda: figures.draw_confirmation(confirmation),
        )
    if calibration is not None:
        yield _Plan(
            "reliability",
            "Accuracy against confidence on the test split, and how many examples have which "
            "confidence",
            lambda: figures.draw_reliability(calibration),
        )


def _matrix_plans(found: Findings) -> Iterator[_Plan]:
    record, answer = found.study.record, found.answer
    matrices, difference = found.validation_matrices, found.difference
    matrix = found.test_matrix
    if answer is not None and matrix is not None:
        yield _Plan(
            "test-confusion-matrix",
            f"Confusion matrix of trial {answer.network.number} of {answer.network_study} on the "
            "test split, in examples and in percent of the true class",
            lambda: figures.draw_test_confusion_matrix(matrix, found.class_names),
        )
    if matrices:
        names = tables.class_names(record, len(matrices[0][1]))
        yield _Plan(
            "validation-confusion-matrices",
            "Confusion matrices of the best trials on the validation split",
            lambda: figures.draw_validation_confusion_matrices(matrices, names),
        )
    if difference is not None:
        yield _Plan(
            "matrix-difference",
            f"Confusion matrix of trial {difference.second} minus that of trial "
            f"{difference.first} on the validation split",
            lambda: figures.draw_difference(difference, names),
        )


def _parameter_plans(found: Findings) -> Iterator[_Plan]:
    record = found.study.record
    if found.importances.shares:
        yield _Plan(
            "importances",
            "Share of importance of each hyperparameter with 95 % intervals",
            lambda: figures.draw_importances(found.importances),
        )
    samples = series.samples(record, found.study.space)
    if samples is not None:
        shown = series.thinned(replace(samples, best=_chosen(found.study)))
        note = ""
        if shown.num_left_out:
            note = (
                f"{len(shown.samples):,} of {len(samples.samples):,} trials are drawn: the best "
                "and an even share of the others."
            )
        yield _Plan(
            "parallel-coordinates",
            f"Hyperparameters and {_metric(record)} of every trial as lines",
            lambda: figures.draw_parallel_coordinates(shown),
            note,
        )
        yield _Plan(
            "slices",
            f"{capital(_metric(record))} against each hyperparameter",
            lambda: figures.draw_slices(shown),
            note,
        )


def _chosen(study: Reported) -> int | None:
    return study.chosen.number if study.chosen else None


def _course_plans(found: Findings) -> Iterator[_Plan]:
    study = found.study
    record, chosen = study.record, _chosen(study)
    history, curves = series.history(record), series.learning_curves(record)
    own = series.chosen_curves(record, study.network.trial) if study.network else None
    timeline = series.timeline(record)
    if history is not None:
        yield _Plan(
            "history",
            f"{capital(_metric(record))} of each trial against the epochs spent, and the "
            "best so far, trials in the order of their numbers",
            lambda: figures.draw_history(replace(history, best=chosen)),
        )
    if curves is not None:
        yield _Plan(
            "learning-curves",
            f"{capital(_metric(record))} of every trial, epoch by epoch",
            lambda: figures.draw_learning_curves(replace(curves, best=chosen)),
            "Diamonds: audited trials, where the pruner would have ended them."
            if any(curve.audited for curve in curves.curves)
            else "",
        )
    if own is not None:
        yield _Plan(
            "losses",
            f"Loss and error of trial {own.number} in training and validation, epoch by epoch",
            lambda: figures.draw_chosen_curves(own),
            "" if own.train_error else "The training accuracy was not recorded.",
        )
    if timeline is not None:
        yield _Plan(
            "timeline",
            "When each worker trained which trial",
            lambda: figures.draw_timeline(timeline),
            f"{timeline.num_unknown:,} trials are not shown: their times are not recorded."
            if timeline.num_unknown
            else "",
        )
