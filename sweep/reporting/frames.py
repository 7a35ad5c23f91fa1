"""The CSV files, as data frames and as bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from sweep.definitions import OBJECTIVES
from sweep.records import StudyRecord
from sweep.reporting.tables import trial_row
from sweep.space import SearchSpace

__all__ = ["epochs_frame", "to_csv", "trials_frame"]

_MEASURED = (
    "best_epoch", "epochs_run", "seconds",
    "num_parameters", "device", "precision", "worker", "node", "started_at", "ended_at",
    "audited", "origin", "copy_of", "reason",
)  # fmt: skip
_VALUES = ("train_loss", "train_accuracy", *OBJECTIVES)


def trials_frame(studies: Sequence[tuple[StudyRecord, SearchSpace]]) -> pd.DataFrame:
    """All trials of all studies, one row each; parameters that had no effect are None."""
    names = dict.fromkeys(name for _, space in studies for name in space.definitions)
    rows = [
        {"study": record.name}
        | {name: getattr(row, name) for name in ("number", "state", "value", *_MEASURED)}
        | {name: value for name, value in row.params.items() if name not in row.unused_params}
        | row.metrics
        for record, space in studies
        for row in (trial_row(record, space, trial) for trial in record.trials)
    ]
    return _frame(rows, ["study", "number", "state", "value", *names, *OBJECTIVES, *_MEASURED])


def epochs_frame(studies: Sequence[StudyRecord]) -> pd.DataFrame:
    """Every epoch of every trial that has ended: the learning curves."""
    rows = [
        {"study": record.name, "number": trial.number, "epoch": metrics.epoch}
        | {"learning_rate": metrics.learning_rate, "seconds": metrics.seconds}
        | dict(metrics.values)
        for record in studies
        for trial in record.trials
        for metrics in (trial.outcome.history if trial.outcome else ())
    ]
    return _frame(rows, ["study", "number", "epoch", *_VALUES, "learning_rate", "seconds"])


def _frame(rows: list[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
    # As objects: pandas would turn a column of whole numbers and gaps into floats.
    return pd.DataFrame(rows, columns=columns, dtype=object)


def to_csv(frame: pd.DataFrame) -> bytes:
    """A frame as a CSV file in UTF-8; missing and non-finite values are empty."""
    text: str = frame.map(_cell).to_csv(index=False, lineterminator="\n")
    return text.encode()


def _cell(value: Any) -> Any:
    """A cell's value; a spreadsheet must not read a stranger's text as a formula."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    # Not None, which `map` would turn into NaN, and its column into floats.
    return "" if value is None or (isinstance(value, float) and not math.isfinite(value)) else value
