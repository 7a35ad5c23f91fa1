"""Everything that a report finds in one study, computed once for page, figures and JSON."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweep.records import ConfusionMatrix, StudyRecord, TestReading, TrialState
from sweep.reporting import tables
from sweep.reporting.answer import Answer, answer
from sweep.reporting.diagnostics import Diagnosis, diagnoses
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
from sweep.space import ArraysFile, SearchSpace
from sweep.words import DEFAULT_STORAGE, command_words

__all__ = ["Findings", "Opening", "Places", "Ties", "findings"]

_MAX_CLASSES = 120  # in a matrix of more nobody finds a cell; the tables name what is confused


@dataclass(frozen=True, slots=True)
class Ties:
    """How many COMPLETE trials were compared with the best of the search, and by which test.

    `pairs` of trials could have been compared; the data cannot tell the `tied` ones from the best.
    `num_best` trials, the best included, have its very value. `cheapest` is the one of the tied
    ones with the fewest parameters, if it has fewer than the best, which has `best_parameters`.
    """

    resamples: int
    test: str | None
    compared: int
    pairs: int
    tied: int
    num_best: int
    cheapest: tables.TrialRow | None
    best_parameters: int


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

    Until a trial is COMPLETE, `answer` and `front` are None. `commands` are by their purpose.
    `confusions`, `class_names`, `class_scores`, `calibration` and `test_matrix` are of the test
    split: empty or None if it was not read. `validation_matrix` is of the search's best trial.
    There are no matrices of too many classes to draw.
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
    diagnoses: tuple[Diagnosis, ...]
    importances: Importances
    pruning: Pruning
    openings: tuple[Opening, ...]
    trials_after_opening: int
    class_names: tuple[str, ...]
    confusions: tuple[tables.Confusion, ...]
    class_scores: tuple[ClassScore, ...]
    calibration: Calibration | None
    test_matrix: ConfusionMatrix | None
    validation_matrix: ConfusionMatrix | None
    provenance: tables.Provenance


@dataclass(frozen=True, slots=True)
class Places:
    """Where a command of the page finds the store and the data, from any folder."""

    storage: str = DEFAULT_STORAGE
    data_dir: str | None = None

    @property
    def data_option(self) -> str:
        """The option of a command; empty for the default."""
        return "" if self.data_dir is None else f"--data-dir {shlex.quote(self.data_dir)}"


_ANYWHERE = Places()


def findings(
    study: Reported, *, top: int, notes: Sequence[str] = (), places: Places = _ANYWHERE
) -> Findings:
    """Compute it, with `top` rows of the leaderboard, and commands that work by `places`.

    Raises:
        ContradictionError: the records contradict each other.
    """
    record, space, reading = study.record, study.space, study.reading
    comparisons = compare_with_best(record)
    found = answer(study)
    failed = [trial for trial in record.trials if trial.state is TrialState.FAIL]
    matrix = (reading.confusion_matrix if reading else None) or ()
    names = tables.class_names(record, len(matrix)) if matrix else ()
    return Findings(
        study=study,
        notes=tuple(notes),
        data=tables.data_summary(record, reading),
        answer=found,
        commands=_commands(study, found, places),
        counts=tables.counts(record),
        confirmation_counts=tables.counts(study.runs) if study.runs else None,
        ties=_ties(record, space, comparisons),
        leaderboard=tables.leaderboard(record, space, comparisons, top),
        front=front(study, comparisons),
        failures=tuple(tables.trial_row(record, space, trial) for trial in failed),
        diagnoses=diagnoses(study, found),
        importances=importances(record, space),
        pruning=pruning(record),
        openings=_openings(study),
        trials_after_opening=tables.trials_after_opening(record),
        class_names=names,
        confusions=tables.confusions(names, matrix),
        class_scores=class_scores(matrix, names),
        calibration=calibration(reading) if reading else None,
        test_matrix=matrix if 0 < len(matrix) <= _MAX_CLASSES else None,
        validation_matrix=_validation_matrix(record),
        provenance=tables.provenance(record, space),
    )


def _commands(study: Reported, found: Answer | None, places: Places) -> dict[str, str]:
    name, own = study.record.name, study.space.model_option

    def command(verb: str, of: str, *arguments: str) -> str:
        return command_words(verb, of, places.storage, " ".join(filter(None, arguments)))

    commands = {
        "report": command("report", name, places.data_option),
        "resume": command("resume", name, own, places.data_option),
        "confirm": command("confirm", name, own, places.data_option),
        "confirm_front": command("confirm", name, "--front", own, places.data_option),
    }
    if study.runs is not None:
        commands["show_runs"] = command("show", study.runs.name)
    if found is not None:
        home, number = found.network_study, found.network.number
        commands |= {
            "reproduce": command("reproduce", home, str(number), own, places.data_option),
            "use": command("predict", home, _inputs(study), f"--trial {number}", own),
            "export": command("export", home, f"--trial {number}", own),
        }
    return commands


def _inputs(study: Reported) -> str:
    """What the study's networks classify, as an argument of a command."""
    if isinstance(study.space.dataset, ArraysFile):
        return "INPUTS.npy"
    return "IMAGE.png" if study.record.data.spec.kind == "image" else "ROWS.csv"


def _ties(
    record: StudyRecord, space: SearchSpace, comparisons: Mapping[int, Comparison[PairedTest]]
) -> Ties:
    tied = [number for number, comparison in comparisons.items() if comparison.tied]
    rows = [tables.trial_row(record, space, record.trial(number)) for number in tied]
    known = [row for row in rows if row.num_parameters]
    best = record.best.outcome.num_parameters if record.best and record.best.outcome else 0
    cheapest = min(known, key=lambda row: row.num_parameters or 0, default=None)
    is_cheaper = cheapest is not None and (cheapest.num_parameters or 0) < best
    return Ties(
        resamples=NUM_RESAMPLES,
        test=next((comparison.test.name for comparison in comparisons.values()), None),
        compared=len(comparisons),
        pairs=math.comb(len(comparisons) + 1, 2),
        tied=len(tied),
        num_best=record.num_best,
        cheapest=cheapest if is_cheaper else None,
        best_parameters=best,
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


def _validation_matrix(record: StudyRecord) -> ConfusionMatrix | None:
    if record.best is None or record.data.spec.num_classes > _MAX_CLASSES:
        return None
    return validation_matrix(record, record.best)
