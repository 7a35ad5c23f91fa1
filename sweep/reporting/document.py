"""The content of `report.json`. The page shows nothing that is not in it or in the tables."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from sweep.records import StudyRecord, TestReading, TrialState
from sweep.reporting import tables
from sweep.reporting.answer import Answer
from sweep.reporting.findings import Findings
from sweep.reporting.pruning import pruning
from sweep.reporting.reported import Reported
from sweep.reporting.series import best_so_far
from sweep.reporting.statistics import NUM_RESAMPLES, Comparison, Interval

__all__ = ["answer_document", "plain", "study_document"]


def study_document(found: Findings, *, notes: Sequence[str], storage_words: str) -> dict[str, Any]:
    """Everything that the report says about one study, as plain data without NaN.

    Args:
        found: What the report finds in it.
        notes: What could not be done.
        storage_words: The option that commands need to find the store; may be empty.
    """
    study = found.study
    record, space = study.record, study.space
    failed = [trial for trial in record.trials if trial.state is TrialState.FAIL]
    document = {
        "state": record.state,
        "dataset": space.dataset.name,
        "objective": record.objective,
        "budget": {"trials": record.num_trials, "timeout_seconds": record.timeout_seconds},
        "sampler": space.sampler.type,
        "pruner": space.pruner.type,
        "notes": notes,
        "counts": tables.counts(record),
        "best": answer_document(found.answer) if found.answer else None,
        "commands": _commands(
            record.name, found.answer, storage_words, is_image=record.data.spec.kind == "image"
        )
        if found.answer
        else {},
        "confirmation": study.confirmation,
        "confirmation_counts": tables.counts(study.runs) if study.runs else None,
        "ties": _ties(found.comparisons),
        "leaderboard": [_leaderboard_row(row) for row in found.leaderboard],
        "importances": found.importances.shares,
        "importances_intervals": found.importances.intervals,
        "importances_first_is_ahead": found.importances.first_is_ahead,
        "importances_note": found.importances.note,
        "interactions": found.interactions,
        "test_readings": _readings(study),
        "trials_after_opening": tables.trials_after_opening(record),
        "finished_by": record.finished_by,
        "test_confusions": found.confusions,
        "test_mistakes": _mistakes(found),
        "class_scores": found.class_scores,
        "calibration": found.calibration,
        "validation_confusion_matrices": [
            {"number": number, "matrix": matrix} for number, matrix in found.validation_matrices
        ],
        "matrix_difference": found.difference,
        "class_names": record.data.spec.class_names,
        "sampled_params": list(space.sampled),
        "pruning": pruning(record),
        "failures": [_trial(tables.trial_row(record, space, trial)) for trial in failed],
        "best_so_far": best_so_far(record),
        "search_space": record.space,
        "search_space_beyond_defaults": space.beyond_defaults(),
        "provenance": tables.provenance(record, space),
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


def answer_document(found: Answer) -> dict[str, Any]:
    """The configuration of the search's trial, and what was measured of its network.

    `number` and `params` are those of the search; `network_study` and `network_trial` say whose
    epochs, accuracies and confusion matrix the rest is.
    """
    network = _trial(found.network)
    measured = {key: network[key] for key in network if key not in ("number", "params", "value")}
    rest = {key: value for key, value in plain(found).items() if key not in ("trial", "network")}
    return {
        **_trial(found.trial),
        **measured,
        **rest,
        "network_trial": found.network.number,
        "search_value": found.trial.value,
        "search_validation_accuracy": found.trial.metrics["validation_accuracy"],
    }


def _commands(study: str, found: Answer, storage_words: str, *, is_image: bool) -> dict[str, str]:
    name = shlex.quote(found.network_study)
    commands = {
        "confirm": f"sweep confirm {shlex.quote(study)}{storage_words}",
        "reproduce": f"sweep reproduce {name} {found.network.number}{storage_words}",
    }
    if is_image:
        use = f"sweep predict {name} IMAGE.png --trial {found.network.number}{storage_words}"
        commands["use"] = use
    return commands


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


def _leaderboard_row(row: tables.LeaderboardRow) -> dict[str, Any]:
    comparison = row.comparison
    return {
        "rank": row.rank,
        **_trial(row.trial),
        "value_interval": row.value_interval,
        "only_best_right": comparison.test.only_first if comparison else None,
        "only_this_right": comparison.test.only_second if comparison else None,
        "best_minus_this": comparison.test.difference if comparison else None,
        "p_value": comparison.test.p_value if comparison else None,
        "p_value_holm": comparison.p_value_holm if comparison else None,
        "tied_with_best": comparison.tied if comparison else None,
    }


def _trial(row: tables.TrialRow) -> dict[str, Any]:
    """A row with its metrics beside the rest."""
    document: dict[str, Any] = plain(row)
    metrics = document.pop("metrics")
    return {**document, **metrics}


def _ties(comparisons: Mapping[int, Comparison]) -> dict[str, Any]:
    return {
        "resamples": NUM_RESAMPLES,
        "test": next((c.test.name for c in comparisons.values()), None),
        "compared": len(comparisons),
        "pairs": math.comb(len(comparisons) + 1, 2),
        "tied": sum(comparison.tied for comparison in comparisons.values()),
    }


def _mistakes(found: Findings) -> list[dict[str, Any]]:
    reading = found.study.network.reading if found.study.network else None
    return [
        {
            "index": mistake.index,
            "true": found.class_names[mistake.true],
            "predicted": found.class_names[mistake.predicted],
            "confidence": mistake.confidence,
        }
        for mistake in (reading.mistakes if reading else ())
    ]
