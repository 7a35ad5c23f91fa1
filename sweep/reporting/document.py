"""The content of `report.json`. The page shows nothing that is not in it or in the tables."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from sweep.records import ConfusionMatrix, StudyRecord, TestReading, TrialState
from sweep.reporting import tables
from sweep.reporting.answer import Answer, answer
from sweep.reporting.reported import Reported
from sweep.reporting.series import best_so_far
from sweep.reporting.statistics import (
    Comparison,
    Interval,
    calibration,
    class_scores,
    compare_with_best,
    importances,
    interactions,
    matrix_difference,
)

__all__ = ["plain", "study_document", "validation_matrices"]

_SHOWN_MATRICES = 4


def study_document(
    study: Reported, *, top: int, notes: Sequence[str], storage_words: str
) -> dict[str, Any]:
    """Everything that the report says about one study, as plain data without NaN.

    Args:
        study: The study.
        top: Rows of the leaderboard.
        notes: What could not be done.
        storage_words: The option that commands need to find the store; may be empty.
    """
    record, space = study.record, study.space
    comparisons = compare_with_best(record)
    found = answer(study)
    document = {
        "state": record.state,
        "dataset": space.dataset.name,
        "objective": record.objective,
        "budget": {"trials": record.num_trials, "timeout_seconds": record.timeout_seconds},
        "sampler": space.sampler.type,
        "pruner": space.pruner.type,
        "notes": list(notes),
        "counts": tables.counts(record),
        "best": None if found is None else _best(found),
        "commands": {} if found is None else _commands(record.name, found, storage_words),
        "confirmation": study.confirmation,
        "test_readings": _readings(study),
        "trials_after_opening": tables.trials_after_opening(record, study.runs),
        "finished_by": record.finished_by,
        "class_names": list(record.data.class_names),
        "sampled_params": list(space.sampled),
        "pruning": tables.pruning(record),
        "failures": [
            row for row in tables.trial_rows(record, space) if row.state == TrialState.FAIL
        ],
        "best_so_far": best_so_far(record),
        "search_space": record.space,
        "search_space_beyond_defaults": space.model_dump(mode="json", exclude_defaults=True),
        "provenance": tables.provenance(record, space),
        **_ranking(study, comparisons, top),
        **_hyperparameters(study),
        **_mistakes(study),
    }
    cleaned: dict[str, Any] = plain(document)
    return cleaned


def plain(value: Any) -> Any:
    """What JSON holds: intervals are pairs, and a number that is none is null."""
    match value:
        case Interval():
            return [plain(value.low), plain(value.high)]
        case Enum():
            return value.value
        case Mapping():
            return {key: plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [plain(inner) for inner in value]
        case float():
            return value if math.isfinite(value) else None
        case _ if is_dataclass(value):
            return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
        case _:
            return value


# ---------------------------------------------------------------- the answer


def _best(found: Answer) -> dict[str, Any]:
    """The configuration of the search's trial, and what was measured of its network."""
    network = plain(found.network)
    measured = {key: network[key] for key in network if key not in ("number", "params", "value")}
    rest = {key: value for key, value in plain(found).items() if key not in ("trial", "network")}
    return {
        **plain(found.trial),
        **measured,
        **rest,
        "network_trial": found.network.number,
        "search_value": found.trial.value,
        "search_validation_accuracy": found.trial.validation_accuracy,
    }


def _commands(study: str, found: Answer, storage_words: str) -> dict[str, str]:
    name = shlex.quote(found.network_study)
    return {
        "confirm": f"sweep confirm {shlex.quote(study)}{storage_words}",
        "reproduce": f"sweep reproduce {name} {found.network.number}{storage_words}",
        "use": f"sweep predict {name} IMAGE.png --trial {found.network.number}{storage_words}",
    }


def _readings(study: Reported) -> list[dict[str, Any]]:
    """Every opening of the test split, in order of time."""
    of_search = [_reading(study.record, reading) for reading in study.record.test_readings]
    runs = study.runs
    of_runs = [] if runs is None else [_reading(runs, reading) for reading in runs.test_readings]
    return sorted([*of_search, *of_runs], key=lambda reading: str(reading["opened_at"]))


def _reading(record: StudyRecord, reading: TestReading) -> dict[str, Any]:
    finished = reading.confusion_matrix is not None and reading.num_images > 0
    return {
        "study": record.name,
        "trial": reading.trial,
        "opened_at": reading.opened_at,
        "num_trials": reading.num_trials,
        "finished": finished,
        "num_images": reading.num_images,
        "accuracy": reading.num_correct / reading.num_images if finished else None,
        "fingerprint": reading.fingerprint,
    }


# ---------------------------------------------------------------- the trials


def _ranking(study: Reported, comparisons: dict[int, Comparison], top: int) -> dict[str, Any]:
    rows = tables.leaderboard(study.record, study.space, comparisons, top)
    return {
        "ties": {
            "compared": len(comparisons),
            "tied": sum(comparison.tied for comparison in comparisons.values()),
        },
        "leaderboard": [_leaderboard_row(row) for row in rows],
    }


def _leaderboard_row(row: tables.LeaderboardRow) -> dict[str, Any]:
    comparison = row.comparison
    return {
        "rank": row.rank,
        **plain(row.trial),
        "validation_accuracy_interval": row.validation_accuracy_interval,
        "only_best_right": comparison.only_best if comparison else None,
        "only_this_right": comparison.only_other if comparison else None,
        "p_value": comparison.p_value if comparison else None,
        "p_value_holm": comparison.p_value_holm if comparison else None,
        "tied_with_best": comparison.tied if comparison else None,
    }


def _hyperparameters(study: Reported) -> dict[str, Any]:
    shares = importances(study.record, study.space)
    return {
        "importances": shares.shares,
        "importances_intervals": shares.intervals,
        "importances_note": shares.note,
        "interactions": interactions(study.record, study.space, shares),
    }


# ---------------------------------------------------------------- mistakes


def validation_matrices(record: StudyRecord) -> list[tuple[int, ConfusionMatrix]]:
    """Trial numbers and validation confusion matrices of the best trials that have one."""
    return [
        (trial.number, trial.outcome.validation_confusion_matrix)
        for trial in record.ranked()[:_SHOWN_MATRICES]
        if trial.outcome and trial.outcome.validation_confusion_matrix
    ]


def _mistakes(study: Reported) -> dict[str, Any]:
    record = study.record
    matrices = validation_matrices(record)
    reading = study.network.reading if study.network else None
    difference = None
    if len(matrices) > 1:
        difference = matrix_difference(matrices[0], matrices[1])
    return {
        "validation_confusion_matrices": [
            {"number": number, "matrix": matrix} for number, matrix in matrices
        ],
        "matrix_difference": difference,
        **_test_mistakes(record, reading),
    }


def _test_mistakes(record: StudyRecord, reading: TestReading | None) -> dict[str, Any]:
    if reading is None or reading.confusion_matrix is None:
        return {
            "test_confusions": [],
            "test_mistakes": [],
            "class_scores": [],
            "calibration": None,
        }
    names = tables.class_names(record, len(reading.confusion_matrix))
    return {
        "test_confusions": tables.confusions(record, reading.confusion_matrix),
        "test_mistakes": [
            {
                "index": mistake.index,
                "true": names[mistake.true],
                "predicted": names[mistake.predicted],
                "confidence": mistake.confidence,
            }
            for mistake in reading.mistakes
        ],
        "class_scores": class_scores(reading.confusion_matrix, names),
        "calibration": calibration(reading),
    }
