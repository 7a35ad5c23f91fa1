"""Everything that a report finds in one study, computed once: the page and the figures show it."""

from __future__ import annotations

from dataclasses import dataclass

from sweep.records import ConfusionMatrix, StudyRecord
from sweep.reporting import series, tables
from sweep.reporting.answer import Answer, answer
from sweep.reporting.answers import validation_matrix
from sweep.reporting.reported import Reported
from sweep.reporting.statistics import (
    Calibration,
    ClassScore,
    Comparison,
    Importances,
    Interactions,
    calibration,
    class_scores,
    compare_with_best,
    importances,
    interactions,
)

__all__ = ["Findings", "findings"]

_SHOWN_MATRICES = 4
_MAX_CLASSES = 60  # in a matrix of more nobody finds a cell; the tables name what is confused


@dataclass(frozen=True, slots=True)
class Findings:
    """What a report finds in one study.

    Attributes:
        study: The study.
        answer: What to use, or None while no trial is COMPLETE.
        comparisons: Every COMPLETE trial against the best one of the search, by number.
        leaderboard: The best trials of the search.
        importances: How much each hyperparameter decided.
        interactions: Which of them acted together.
        class_names: Names of the classes of the test split; empty if it was not read.
        confusions: The most frequent ones on the test split.
        class_scores: Of the test split.
        calibration: Of the network on the test split, or None if it was not recorded.
        test_matrix: Confusion matrix of the test split; None if it was not read, or has too many
            classes to be looked at.
        validation_matrices: Numbers and confusion matrices of the best trials of the search; empty
            with too many classes.
        difference: The second of them minus the first, or None.
    """

    study: Reported
    answer: Answer | None
    comparisons: dict[int, Comparison]
    leaderboard: tuple[tables.LeaderboardRow, ...]
    importances: Importances
    interactions: Interactions
    class_names: tuple[str, ...]
    confusions: tuple[tables.Confusion, ...]
    class_scores: tuple[ClassScore, ...]
    calibration: Calibration | None
    test_matrix: ConfusionMatrix | None
    validation_matrices: tuple[tuple[int, ConfusionMatrix], ...]
    difference: series.Difference | None


def findings(study: Reported, *, top: int) -> Findings:
    """Find it.

    Args:
        study: The study.
        top: Rows of the leaderboard.

    Raises:
        ContradictionError: what is recorded contradicts itself.
    """
    record, space = study.record, study.space
    comparisons = compare_with_best(record)
    shares = importances(record, space)
    reading = study.network.reading if study.network else None
    matrix = (reading.confusion_matrix if reading else None) or ()
    names = tables.class_names(record, len(matrix)) if matrix else ()
    matrices = _validation_matrices(record)
    return Findings(
        study=study,
        answer=answer(study),
        comparisons=comparisons,
        leaderboard=tables.leaderboard(record, space, comparisons, top),
        importances=shares,
        interactions=interactions(record, space, shares),
        class_names=names,
        confusions=tables.confusions(names, matrix),
        class_scores=class_scores(matrix, names) if matrix else (),
        calibration=calibration(reading) if reading else None,
        test_matrix=matrix if 0 < len(matrix) <= _MAX_CLASSES else None,
        validation_matrices=matrices,
        difference=series.matrix_difference(*matrices[:2]) if len(matrices) > 1 else None,
    )


def _validation_matrices(record: StudyRecord) -> tuple[tuple[int, ConfusionMatrix], ...]:
    if record.data.spec.num_classes > _MAX_CLASSES:
        return ()
    shown = record.ranked()[:_SHOWN_MATRICES]
    matrices = [(trial.number, validation_matrix(record, trial)) for trial in shown]
    return tuple((number, matrix) for number, matrix in matrices if matrix is not None)
