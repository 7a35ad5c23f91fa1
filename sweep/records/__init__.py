"""The frozen values that travel between rooms. Imports the standard library only.

Everything here is plain (numbers, text, bytes, tuples), so that a value means the same in the
driver, in a worker and, one day, on another machine.
"""

from sweep.records.confirmation import (
    candidate_runs,
    chosen_run,
    confirmation_name,
    have_all_ended,
    num_failed,
    rank_candidates,
    run_values,
)
from sweep.records.study import (
    KEPT_WEIGHTS,
    CalibrationBin,
    Confirms,
    DataFacts,
    Mistake,
    StudyRecord,
    StudyState,
    TestReading,
    TrialRecord,
)
from sweep.records.trial import (
    Checkpoint,
    ConfusionMatrix,
    Decision,
    EpochMetrics,
    Failure,
    FailureKind,
    Notice,
    Objective,
    Resumed,
    TrainingSettings,
    TrialConfig,
    TrialOutcome,
    TrialState,
)

__all__ = [
    "KEPT_WEIGHTS",
    "CalibrationBin",
    "Checkpoint",
    "Confirms",
    "ConfusionMatrix",
    "DataFacts",
    "Decision",
    "EpochMetrics",
    "Failure",
    "FailureKind",
    "Mistake",
    "Notice",
    "Objective",
    "Resumed",
    "StudyRecord",
    "StudyState",
    "TestReading",
    "TrainingSettings",
    "TrialConfig",
    "TrialOutcome",
    "TrialRecord",
    "TrialState",
    "candidate_runs",
    "chosen_run",
    "confirmation_name",
    "have_all_ended",
    "num_failed",
    "rank_candidates",
    "run_values",
]
