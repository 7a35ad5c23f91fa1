"""What several figures share: axes, colours of the states, legends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from sweep.definitions import is_share
from sweep.records import TrialState
from sweep.reporting.figures.colours import BEST, COMPLETE, FAILED, PAPER, PRUNED
from sweep.words import capital, metric_words

__all__ = [
    "MANY",
    "STATE_COLOURS",
    "STATE_MARKERS",
    "STATE_NAMES",
    "WIDE",
    "axis_label",
    "bare_rows",
    "in_front",
    "interval_bar",
    "jitter",
    "legend",
    "log_axis",
    "marker",
    "short",
    "states_among",
    "study_name",
]

WIDE = 9.6  # inches: nearly the width of a page; text stays readable at two thirds of it
STATE_COLOURS = {
    TrialState.COMPLETE: COMPLETE,
    TrialState.PRUNED: PRUNED,
    TrialState.FAIL: FAILED,
}
STATE_MARKERS = {TrialState.COMPLETE: "o", TrialState.PRUNED: "X", TrialState.FAIL: "|"}
STATE_NAMES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}
MANY = 2_000  # shapes: more of them become one picture inside the SVG


def log_axis(axes: Axes, which: str) -> None:
    """A logarithmic axis with plain numbers as tick labels."""
    if which == "x":
        axes.set_xscale("log")
    else:
        axes.set_yscale("log")
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
    decades = math.log10(high / low)
    if decades < 0.5:
        axis.set_major_locator(MaxNLocator(5))
    else:
        every = 1 if decades < 5 else 2
        parts: tuple[float, ...] = (1.0, 2.0, 5.0) if decades < 2.5 else (1.0,)
        if decades < 1.2:
            parts = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
        axis.set_major_locator(LogLocator(10.0**every, subs=parts))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def jitter(number: int) -> float:
    """An offset from -0.5 to 0.5 that differs between neighbours and is always the same."""
    return (number * 0.6180339887498949) % 1 - 0.5


def in_front(axes: Axes, x: Sequence[float], y: Sequence[float]) -> None:
    """The chosen trial's line, set off from all others; a dot if it is of one point."""
    one = "o" if len(x) == 1 else None
    axes.plot(x, y, color=PAPER, linewidth=5, zorder=2.9)
    axes.plot(x, y, color=BEST, linewidth=2.6, marker=one, zorder=3)


def legend(axes: Axes, handles: Sequence[Artist]) -> None:
    """The legend above the axes, where it hides nothing."""
    axes.legend(
        handles=list(handles),
        loc="lower right",
        bbox_to_anchor=(1, 1),
        ncols=len(handles),
        borderaxespad=0.2,
        handletextpad=0.4,
        columnspacing=1.2,
    )


def marker(colour: str, shape: str, label: str, size: float = 6, **style: Any) -> Line2D:
    """A single marker for a legend."""
    return Line2D(
        [], [], color=colour, marker=shape, markersize=size, linestyle="none", label=label, **style
    )


def states_among(states: Sequence[TrialState]) -> list[TrialState]:
    """Those of the drawn states that occur, always in the same order."""
    return [state for state in STATE_COLOURS if state in states]


def short(text: str, length: int) -> str:
    """A text that fits."""
    return text if len(text) <= length else text[: length - 1] + "…"


def study_name(study: str) -> str:
    """A study's name in a figure; Matplotlib leaves out of a legend what begins with `_`."""
    name = short(study, 32)
    return f" {name}" if name.startswith("_") else name


def bare_rows(axes: Axes, names: Sequence[str]) -> None:
    """Named rows from top to bottom, in place of an upright axis."""
    axes.set_yticks(range(len(names)), list(names))
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.08)


def interval_bar(axes: Axes, row: float, low: float, high: float, colour: str) -> None:
    """A level bar from the lower to the upper end of an interval."""
    axes.plot([low, high], [row, row], color=colour, linewidth=2, solid_capstyle="butt")
    axes.plot([low, high], [row, row], "|", color=colour, markersize=9, markeredgewidth=2)


def axis_label(metric: str) -> str:
    """What an axis of a metric's values shows: `Test macro F1 (%)`."""
    return f"{capital(metric_words(metric))} ({'%' if is_share(metric) else 'nats'})"
