"""The content of `report.json` and `trials.csv`. The page shows nothing that is not in them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sweep.records import ConfusionMatrix, StudyRecord, TestReading, TrialState
from sweep.reporting import tables
from sweep.reporting.pruning import pruning
from sweep.reporting.series import best_so_far
from sweep.reporting.statistics import (
    Comparison,
    Interval,
    compare_with_best,
    importances,
)
from sweep.space import PARAMETERS, SearchSpace

__all__ = ["study_document", "trials_csv", "validation_matrices"]

_SHOWN_MATRICES = 4


def study_document(
    record: StudyRecord, space: SearchSpace, *, top: int, notes: Sequence[str]
) -> dict[str, Any]:
    """Everything that the report says about one study, as plain data without NaN."""
    comparisons = compare_with_best(record)
    shares = importances(record, space)
    best = tables.best_trial(record, space)
    document = {
        "state": record.state.value,
        "dataset": space.dataset.name,
        "objective": asdict(record.objective),
        "budget": {"trials": record.num_trials, "timeout_seconds": record.timeout_seconds},
        "sampler": space.sampler.type,
        "pruner": space.pruner.type,
        "notes": list(notes),
        "counts": asdict(tables.counts(record)),
        "best": None if best is None else _best(best),
        "ties": _ties(comparisons),
        "leaderboard": [
            _leaderboard_row(row) for row in tables.leaderboard(record, space, comparisons, top)
        ],
        "importances": shares.shares,
        "importances_note": shares.note,
        "test_readings": [_reading(reading) for reading in record.test_readings],
        "trials_after_opening": tables.trials_after_opening(record),
        "finished_by": record.finished_by,
        "test_confusions": _test_confusions(record, best),
        "test_mistakes": _mistakes(record, best),
        "validation_confusion_matrices": [
            {"number": number, "matrix": matrix} for number, matrix in validation_matrices(record)
        ],
        "class_names": list(record.data.class_names),
        "sampled_params": list(space.sampled),
        "pruning": asdict(pruning(record)),
        "failures": [
            asdict(row) for row in tables.trial_rows(record, space) if row.state == TrialState.FAIL
        ],
        "best_so_far": _best_so_far(record),
        "learning_curves": _curves(record),
        "search_space": record.space,
        "provenance": asdict(tables.provenance(record, space)),
    }
    cleaned: dict[str, Any] = _finite(document)
    return cleaned


def validation_matrices(record: StudyRecord) -> list[tuple[int, ConfusionMatrix]]:
    """Trial numbers and validation confusion matrices of the best trials that have one."""
    found = [
        (trial.number, trial.outcome.validation_confusion_matrix)
        for trial in record.ranked()[:_SHOWN_MATRICES]
        if trial.outcome and trial.outcome.validation_confusion_matrix
    ]
    return [(number, matrix) for number, matrix in found if matrix is not None]


def _interval(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def _best(best: tables.Best) -> dict[str, Any]:
    return asdict(best.trial) | {
        "num_validation_images": best.num_validation_images,
        "validation_accuracy_interval": _interval(best.validation_accuracy_interval),
        "num_test_images": best.num_test_images,
        "test_errors": best.test_errors,
        "test_accuracy": best.test_accuracy,
        "test_accuracy_interval": _interval(best.test_accuracy_interval),
        "gap": best.gap,
        "test_confusion_matrix": best.test_confusion_matrix,
    }


def _ties(comparisons: dict[int, Comparison]) -> dict[str, int]:
    return {
        "compared": len(comparisons),
        "tied": sum(comparison.tied for comparison in comparisons.values()),
    }


def _leaderboard_row(row: tables.LeaderboardRow) -> dict[str, Any]:
    comparison = row.comparison
    return (
        {"rank": row.rank}
        | asdict(row.trial)
        | {
            "validation_accuracy_interval": _interval(row.validation_accuracy_interval),
            "only_best_right": comparison.only_best if comparison else None,
            "only_this_right": comparison.only_other if comparison else None,
            "p_value": comparison.p_value if comparison else None,
            "p_value_holm": comparison.p_value_holm if comparison else None,
            "tied_with_best": comparison.tied if comparison else None,
        }
    )


def _reading(reading: TestReading) -> dict[str, Any]:
    finished = reading.confusion_matrix is not None and reading.num_images > 0
    return {
        "trial": reading.trial,
        "opened_at": reading.opened_at,
        "num_trials": reading.num_trials,
        "finished": finished,
        "num_images": reading.num_images,
        "accuracy": reading.num_correct / reading.num_images if finished else None,
        "fingerprint": reading.fingerprint,
    }


def _reading_of_best(record: StudyRecord, best: tables.Best | None) -> TestReading | None:
    return None if best is None else record.test_reading(best.trial.number)


def _test_confusions(record: StudyRecord, best: tables.Best | None) -> list[dict[str, Any]]:
    reading = _reading_of_best(record, best)
    if reading is None or reading.confusion_matrix is None:
        return []
    return [asdict(row) for row in tables.confusions(record, reading.confusion_matrix)]


def _mistakes(record: StudyRecord, best: tables.Best | None) -> list[dict[str, Any]]:
    reading = _reading_of_best(record, best)
    if reading is None:
        return []
    names = tables.class_names(record, len(reading.confusion_matrix or ()))
    return [
        {
            "index": mistake.index,
            "true": names[mistake.true],
            "predicted": names[mistake.predicted],
            "confidence": mistake.confidence,
        }
        for mistake in reading.mistakes
    ]


def _best_so_far(record: StudyRecord) -> list[dict[str, Any]]:
    progress = best_so_far(record)
    return [
        {"epochs": epochs, "validation_accuracy": accuracy}
        for epochs, accuracy in zip(progress.epochs, progress.accuracies, strict=True)
    ]


def _curves(record: StudyRecord) -> list[dict[str, Any]]:
    return [
        {
            "number": trial.number,
            "state": trial.state.value,
            "train_loss": [metrics.train_loss for metrics in trial.outcome.history],
            "validation_loss": [metrics.validation_loss for metrics in trial.outcome.history],
            "validation_accuracy": [
                metrics.validation_accuracy for metrics in trial.outcome.history
            ],
        }
        for trial in record.trials
        if trial.outcome and trial.outcome.history
    ]


def _finite(value: Any) -> Any:
    """Plain data of which every number that is none becomes None: JSON knows no NaN."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def trials_csv(studies: Sequence[tuple[StudyRecord, SearchSpace]]) -> str:
    """All trials of all studies, one row each; parameters that had no effect are empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    measured = ("validation_accuracy", "validation_loss", "best_epoch", "epochs_run")
    costs = ("seconds", "num_parameters", "device", "reason")
    writer.writerow(["study", "number", "state", "value", *PARAMETERS, *measured, *costs])
    for record, space in studies:
        for row in tables.trial_rows(record, space):
            cells = asdict(row)
            params = [
                "" if name in row.unused_params else _cell(row.params.get(name, ""))
                for name in PARAMETERS
            ]
            writer.writerow(
                [
                    _cell(record.name),
                    row.number,
                    row.state,
                    _cell(row.value),
                    *params,
                    *(_cell(cells[name]) for name in (*measured, *costs)),
                ]
            )
    return text.getvalue()


def _cell(value: Any) -> Any:
    """A value in the table; a spreadsheet must not take a stranger's text for a formula."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return "" if _finite(value) is None else value
