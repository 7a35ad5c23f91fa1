"""Studies, trials, answers and confirmations as JSON for programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from sweep.cli.study_text import dataset_name, failure_kinds
from sweep.codec import to_plain
from sweep.records import StudyRecord, TrialRecord
from sweep.reporting.answer import answer
from sweep.reporting.candidates import Confirmation
from sweep.reporting.plain import answer_document, plain
from sweep.reporting.reported import Reported

__all__ = ["answer_json", "confirmation_json", "json_text", "study_json", "trial_json"]


def study_json(study: StudyRecord, *, with_trials: bool) -> dict[str, Any]:
    """A study, with its trials or only their number."""
    data: dict[str, Any] = {
        "study": study.name,
        "dataset": dataset_name(study),
        "state": str(study.state),
        "objective": {
            "metric": study.objective.metric,
            "goal": study.objective.goal,
            "every": study.objective.every,
        },
        "budget": {**asdict(study.limits), "timeout": study.timeout_seconds},
        "finished_by": study.finished_by,
        "training": study.workers,
        "best": trial_json(study, study.best) if study.best else None,
        "failures": failure_kinds(study),
        "foreign_trials": study.foreign,
    }
    if with_trials:
        data["trials"] = [trial_json(study, trial) for trial in study.trials]
    else:
        data["num_trials"] = len(study.trials)
    return data


def trial_json(study: StudyRecord, trial: TrialRecord, *, in_full: bool = False) -> dict[str, Any]:
    """A trial; in full with history, environment and failure."""
    outcome = trial.outcome
    failure = outcome.failure if outcome else None
    data: dict[str, Any] = {
        "number": trial.number,
        "state": str(study.state_of(trial)),
        "params": trial.params,
        "value": study.value(trial),
        "epochs_run": trial.epochs_run,
        "seconds": outcome.seconds if outcome else None,
        "reason": trial.reason,
        "failure": {"kind": str(failure.kind), "reason": failure.reason} if failure else None,
        "lost_workers": len(trial.lost),
        "retry_of": trial.retry_of,
        "audited": trial.audited,
        "origin": study.origin(trial),
        "copy_of": trial.copy_of,
    }
    if in_full and outcome is not None:
        full = to_plain(outcome)
        packed = ("validation_predictions", "validation_losses", "weights")
        for key in ("trial", "state", "seconds", *packed):
            del full[key]
        data |= full
    return data


def answer_json(study: Reported) -> dict[str, Any]:
    """The answer and the confirmation, as in `report.json`."""
    found = answer(study) if study.record.confirms is None else None
    document = answer_document(found) if found is not None else None
    return {"answer": document, "confirmation": plain(study.confirmation)}


def confirmation_json(study: str, found: Confirmation) -> dict[str, Any]:
    """A confirmation, as in `report.json`."""
    return {"search": study, **plain(found)}


def json_text(value: Any) -> str:
    """JSON, which has no NaN and no infinity: null, as in `report.json`."""
    return json.dumps(plain(value), indent=2, allow_nan=False)
