"""Which worker trained what, and when. Draws nothing."""

from __future__ import annotations

import bisect
import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sweep.records import StudyRecord, TrialRecord, TrialState

__all__ = ["Bar", "Pause", "Row", "Timeline", "timeline"]

_ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
_MAX_ROWS = 200  # more than a figure can show
_LEAST_PAUSE = 0.1  # of the busy time: shorter ones are left as they are
_SHOWN_PAUSE = 0.02  # of the busy time: how wide a pause that was cut out is drawn
_SHOWN_PAUSES = 0.2  # of the busy time: all of them together at most
# A trial is told a little after it has ended, when the next one in its place is under way.
_OVERLAP = 0.01  # of the busy time


@dataclass(frozen=True, slots=True)
class Bar:
    """One trial on its worker.

    Attributes:
        number: The trial's number.
        state: COMPLETE, PRUNED or FAIL.
        start: Seconds since the study's start, pauses cut out.
        end: Likewise.
    """

    number: int
    state: TrialState
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Row:
    """Trials of one worker that follow one another; trials trained together need several rows.

    Attributes:
        worker: The worker's number.
        bars: Its trials in the order of their starts.
    """

    worker: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Pause:
    """A time in which no trial was under way, cut out.

    Attributes:
        start: Where it is shown, in seconds since the study's start, pauses cut out.
        end: Where it ends there.
        seconds: How long it was.
    """

    start: float
    end: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """Which worker trained what, and when.

    Attributes:
        rows: By worker.
        pauses: In order.
        seconds: Length of the whole, pauses cut out.
        num_unknown: Trials that ended and are not shown, because their worker or one of their
            times is unknown or their end lies before their start.
    """

    rows: tuple[Row, ...]
    pauses: tuple[Pause, ...]
    seconds: float
    num_unknown: int


@dataclass(frozen=True, slots=True)
class _Span:
    start: float
    end: float
    worker: int
    number: int
    state: TrialState


def timeline(record: StudyRecord) -> Timeline | None:
    """Every trial that ended, on the worker that trained it.

    A trial may be asked for long before its worker is free, or be interrupted and go on the next
    day: where it says how long it was trained, its bar is so long and ends at its end.

    None if no trial tells its worker and times, or there are more rows than can be shown.
    """
    ended = [trial for trial in record.trials if trial.outcome and trial.state in _ENDED]
    spans = sorted(
        (span for trial in ended if (span := _span(trial)) is not None),
        key=lambda span: (span.start, span.number),
    )
    if not spans or not max(span.end for span in spans) > spans[0].start:
        return None
    clock = _Clock([(span.start, span.end) for span in spans])
    rows: list[Row] = []
    for worker in sorted({span.worker for span in spans}):
        own = [span for span in spans if span.worker == worker]
        rows += [Row(worker, bars) for bars in _lanes(own, clock)]
        if len(rows) > _MAX_ROWS:
            return None
    return Timeline(tuple(rows), clock.pauses, clock.seconds, len(ended) - len(spans))


def _span(trial: TrialRecord) -> _Span | None:
    outcome = trial.outcome
    if outcome is None or outcome.worker is None or not trial.started_at or not trial.ended_at:
        return None
    start, end = _seconds(trial.started_at), _seconds(trial.ended_at)
    if end < start:
        return None
    if 0 < outcome.seconds < end - start:
        start = end - outcome.seconds
    return _Span(start, end, outcome.worker, trial.number, trial.state)


def _seconds(time: datetime) -> float:
    """Seconds by the clock on the wall; a year 1 is as good as any."""
    return (time.replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds()


class _Clock:
    """Seconds since the start, without the long times in which nothing was under way."""

    def __init__(self, spans: Sequence[tuple[float, float]]) -> None:
        """Take spans in the order of their starts."""
        busy: list[list[float]] = []
        for start, end in spans:
            if busy and start <= busy[-1][1]:
                busy[-1][1] = max(busy[-1][1], end)
            else:
                busy.append([start, end])
        busy_seconds = sum(end - start for start, end in busy)
        self.overlap = _OVERLAP * busy_seconds
        cut = [
            (before, after)
            for (_, before), (after, _) in itertools.pairwise(busy)
            if after - before > _LEAST_PAUSE * busy_seconds
        ]
        width = min(_SHOWN_PAUSE, _SHOWN_PAUSES / len(cut)) * busy_seconds if cut else 0.0
        self._real, self._shown = [busy[0][0]], [0.0]  # where each stretch without pauses begins
        pauses: list[Pause] = []
        for before, after in cut:
            at = self.shown(before)
            pauses.append(Pause(at, at + width, after - before))
            self._real.append(after)
            self._shown.append(at + width)
        self.pauses = tuple(pauses)
        self.seconds = self.shown(busy[-1][1])

    def shown(self, time: float) -> float:
        """Where a time lies at which something was under way."""
        stretch = bisect.bisect_right(self._real, time) - 1
        return self._shown[stretch] + time - self._real[stretch]


def _lanes(spans: Sequence[_Span], clock: _Clock) -> list[tuple[Bar, ...]]:
    """The fewest rows in which no two bars overlap: the row that was free first is taken."""
    rows: list[list[Bar]] = []
    free: list[tuple[float, int]] = []  # when each row becomes free
    for span in spans:
        start, end = clock.shown(span.start), clock.shown(span.end)
        if free and free[0][0] <= start + clock.overlap:
            freed, index = heapq.heappop(free)
            start = min(max(start, freed), end)
        else:
            index = len(rows)
            rows.append([])
        rows[index].append(Bar(span.number, span.state, start, end))
        heapq.heappush(free, (max(end, start), index))
    return [tuple(bars) for bars in rows]
