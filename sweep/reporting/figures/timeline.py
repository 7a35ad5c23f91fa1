"""Which worker trained what, and when."""

from __future__ import annotations

from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from sweep.records import TrialState
from sweep.reporting.figures.colours import INK, MUTED, PAPER
from sweep.reporting.figures.shared import MANY, STATE_COLOURS, STATE_NAMES, WIDE, legend
from sweep.reporting.series import Timeline

__all__ = ["draw_timeline"]

_UNITS = ((3600 * 48, "days", 86400), (7200, "h", 3600), (180, "min", 60), (0, "s", 1))
_HATCHES = {TrialState.COMPLETE: "", TrialState.PRUNED: "", TrialState.FAIL: "////"}


def draw_timeline(timeline: Timeline) -> Figure:
    """A bar for each trial, in rows by worker; time in which nothing ran is cut out."""
    height = min(0.26 * len(timeline.rows), 7.0)
    figure = Figure((WIDE, 1.5 + height), layout="constrained")
    axes = figure.add_subplot()
    unit, seconds = _unit(timeline.seconds)
    num_bars = sum(len(row.bars) for row in timeline.rows)
    edge = 0.6 if num_bars < MANY / 4 else 0.0
    handles: list[Artist] = []
    for state, colour in STATE_COLOURS.items():
        boxes = [
            [
                (bar.start / seconds, place - 0.42), (bar.end / seconds, place - 0.42),
                (bar.end / seconds, place + 0.42), (bar.start / seconds, place + 0.42),
            ]
            for place, row in enumerate(timeline.rows)
            for bar in row.bars
            if bar.state is state
        ]  # fmt: skip
        if boxes:
            style: dict[str, Any] = {
                "facecolor": colour,
                "edgecolor": PAPER,
                "hatch": _HATCHES[state],
            }
            axes.add_collection(
                PolyCollection(boxes, linewidths=edge, rasterized=num_bars > MANY, **style)
            )
            handles.append(Patch(label=STATE_NAMES[state], **style))
    if timeline.pauses:
        handles.append(_mark_pauses(axes, timeline, seconds))
    _name_workers(axes, timeline)
    axes.set_xlim(0, timeline.seconds / seconds)
    _name_times(axes, timeline, seconds)
    cut = ", pauses left out" if timeline.pauses else ""
    axes.set_xlabel(f"Time since the first trial began ({unit}){cut}")
    legend(axes, handles)
    return figure


def _unit(seconds: float) -> tuple[str, float]:
    return next((unit, size) for least, unit, size in _UNITS if seconds >= least)


def _mark_pauses(axes: Axes, timeline: Timeline, seconds: float) -> Line2D:
    style: dict[str, Any] = {"color": INK, "linewidth": 1.2, "linestyle": (0, (1, 2))}
    for pause in timeline.pauses:
        axes.axvspan(pause.start / seconds, pause.end / seconds, color=PAPER, zorder=1.5)
        axes.axvline((pause.start + pause.end) / (2 * seconds), zorder=1.6, **style)
    total = sum(pause.seconds for pause in timeline.pauses)
    unit, size = _unit(total)
    number = len(timeline.pauses)
    label = f"{number} {'pause' if number == 1 else 'pauses'}, {total / size:.3g} {unit} in all"
    return Line2D([], [], label=label, **style)


def _name_workers(axes: Axes, timeline: Timeline) -> None:
    """One name for all rows of a worker, and a line between workers."""
    rows: dict[int, list[int]] = {}
    for place, row in enumerate(timeline.rows):
        rows.setdefault(row.worker, []).append(place)
    places = [(own[0] + own[-1]) / 2 for own in rows.values()]
    every = max(1, len(rows) // 30)
    axes.set_yticks(places[::every], [f"worker {worker}" for worker in rows][::every])
    for own in list(rows.values())[1:]:
        axes.axhline(own[0] - 0.5, color=MUTED, linewidth=0.8)
    axes.set_ylim(len(timeline.rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False, axis="y")


def _name_times(axes: Axes, timeline: Timeline, seconds: float) -> None:
    """Round times along the bottom; the width at which a pause is drawn is none."""
    widths = [pause.end - pause.start for pause in timeline.pauses]
    last = (timeline.seconds - sum(widths)) / seconds
    steps = MaxNLocator(8, steps=[1, 2, 5, 10]).tick_values(0, last)
    times = [float(time) for time in steps if 0 <= time <= last]
    places = []
    for time in times:
        place = time * seconds
        for pause, width in zip(timeline.pauses, widths, strict=True):
            place += width if pause.start <= place else 0.0
        places.append(place / seconds)
    axes.set_xticks(places, [f"{time:g}" for time in times])
