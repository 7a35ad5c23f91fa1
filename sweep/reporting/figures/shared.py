"""What several figures share: axes, colours of the states, legends."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from sweep.records import TrialState
from sweep.reporting.figures.canvas import COMPLETE, PRUNED

__all__ = [
    "STATE_COLOURS",
    "STATE_MARKERS",
    "STATE_NAMES",
    "WIDE",
    "jitter",
    "legend",
    "log_axis",
    "marker",
    "short",
    "states_among",
]

WIDE = 10.8  # inches: the width of the page
STATE_COLOURS = {TrialState.COMPLETE: COMPLETE, TrialState.PRUNED: PRUNED}
STATE_MARKERS = {TrialState.COMPLETE: "o", TrialState.PRUNED: "X"}
STATE_NAMES = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned"}


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
        parts = (1.0, 2.0, 5.0) if decades < 2.5 else (1.0,)
        axis.set_major_locator(LogLocator(10.0**every, subs=parts))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def jitter(number: int) -> float:
    """An offset from -0.5 to 0.5 that differs between neighbours and is always the same."""
    return (number * 0.6180339887498949) % 1 - 0.5


def legend(axes: Axes, handles: Sequence[Line2D]) -> None:
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


def marker(colour: str, shape: str, label: str) -> Line2D:
    """A single marker for a legend."""
    return Line2D([], [], color=colour, marker=shape, linestyle="none", label=label)


def states_among(states: Sequence[TrialState]) -> list[TrialState]:
    """Those of the drawn states that occur, always in the same order."""
    return [state for state in STATE_COLOURS if state in states]


def short(text: str, length: int) -> str:
    """A text that fits."""
    return text if len(text) <= length else text[: length - 1] + "…"
