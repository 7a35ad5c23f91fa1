"""What this project adds to Optuna's studies and trials: user attributes, and how to read them."""

from __future__ import annotations

from typing import Any

from optuna.trial import FrozenTrial

from sweep.codec import from_plain
from sweep.records import Failure, TestReading, TrialConfig, TrialOutcome, TrialRecord, TrialState

__all__ = [
    "BUDGET",
    "CHECKPOINTS",
    "CONFIG",
    "DATA",
    "FINISHED",
    "LOST",
    "OUTCOME",
    "READINGS",
    "RETRY_OF",
    "SPACE",
    "WEIGHTS",
    "test_readings",
    "trial_record",
]

# Of a study.
SPACE = "sweep_space"
BUDGET = "sweep_budget"
DATA = "sweep_data"
FINISHED = "sweep_finished"
READINGS = "sweep_test_readings"

# Of a trial.
CONFIG = "sweep_config"
OUTCOME = "sweep_outcome"
WEIGHTS = "sweep_weights_sha256"
CHECKPOINTS = "sweep_checkpoints"  # of the last two, newest first: [{"epoch": …, "sha256": …}]
LOST = "sweep_lost"
RETRY_OF = "sweep_retry_of"


def trial_record(trial: FrozenTrial) -> TrialRecord:
    """A trial as this project knows it."""
    attributes = trial.user_attrs
    config, outcome = attributes.get(CONFIG), attributes.get(OUTCOME)
    state = TrialState[trial.state.name]
    return TrialRecord(
        number=trial.number,
        state=state,
        params=from_plain(TrialConfig, config).params if config else {},
        reports=dict(sorted(trial.intermediate_values.items())),
        outcome=(
            from_plain(TrialOutcome, outcome)
            if outcome and state not in (TrialState.RUNNING, TrialState.WAITING)
            else None
        ),
        lost=tuple(from_plain(Failure, failure) for failure in attributes.get(LOST, [])),
        retry_of=attributes.get(RETRY_OF),
    )


def test_readings(attributes: dict[str, Any]) -> tuple[TestReading, ...]:
    """Every opening of the test split that a study's attributes name."""
    return tuple(from_plain(TestReading, reading) for reading in attributes.get(READINGS, []))
