"""Everything that a report finds in one study, computed once for page, figures and JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweep.records import ConfusionMatrix, StudyRecord, TestReading, TrialState
from sweep.reporting import series, tables
from sweep.reporting.answer import Answer, answer
from sweep.reporting.front import Front, front
from sweep.reporting.pruning import Pruning, pruning
from sweep.reporting.reported import Reported
from sweep.reporting.statistics import (
    NUM_RESAMPLES,
    Calibration,
    ClassScore,
    Comparison,
    Importances,
    PairedTest,
    calibration,
    class_scores,
    compare_with_best,
    importances,
    validation_matrix,
)
from sweep.space import ArraysFile
from sweep.words import DEFAULT_STORAGE, command_words

__all__ = ["Findings", "Opening", "Ties", "findings"]

_SHOWN_MATRICES = 4
_MAX_CLASSES = 120  # in a matrix of more nobody finds a cell; the tables name what is confused


@dataclass(frozen=True, slots=True)
class Ties:
    """How many COMPLETE trials were compared with the best of the search, and by which test.

    `pairs` of trials could have been compared; the data cannot tell the `tied` ones from the best.
    `num_best` trials, the best included, have its very value.
    """

    resamples: int
    test: str | None
    compared: int
    pairs: int
    tied: int
    num_best: int


@dataclass(frozen=True, slots=True)
class Opening:
    """One opening of the test split by a trial, when `num_trials` of its study had ended."""

    study: str
    trial: int
    opened_at: str
    num_trials: int
    finished: bool
    num_images: int
    accuracy: float | None
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Findings:
    """What a report finds in one study.

    Until a trial is COMPLETE, `answer` and `front` are None and `commands` (by purpose) are empty.
    `confusions`, `class_names`, `class_scores`, `calibration` and `test_matrix` are of the test
    split: empty or None if it was not read. There are no matrices of too many classes to draw.
    `difference` is the second of `validation_matrices` (of the best trials, by number) minus the
    first.
    """

    study: Reported
    notes: tuple[str, ...]
    data: tables.DataSummary
    answer: Answer | None
    commands: dict[str, str]
    counts: tables.Counts
    confirmation_counts: tables.Counts | None
    ties: Ties
    leaderboard: tuple[tables.LeaderboardRow, ...]
    front: Front | None
    failures: tuple[tables.TrialRow, ...]
    importances: Importances
    pruning: Pruning
    openings: tuple[Opening, ...]
    trials_after_opening: int
    class_names: tuple[str, ...]
    confusions: tuple[tables.Confusion, ...]
    class_scores: tuple[ClassScore, ...]
    calibration: Calibration | None
    test_matrix: ConfusionMatrix | None
    validation_matrices: tuple[tuple[int, ConfusionMatrix], ...]
    difference: series.Difference | None
    provenance: tables.Provenance


def findings(
    study: Reported, *, top: int, notes: Sequence[str] = (), storage: str = DEFAULT_STORAGE
) -> Findings:
    """Compute it, with `top` rows of the leaderboard and commands for a study in `storage`.

    Raises:
        ContradictionError: the records contradict each other.
    """
    record, space, reading = study.record, study.space, study.reading
    comparisons = compare_with_best(record)
    found = answer(study)
    failed = [trial for trial in record.trials if trial.state is TrialState.FAIL]
    matrix = (reading.confusion_matrix if reading else None) or ()
    names = tables.class_names(record, len(matrix)) if matrix else ()
    matrices = _validation_matrices(record)
    return Findings(
        study=study,
        notes=tuple(notes),
        data=tables.data_summary(record, reading),
        answer=found,
        commands=_commands(study, found, storage) if found else {},
        counts=tables.counts(record),
        confirmation_counts=tables.counts(study.runs) if study.runs else None,
        ties=_ties(record, comparisons),
        leaderboard=tables.leaderboard(record, space, comparisons, top),
        front=front(study, comparisons),
        failures=tuple(tables.trial_row(record, space, trial) for trial in failed),
        importances=importances(record, space),
        pruning=pruning(record),
        openings=_openings(study),
        trials_after_opening=tables.trials_after_opening(record),
        class_names=names,
        confusions=tables.confusions(names, matrix),
        class_scores=class_scores(matrix, names),
        calibration=calibration(reading) if reading else None,
        test_matrix=matrix if 0 < len(matrix) <= _MAX_CLASSES else None,
        validation_matrices=matrices,
        difference=series.matrix_difference(*matrices[:2]) if len(matrices) > 1 else None,
        provenance=tables.provenance(record, space),
    )


def _commands(study: Reported, found: Answer, storage: str) -> dict[str, str]:
    record = study.record
    home, number = found.network_study, found.network.number
    own = study.space.model_option
    use = f"{_inputs(study)} --trial {number} {own}"
    return {
        "confirm": command_words("confirm", record.name, storage, own),
        "confirm_front": command_words("confirm", record.name, storage, f"--front {own}"),
        "reproduce": command_words("reproduce", home, storage, f"{number} {own}"),
        "use": command_words("predict", home, storage, use),
        "export": command_words("export", home, storage, f"--trial {number} {own}"),
    }


def _inputs(study: Reported) -> str:
    """What the study's networks classify, as an argument of a command."""
    if isinstance(study.space.dataset, ArraysFile):
        return "INPUTS.npy"
    return "IMAGE.png" if study.record.data.spec.kind == "image" else "ROWS.csv"


def _ties(record: StudyRecord, comparisons: Mapping[int, Comparison[PairedTest]]) -> Ties:
    return Ties(
        resamples=NUM_RESAMPLES,
        test=next((comparison.test.name for comparison in comparisons.values()), None),
        compared=len(comparisons),
        pairs=math.comb(len(comparisons) + 1, 2),
        tied=sum(comparison.tied for comparison in comparisons.values()),
        num_best=record.num_best,
    )


def _openings(study: Reported) -> tuple[Opening, ...]:
    records = [study.record, study.runs] if study.runs else [study.record]
    found = [_opening(each.name, reading) for each in records for reading in each.test_readings]
    return tuple(sorted(found, key=lambda opening: opening.opened_at))


def _opening(study: str, reading: TestReading) -> Opening:
    finished = reading.confusion_matrix is not None and reading.num_images > 0
    return Opening(
        study=study,
        trial=reading.trial,
        opened_at=reading.opened_at,
        num_trials=reading.num_trials,
        finished=finished,
        num_images=reading.num_images,
        accuracy=reading.num_correct / reading.num_images if finished else None,
        fingerprint=reading.fingerprint,
    )


def _validation_matrices(record: StudyRecord) -> tuple[tuple[int, ConfusionMatrix], ...]:
    if record.data.spec.num_classes > _MAX_CLASSES:
        return ()
    return tuple(
        (trial.number, matrix)
        for trial in record.ranked()[:_SHOWN_MATRICES]
        if (matrix := validation_matrix(record, trial)) is not None
    )
