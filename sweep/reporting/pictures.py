"""Which figures a study has enough data for, drawn once for the page and for the folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweep.records import StudyRecord, TestReading
from sweep.reporting import figures, series, tables
from sweep.reporting.document import validation_matrices
from sweep.reporting.render import Picture, Thumbnail
from sweep.reporting.reported import Reported

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Drawer", "comparison_pictures", "study_pictures", "thumbnails"]


@dataclass(frozen=True, slots=True)
class _Plan:
    """A figure that the report needs: where it goes, what it shows, how it is drawn."""

    kind: str
    description: str
    draw: Callable[[], Figure]


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
        return Picture(
            figures.to_svg(figure, name=name, description=plan.description), plan.description
        )


def study_pictures(
    drawer: Drawer, study: Reported, document: Mapping[str, Any], *, prefix: str, identifier: str
) -> dict[str, Picture]:
    """The figures of one study by kind; one that there is too little data for is missing."""
    return {
        plan.kind: drawer.draw(prefix, plan, identifier)
        for plans in (_matrix_plans, _parameter_plans, _course_plans)
        for plan in plans(study, document)
    }


def comparison_pictures(drawer: Drawer, studies: Sequence[Reported]) -> dict[str, Picture]:
    """The figures that compare several studies, by kind."""
    progress = [series.best_so_far(study.record) for study in studies]
    begun = [study for study in progress if study.epochs]
    if len(studies) < 2 or not begun:
        return {}
    plan = _Plan(
        "best-so-far",
        "Validation error of the best trial so far against the epochs spent, by study",
        lambda: figures.draw_best_so_far(begun),
    )
    return {plan.kind: drawer.draw("comparison", plan, "comparison")}


def thumbnails(record: StudyRecord, reading: TestReading | None) -> tuple[Thumbnail, ...]:
    """The most confident mistakes on the test split."""
    if reading is None or not reading.mistakes:
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
    return record.objective.metric.replace("_", " ")


def _matrix_plans(study: Reported, document: Mapping[str, Any]) -> Iterator[_Plan]:
    record, best = study.record, document["best"]
    matrices = validation_matrices(record)
    if best and best["test_confusion_matrix"]:
        matrix = best["test_confusion_matrix"]
        yield _Plan(
            "test-confusion-matrix",
            f"Confusion matrix of trial {best['network_trial']} of {best['network_study']} on the "
            "test split, in images and in percent of the true class",
            lambda: figures.draw_test_confusion_matrix(
                matrix, tables.class_names(record, len(matrix))
            ),
        )
    if matrices:
        yield _Plan(
            "validation-confusion-matrices",
            "Confusion matrices of the best trials on the validation split",
            lambda: figures.draw_validation_confusion_matrices(
                matrices, tables.class_names(record, len(matrices[0][1]))
            ),
        )


def _parameter_plans(study: Reported, document: Mapping[str, Any]) -> Iterator[_Plan]:
    record = study.record
    samples = series.samples(record, study.space)
    if document["importances"]:
        yield _Plan(
            "importances",
            "Share of importance of each hyperparameter",
            lambda: figures.draw_importances(document["importances"]),
        )
    if samples.axes and len(samples.samples) > 1:
        yield _Plan(
            "parallel-coordinates",
            f"Hyperparameters and {_metric(record)} of every trial as lines",
            lambda: figures.draw_parallel_coordinates(samples),
        )
        yield _Plan(
            "slices",
            f"{_metric(record).capitalize()} against each hyperparameter",
            lambda: figures.draw_slices(samples),
        )


def _course_plans(study: Reported, _: Mapping[str, Any]) -> Iterator[_Plan]:
    record = study.record
    history, curves = series.history(record), series.learning_curves(record)
    losses = series.loss_curves(record)
    if len(history.points) > 1:
        yield _Plan(
            "history",
            f"{_metric(record).capitalize()} of each trial in order, and the best so far",
            lambda: figures.draw_history(history),
        )
    if any(len(curve.shown) > 1 for curve in curves.curves):
        yield _Plan(
            "learning-curves",
            f"{_metric(record).capitalize()} of every trial, epoch by epoch",
            lambda: figures.draw_learning_curves(curves),
        )
    if losses and len(losses.train) > 1:
        yield _Plan(
            "losses",
            f"Training and validation loss of trial {losses.number}, epoch by epoch",
            lambda: figures.draw_loss_curves(losses),
        )
