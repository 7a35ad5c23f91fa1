"""What the store adds to an Optuna study and to its trials.

Each has one record among Optuna's system attributes, which stock tools do not show. User attributes
summarise it for those tools.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from sweep.definitions import definition_of, read_model
from sweep.records import (
    KEPT_WEIGHTS,
    Confirms,
    DataFacts,
    Failure,
    StartingPoint,
    TestReading,
    TrialConfig,
    TrialOutcome,
    WorkerChoices,
)

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "StoredCheckpoint",
    "StoredStudy",
    "StoredTrial",
    "differences",
    "study_summary",
    "trial_summary",
]

FORMAT = "sweep_format"
FORMAT_VERSION = 6

Plain = str | int | float | None


@dataclass(frozen=True, slots=True)
class StoredStudy:
    """The record of a study; its fields mean the same as those of `StudyRecord`."""

    space: dict[str, Any]
    data: DataFacts
    confirms: Confirms | None = None
    num_trials: int | None = None
    timeout_seconds: float | None = None
    num_audits: int = 0
    keep_weights: int = KEPT_WEIGHTS
    workers: WorkerChoices | None = None
    finished_by: str | None = None
    test_readings: tuple[TestReading, ...] = ()
    starting: tuple[StartingPoint, ...] = ()
    identity: str = field(default_factory=lambda: uuid4().hex)


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """Where a checkpoint was taken, and the SHA-256 of its file."""

    epoch: int
    step: int
    sha256: str


@dataclass(frozen=True, slots=True)
class StoredTrial:
    """The record of a trial; fields named as in `TrialRecord` mean the same.

    Attributes:
        config: None before the trial was asked for.
        checkpoints: The last two, newest first.
        paused_at: The epoch after which it was paused; None again once it is promoted.
        outcome: How it ended, or how it ends if it stays paused; without weights.
        reports: What it had reported by then. Not always its history: a trial that is trained
            again reports no epoch twice.
        weights_sha256: Of the weights' file, which may have been deleted since.
        copy_of: If it is set, `outcome` is COMPLETE and empty.
    """

    config: TrialConfig | None = None
    retry_of: int | None = None
    lost: tuple[Failure, ...] = ()
    checkpoints: tuple[StoredCheckpoint, ...] = ()
    paused_at: int | None = None
    audited: int | None = None
    outcome: TrialOutcome | None = None
    reports: dict[int, float] | None = None
    weights_sha256: str | None = None
    copy_of: int | None = None
    study_epochs: int | None = None


def study_summary(study: StoredStudy) -> dict[str, Plain]:
    """The user attributes of a study."""
    finished = [reading for reading in study.test_readings if reading.confusion_matrix is not None]
    dataset, model = study.space.get("dataset"), study.space.get("model")
    return {
        FORMAT: FORMAT_VERSION,
        "dataset": dataset.get("name") if isinstance(dataset, dict) else dataset,
        "model": definition_of(read_model(model)).name if isinstance(model, dict) else model,
        "metric": study.space["objective"]["metric"],
        "num_trials": study.num_trials,
        "timeout_seconds": study.timeout_seconds,
        "finished_by": study.finished_by,
        "confirms": study.confirms.study if study.confirms else None,
        "data_fingerprint": study.data.fingerprint,
        "test_accuracy": finished[-1].num_correct / finished[-1].num_images if finished else None,
    }


def trial_summary(trial: StoredTrial) -> dict[str, Plain]:
    """The user attributes of a trial that has ended."""
    outcome = trial.outcome
    best = outcome.best if outcome else None
    failure = outcome.failure if outcome else None
    return {
        "seed": trial.config.seed if trial.config and outcome else None,
        "epochs_run": outcome.epochs_run if outcome else None,
        "best_epoch": outcome.best_epoch if outcome else None,
        "validation_accuracy": best.values.get("validation_accuracy") if best else None,
        "validation_loss": best.values.get("validation_loss") if best else None,
        "seconds": round(outcome.seconds, 3) if outcome else None,
        "num_parameters": outcome.num_parameters if outcome else None,
        "device": outcome.device if outcome else None,
        "reason": f"{failure.kind}: {failure.reason}" if failure else None,
    }


def differences(summary: Mapping[str, Plain], attributes: Mapping[str, Any]) -> dict[str, Plain]:
    """The entries of a summary that user attributes do not repeat."""
    # A number that is NaN equals nothing.
    return {
        key: value
        for key, value in summary.items()
        if attributes.get(key) != value and repr(attributes.get(key)) != repr(value)
    }
