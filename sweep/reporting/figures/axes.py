"""Scales, marks and legends that several figures share."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from sweep.definitions import is_share
from sweep.reporting.figures.palette import LIGHT, STATE_COLOURS
from sweep.words import capital, metric_words

__all__ = [
    "MANY",
    "WIDE",
    "are_crowded",
    "axis_label",
    "bare_rows",
    "count_axis",
    "in_front",
    "interval_bar",
    "jitter",
    "legend",
    "log_axis",
    "scatter_trials",
    "short",
    "star",
    "states_among",
]

WIDE = 9.6  # inches: nearly the width of a page; text stays readable at two thirds of it
MANY = 2_000  # shapes: more of them become one picture inside the SVG
_MARKERS = {"complete": "o", "pruned": "X", "failed": "|"}


def log_axis(axes: Axes, which: str) -> None:
    """A logarithmic axis with plain numbers as tick labels."""
    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = axis.get_view_interval()
    decades = math.log10(high / low)
    # Labels stand side by side below an axis, and one above the other beside it.
    is_crowded = which == "x"
    if decades < 0.5:
        axis.set_major_locator(MaxNLocator(3 if is_crowded else 5))
    else:
        parts: tuple[float, ...] = (1.0,)
        if decades < 1.2:
            parts = (1.0, 2.0, 5.0) if is_crowded else (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
        elif decades < 2.5:
            parts = (1.0, 3.0) if is_crowded else (1.0, 2.0, 5.0)
        axis.set_major_locator(LogLocator(10.0 if decades < 5 else 100.0, subs=parts))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.set_minor_formatter(NullFormatter())


def count_axis(axes: Axes, which: str) -> None:
    """An axis of whole numbers."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(MaxNLocator(8, integer=True))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def bare_rows(axes: Axes, names: Sequence[str]) -> None:
    """Named rows from top to bottom, in place of an upright axis."""
    axes.set_yticks(range(len(names)), list(names))
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.08)


def axis_label(metric: str) -> str:
    """The label of an axis of a metric's values: `Test macro F1 (%)`."""
    return f"{capital(metric_words(metric))} ({'%' if is_share(metric) else 'nats'})"


def short(text: str, length: int) -> str:
    """A text cut to a length."""
    return text if len(text) <= length else text[: length - 1] + "…"


def are_crowded(names: Sequence[str], pitch: float) -> bool:
    """Whether names below an axis would touch each other if there is one every `pitch` points."""
    return any(3.1 * len(one + other) + 5 > pitch for one, other in itertools.pairwise(names))


# ---------------------------------------------------------------- marks


def scatter_trials(
    axes: Axes, x: pd.Series, y: pd.Series, states: pd.Series, size: float, *, raster: bool
) -> None:
    """A mark for each trial, in the colour and shape of its state."""
    for state in states_among(states):
        own = states == state
        axes.scatter(
            x[own], y[own], size, color=STATE_COLOURS[state], marker=_MARKERS[state], alpha=0.75,
            linewidths=0, rasterized=raster, label=state,
        )  # fmt: skip


def states_among(states: pd.Series) -> list[str]:
    """The states that occur, always in the same order."""
    return [state for state in STATE_COLOURS if (states == state).any()]


def star(axes: Axes, x: float, y: float, label: str) -> None:
    """The chosen trial as a mark."""
    axes.plot(
        x, y, "*", color=LIGHT["best"], markersize=14, markeredgecolor=LIGHT["paper"], zorder=4,
        clip_on=False, label=label,
    )  # fmt: skip


def in_front(axes: Axes, x: Sequence[float], y: Sequence[float], label: str) -> None:
    """The chosen trial's line, set off from all others; a dot for a single point."""
    axes.plot(x, y, color=LIGHT["paper"], linewidth=5, zorder=2.9)
    one = "o" if len(x) == 1 else None
    axes.plot(x, y, color=LIGHT["best"], linewidth=2.6, marker=one, zorder=3, label=label)


def interval_bar(axes: Axes, row: float, low: float, high: float, colour: str) -> None:
    """A level bar from the lower to the upper end of an interval."""
    axes.plot([low, high], [row, row], color=colour, linewidth=2, solid_capstyle="butt")
    axes.plot([low, high], [row, row], "|", color=colour, markersize=9, markeredgewidth=2)


def jitter(numbers: Any) -> Any:
    """Deterministic offsets from -0.5 to 0.5 that differ between neighbours."""
    return (numbers * 0.6180339887498949) % 1 - 0.5


def legend(figure: Figure) -> None:
    """A figure's legend, above its axes, where it hides nothing."""
    found: dict[str, Artist] = {}
    for axes in figure.axes:
        handles, labels = axes.get_legend_handles_labels()
        found = dict(zip(labels, handles, strict=True)) | found
    shown = figure.legend(
        handles=[*found.values()], labels=[*found], loc="outside upper right", ncols=len(found),
        borderaxespad=0.2, handletextpad=0.4, columnspacing=1.2,
    )  # fmt: skip
    for handle in shown.legend_handles:
        if handle is not None:
            handle.set_alpha(1)
