"""The content of `report.json`. The page shows nothing that is not in it or in the tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from sweep.reporting.answer import Answer
from sweep.reporting.findings import Findings
from sweep.reporting.series import best_so_far
from sweep.reporting.tables import LeaderboardRow

__all__ = ["answer_document", "plain", "study_document"]


def study_document(found: Findings) -> dict[str, Any]:
    """Everything that the report says about one study, as plain data without NaN."""
    record, space = found.study.record, found.study.space
    document: dict[str, Any] = plain(
        {
            "state": record.state,
            "dataset": space.dataset.title,
            "data": found.data,
            "objective": record.objective,
            "budget": {"trials": record.num_trials, "timeout_seconds": record.timeout_seconds},
            "sampler": space.sampler.type,
            "pruner": space.pruner.type,
            "notes": found.notes,
            "counts": found.counts,
            "best": answer_document(found.answer) if found.answer else None,
            "commands": found.commands,
            "confirmation": found.study.confirmation,
            "confirmation_counts": found.confirmation_counts,
            "ties": found.ties,
            "leaderboard": [_leaderboard_row(row) for row in found.leaderboard],
            "importances": found.importances.shares,
            "importances_intervals": found.importances.intervals,
            "importances_first_is_ahead": found.importances.first_is_ahead,
            "importances_note": found.importances.note,
            "test_readings": found.openings,
            "trials_after_opening": found.trials_after_opening,
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
            "pruning": found.pruning,
            "failures": found.failures,
            "best_so_far": best_so_far(record),
            "search_space": record.space,
            "search_space_beyond_defaults": space.beyond_defaults(),
            "provenance": found.provenance,
        }
    )
    return document


def plain(value: Any) -> Any:
    """A value as plain data for JSON: NaN is null; see `sweep.reporting.tables.FLAT`."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {key: plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [plain(inner) for inner in value]
        case _ if is_dataclass(value):
            document: dict[str, Any] = {}
            for field in fields(value):
                inner = plain(getattr(value, field.name))
                document |= inner if "flat" in field.metadata else {field.name: inner}
            return document
        case _:
            return value


def answer_document(found: Answer) -> dict[str, Any]:
    """The configuration of the search's trial, and what was measured of its network.

    `number`, `params` and `value` are the search's; all else belongs to `network_trial` of
    `network_study`.
    """
    document = plain(found)
    trial, network = document.pop("trial"), document.pop("network")
    return {
        **network,
        **{key: trial[key] for key in ("number", "params", "value")},
        **document,
        "network_trial": network["number"],
        "search_value": trial["value"],
        "search_validation_accuracy": trial["validation_accuracy"],
    }


def _leaderboard_row(row: LeaderboardRow) -> dict[str, Any]:
    comparison = row.comparison
    return {
        "rank": row.rank,
        **plain(row.trial),
        "value_interval": row.value_interval,
        "only_best_right": comparison.test.only_first if comparison else None,
        "only_this_right": comparison.test.only_second if comparison else None,
        "best_minus_this": comparison.test.difference if comparison else None,
        "p_value": comparison.test.p_value if comparison else None,
        "p_value_holm": comparison.p_value_holm if comparison else None,
        "tied_with_best": comparison.tied if comparison else None,
    }


def _mistakes(found: Findings) -> list[dict[str, Any]]:
    names, reading = found.class_names, found.study.reading
    columns = reading.columns if reading else ()
    return [
        {
            "index": mistake.index,
            "true": names[mistake.true],
            "predicted": names[mistake.predicted],
            "confidence": mistake.confidence,
            **({"row": dict(zip(columns, mistake.row, strict=True))} if columns else {}),
        }
        for mistake in (reading.mistakes if reading else ())
    ]
