"""The content of `report.json`. The page shows nothing that is not in it or in the tables."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sweep.reporting.findings import Findings
from sweep.reporting.front import FrontRow
from sweep.reporting.plain import answer_document, plain
from sweep.reporting.series import best_so_far
from sweep.reporting.tables import LeaderboardRow

__all__ = ["study_document"]


def study_document(found: Findings) -> dict[str, Any]:
    """Everything that the report says about one study, as plain data without NaN."""
    record, space = found.study.record, found.study.space
    document: dict[str, Any] = plain(
        {
            "state": record.state,
            "dataset": space.dataset.title,
            "data": found.data,
            "objective": record.objective,
            "budget": {**asdict(record.limits), "timeout_seconds": record.timeout_seconds},
            "sampler": space.sampler.type,
            "pruner": space.pruner.type,
            "starting_points": record.starting,
            "notes": found.notes,
            "counts": found.counts,
            "best": answer_document(found.answer) if found.answer else None,
            "commands": found.commands,
            "confirmation": found.study.confirmation,
            "confirmation_counts": found.confirmation_counts,
            "ties": found.ties,
            "leaderboard": [_leaderboard_row(row) for row in found.leaderboard],
            "diagnoses": found.diagnoses,
            "front": [_front_row(row) for row in found.front.rows] if found.front else [],
            "importances": found.importances.shares,
            "importances_intervals": found.importances.intervals,
            "importances_first_is_ahead": found.importances.first_is_ahead,
            "importances_note": found.importances.note,
            "effects": found.importances.effects,
            "test_readings": found.openings,
            "trials_after_opening": found.trials_after_opening,
            "finished_by": record.finished_by,
            "test_confusions": found.confusions,
            "test_mistakes": _mistakes(found),
            "class_scores": found.class_scores,
            "calibration": found.calibration,
            "validation_confusion_matrix": found.validation_matrix,
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


def _front_row(row: FrontRow) -> dict[str, Any]:
    return {
        "trial": row.trial.number,
        "value": row.trial.value,
        "interval": row.interval,
        "num_parameters": row.trial.num_parameters,
        "flops": row.flops,
        "tied_with_best": row.tied_with_best,
        "fresh_seeds": row.fresh_seeds,
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
