"""The tables that a spreadsheet opens: `trials.csv` and `epochs.csv`. Draws nothing."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from typing import Any

from sweep.definitions import OBJECTIVES
from sweep.records import StudyRecord
from sweep.reporting import tables
from sweep.space import SearchSpace

__all__ = ["epochs_csv", "trials_csv"]

_MEASURED = (
    "best_epoch", "epochs_run", "seconds",
    "num_parameters", "device", "worker", "started_at", "ended_at", "audited", "reason",
)  # fmt: skip
_VALUES = ("train_loss", "train_accuracy", *OBJECTIVES)


def trials_csv(studies: Sequence[tuple[StudyRecord, SearchSpace]]) -> str:
    """All trials of all studies, one row each; parameters that had no effect are empty.

    Args:
        studies: Each with its search space; a confirmation's is that of its search.
    """
    names = list(dict.fromkeys(name for _, space in studies for name in space.definitions))
    header = ("study", "number", "state", "value", *names, *OBJECTIVES, *_MEASURED)
    return _csv(header, _trials(studies, names))


def _trials(
    studies: Sequence[tuple[StudyRecord, SearchSpace]], names: Sequence[str]
) -> Iterable[Sequence[Any]]:
    for record, space in studies:
        for row in tables.trial_rows(record, space):
            params = (None if name in row.unused_params else row.params.get(name) for name in names)
            measured = (getattr(row, name) for name in _MEASURED)
            metrics = (row.metrics[name] for name in OBJECTIVES)
            yield (record.name, row.number, row.state, row.value, *params, *metrics, *measured)


def epochs_csv(studies: Sequence[StudyRecord]) -> str:
    """Every epoch of every trial that has ended: the learning curves."""
    header = ("study", "number", "epoch", *_VALUES, "learning_rate", "seconds")
    return _csv(header, _epochs(studies))


def _epochs(studies: Sequence[StudyRecord]) -> Iterable[Sequence[Any]]:
    for record in studies:
        for trial in record.trials:
            for metrics in trial.outcome.history if trial.outcome else ():
                values = (metrics.values[name] for name in _VALUES)
                yield (
                    *(record.name, trial.number, metrics.epoch),
                    *values,
                    *(metrics.learning_rate, metrics.seconds),
                )


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    """A value in the table; a spreadsheet must not take a stranger's text for a formula."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return value
