"""Joins the parts: checks the request, reads the studies, draws, and writes the files."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sweep.errors import InputError, StoreError
from sweep.records import StudyRecord
from sweep.reporting import Report, figures, series, tables
from sweep.reporting.document import study_document, trials_csv, validation_matrices
from sweep.reporting.render import Picture, StudyPage, Thumbnail, render_page
from sweep.reporting.statistics import Importances
from sweep.space import SearchSpace
from sweep.store import Store

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["check_request", "read_studies", "write_report"]

_MAX_PREFIX = 64  # as long as a study's name may be, unless its store is a stranger's


def check_request(names: Sequence[str], out: str | os.PathLike[str] | None, top: int) -> Path:
    """The folder to write into, checked without writing anything.

    Raises:
        InputError: something about the request is wrong.
    """
    if not names:
        raise InputError("a report needs at least one study; found none: name one")
    if top < 1:
        raise InputError(f"top must be at least 1; found {top}")
    folder = Path("report") if out is None else Path(out)
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        raise InputError(
            f"the report cannot be written to {str(folder)!r}: {str(existing)!r} is a file; "
            "name a folder with --out"
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(
            f"the report cannot be written to {str(folder)!r}: {str(existing)!r} is read-only; "
            "name another folder with --out"
        )
    return folder


def read_studies(
    names: Sequence[str], storage: str, data_dir: str | os.PathLike[str] | None
) -> tuple[list[StudyRecord], dict[str, list[str]]]:
    """The studies, their best trials tested, and notes on what could not be done.

    Raises:
        StoreError: the store or a study in it cannot be used.
    """
    store = Store(storage, to_write=False)
    for name in names:
        store.require_study(name)
    records = [store.read_study(name) for name in names]
    for record in records:
        _space(record)
    notes: dict[str, list[str]] = {name: [] for name in names}
    for index, record in enumerate(records):
        if record.best is None:
            notes[record.name].append(
                "No trial is COMPLETE: there is nothing to choose from, and the test split "
                "stays sealed."
            )
        elif record.test_reading(record.best.number) is None:
            records[index] = _with_test_reading(record, storage, data_dir, notes[record.name])
    return records, notes


def _with_test_reading(
    record: StudyRecord,
    storage: str,
    data_dir: str | os.PathLike[str] | None,
    notes: list[str],
) -> StudyRecord:
    from sweep.evaluation import read_test_split  # torch, only where a reading is needed

    try:
        reading = read_test_split(storage, record.name, data_dir)
    except InputError as error:
        notes.append(f"Test split not read: {error}")
        return record
    return replace(record, test_readings=(*record.test_readings, reading))


def _space(record: StudyRecord) -> SearchSpace:
    try:
        return SearchSpace.model_validate(record.space)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(map(str, problem["loc"]))
        raise StoreError(
            f"the search space of study {record.name!r} is not valid in this version: {where}: "
            f"{problem['msg']}"
        ) from None


# ---------------------------------------------------------------- figures


@dataclass(frozen=True, slots=True)
class _Plan:
    """A figure that the report needs: where it goes, what it shows, how it is drawn."""

    kind: str
    description: str
    draw: Callable[[], Figure]


def _plans(record: StudyRecord, space: SearchSpace, document: dict[str, Any]) -> Iterator[_Plan]:
    """The figures that this study has enough data for."""
    yield from _matrix_plans(record, document)
    yield from _parameter_plans(record, space, document)
    yield from _course_plans(record)


def _metric(record: StudyRecord) -> str:
    return record.objective.metric.replace("_", " ")


def _matrix_plans(record: StudyRecord, document: dict[str, Any]) -> Iterator[_Plan]:
    best, matrices = document["best"], validation_matrices(record)
    if best and best["test_confusion_matrix"]:
        matrix = best["test_confusion_matrix"]
        yield _Plan(
            "test-confusion-matrix",
            f"Confusion matrix of trial {best['number']} on the test split, in images and in "
            "percent of the true class",
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


def _parameter_plans(
    record: StudyRecord, space: SearchSpace, document: dict[str, Any]
) -> Iterator[_Plan]:
    samples = series.samples(record, space)
    found = Importances(document["importances"], document["importances_note"])
    if found.shares:
        yield _Plan(
            "importances",
            "Share of importance of each hyperparameter",
            lambda: figures.draw_importances(found),
        )
    if samples:
        yield _Plan(
            "parallel-coordinates",
            f"Hyperparameters and {_metric(record)} of every trial as lines",
            lambda: figures.draw_parallel_coordinates(series.thinned(samples)),
        )
        yield _Plan(
            "slices",
            f"{_metric(record).capitalize()} against each hyperparameter",
            lambda: figures.draw_slices(series.thinned(samples)),
        )


def _course_plans(record: StudyRecord) -> Iterator[_Plan]:
    history, curves = series.history(record), series.learning_curves(record)
    chosen = series.chosen_curves(record)
    if history:
        yield _Plan(
            "history",
            f"{_metric(record).capitalize()} of each trial in order, and the best so far",
            lambda: figures.draw_history(history),
        )
    if curves:
        yield _Plan(
            "learning-curves",
            f"{_metric(record).capitalize()} of every trial, epoch by epoch",
            lambda: figures.draw_learning_curves(curves),
        )
    if chosen:
        yield _Plan(
            "losses",
            f"Loss and error of trial {chosen.number} in training and validation, epoch by epoch",
            lambda: figures.draw_chosen_curves(chosen),
        )


class _Drawer:
    """Draws figures once, for the page and for the folder."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def draw(self, prefix: str, plan: _Plan, identifier: str) -> Picture:
        with figures.drawing():
            figure = plan.draw()
        self.files[f"{prefix}-{plan.kind}.png"] = figures.to_png(figure)
        name = f"{identifier}-{plan.kind}"
        return Picture(
            figures.to_svg(figure, name=name, description=plan.description), plan.description
        )


def _thumbnails(record: StudyRecord) -> tuple[Thumbnail, ...]:
    reading = record.test_reading(record.best.number) if record.best else None
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


# ---------------------------------------------------------------- files


def _prefixes(names: Sequence[str]) -> list[str]:
    """Beginnings of file names: those of the studies, made harmless and kept apart."""
    prefixes: list[str] = []
    for name in names:
        harmless = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".")[:_MAX_PREFIX] or "study"
        taken = {prefix.lower() for prefix in prefixes}
        number = 2
        prefix = harmless
        while prefix.lower() in taken:
            prefix = f"{harmless}-{number}"
            number += 1
        prefixes.append(prefix)
    return prefixes


def write_report(
    folder: Path, records: Sequence[StudyRecord], notes: dict[str, list[str]], top: int
) -> Report:
    """Make everything in memory, then write it.

    Raises:
        InputError: the folder cannot be written.
    """
    studies = [(record, _space(record)) for record in records]
    drawer = _Drawer()
    pages: list[StudyPage] = []
    prefixes = _prefixes([record.name for record in records])
    for index, ((record, space), prefix) in enumerate(zip(studies, prefixes, strict=True), 1):
        with _understood(record.name):
            document = study_document(record, space, top=top, notes=notes[record.name])
            pictures = {
                plan.kind: drawer.draw(prefix, plan, f"study-{index}")
                for plan in _plans(record, space, document)
            }
            pages.append(StudyPage(record.name, document, pictures, _thumbnails(record)))
    progress = [series.best_so_far(record) for record in records]
    comparison = None
    if len(records) > 1 and any(study.epochs for study in progress):
        plan = _Plan(
            "best-so-far",
            "Validation error of the best trial so far against the epochs spent, by study",
            lambda: figures.draw_best_so_far([study for study in progress if study.epochs]),
        )
        comparison = drawer.draw("comparison", plan, "comparison")
    data: dict[str, Any] = {"studies": {page.name: page.document for page in pages}}
    text = json.dumps(data, indent=1, allow_nan=False, ensure_ascii=False)
    with _understood(*data["studies"]):
        html = render_page(pages, comparison)
    files = {
        **{f"figures/{name}": content for name, content in drawer.files.items()},
        "trials.csv": trials_csv(studies).encode(),
        "report.json": f"{text}\n".encode(),
        "report.html": html.encode(),
    }
    _write(folder, files)
    every_note = tuple(
        f"{record.name}: {note}" for record in records for note in notes[record.name]
    )
    return Report(folder, folder / "report.html", data, every_note)


@contextmanager
def _understood(*names: str) -> Iterator[None]:
    """What contradicts itself in a stranger's store is the store's fault, and is said in a line.

    Raises:
        StoreError: the study's records do not fit each other.
    """
    try:
        yield
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise StoreError(
            f"study {', '.join(map(repr, names))} cannot be shown: its records do not fit each "
            "other "
            f"({error}); its store is damaged or was changed by hand"
        ) from error


def _write(folder: Path, files: dict[str, bytes]) -> None:
    try:
        (folder / "figures").mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise InputError(
            f"the report cannot be written to {str(folder)!r}: {error.strerror} "
            f"({error.filename}); name another folder with --out"
        ) from None
