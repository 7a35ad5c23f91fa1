"""Which worker trained what, and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from sweep.records import StudyRecord, TrialRecord
from sweep.reporting.series.curves import STATES

__all__ = ["Timeline", "timeline"]


_MAX_ROWS = 200  # more than a figure can show
# The end of a trial is recorded a little late, when the next one in its place is already running.
_OVERLAP = 0.05  # of the median length of a trial


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """Which worker trained what, and when.

    Attributes:
        frame: `number`, `state`, `node` (empty for the driver's machine), `worker`, `start` and
            `end` (seconds since the study's start) of each trial, and its `row` (from 0, by node
            and worker; one that stacks trials needs several).
        num_unknown: Ended trials that are missing: their worker or times are unknown or impossible.
    """

    frame: pd.DataFrame
    num_unknown: int


def timeline(record: StudyRecord) -> Timeline | None:
    """Every trial that ended, on the worker that trained it.

    A trial may be sampled long before its worker is free, or be interrupted and resumed the next
    day: where its training time is recorded, its bar has that length and ends when the trial did.
    None without known times, or with more rows than a figure can show.
    """
    ended = [trial for trial in record.trials if trial.outcome and trial.state in STATES]
    spans = [span for trial in ended if (span := _span(trial)) is not None]
    frame = pd.DataFrame(spans, columns=["number", "state", "node", "worker", "start", "end"])
    frame = frame.sort_values(["start", "number"], ignore_index=True)
    if frame.empty or frame["end"].max() <= frame["start"][0]:
        return None
    frame[["start", "end"]] -= frame["start"][0]
    frame["row"], frame["start"] = _rows(frame)
    frame["row"] = frame.groupby(["node", "worker", "row"]).ngroup()
    if frame["row"].max() >= _MAX_ROWS:
        return None
    return Timeline(frame, len(ended) - len(spans))


def _span(trial: TrialRecord) -> tuple[int, str, str, int, float, float] | None:
    outcome = trial.outcome
    if outcome is None or outcome.worker is None or not trial.started_at or not trial.ended_at:
        return None
    start, end = _seconds(trial.started_at), _seconds(trial.ended_at)
    if end < start:
        return None
    if 0 < outcome.seconds < end - start:
        start = end - outcome.seconds
    return trial.number, STATES[trial.state], outcome.node, outcome.worker, start, end


def _seconds(time: datetime) -> float:
    """Seconds since 1970; unlike `timestamp()`, for any year."""
    return (time.replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds()


def _rows(frame: pd.DataFrame) -> tuple[list[int], list[float]]:
    """The row of each trial among those of its worker, and where its bar starts.

    A trial takes the row that became free first: few rows, and no bars overlap.
    """
    tolerance = _OVERLAP * float((frame["end"] - frame["start"]).median())
    free: dict[tuple[str, int], list[float]] = {}  # when each row of a worker becomes free
    rows: list[int] = []
    starts: list[float] = []
    columns = (frame[name] for name in ("node", "worker", "start", "end"))
    for node, worker, start, end in zip(*columns, strict=True):
        own = free.setdefault((node, worker), [])
        row = min(range(len(own)), key=own.__getitem__, default=0)
        if not own or own[row] > start + tolerance:
            row = len(own)
            own.append(start)
        start = min(max(start, own[row]), end)
        own[row] = max(end, own[row])
        rows.append(row)
        starts.append(start)
    return rows, starts
