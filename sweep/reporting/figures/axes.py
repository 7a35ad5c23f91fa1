"""Scales, marks and legends that several figures share."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
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
    "wrapped",
]

WIDE = 4.2  # inches: text stays readable at the width of a phone, and half a page has room for it
MANY = 2_000  # shapes: more of them become one picture inside the SVG
_LABEL_WIDTH, _LABEL_HEIGHT = 42, 22  # points that a tick's label may take
# Where in each decade labels may stand, and their least distance in decades.
_PARTS = {(1.0, 1.5, 2.0, 3.0, 5.0, 7.0): 0.12, (1.0, 2.0, 5.0): 0.3, (1.0, 3.0): 0.47}
_MAX_LINES = 6
_MARKERS = {"complete": "o", "pruned": "X", "failed": "|"}


def log_axis(axes: Axes, which: str) -> None:
    """A logarithmic axis with plain numbers as tick labels."""
    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = axis.get_view_interval()
    decades = math.log10(high / low)
    box = axes.get_window_extent()
    # Labels stand side by side below an axis, and one above the other beside it.
    length, room = (box.width, _LABEL_WIDTH) if which == "x" else (box.height, _LABEL_HEIGHT)
    labels = length / axes.figure.dpi * 72 / room  # as many as have room
    fitting = [parts for parts, gap in _PARTS.items() if gap * labels >= decades]
    if decades < 0.5 or (decades < 1.2 and not fitting):
        axis.set_major_locator(MaxNLocator(max(1, int(labels) - 2)))
    else:
        every = max(1, math.ceil(decades / labels))  # so many decades from label to label
        axis.set_major_locator(LogLocator(10.0**every, subs=fitting[0] if fitting else (1.0,)))
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


def wrapped(name: str, letters: int) -> str:
    """A name in lines of at most so many letters, broken after its separators if it can be."""
    parts = re.findall(r"[^_ ]*[_ ]?", name)
    lines = [""]
    for part in parts:
        if lines[-1] and len(lines[-1]) + len(part) > letters:
            lines.append("")
        lines[-1] += part
    pieces = [line[i : i + letters] for line in lines for i in range(0, len(line), letters)]
    # A stranger's may be of any length.
    return "\n".join(piece.rstrip(" ") for piece in pieces[:_MAX_LINES])


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


def legend(figure: Figure, handles: Sequence[Artist] = ()) -> None:
    """A figure's legend, above its axes, where it hides nothing, in as many rows as it needs.

    Of these handles, or of everything that has a label.
    """
    found: dict[str, Artist] = {str(handle.get_label()): handle for handle in handles}
    for axes in () if handles else figure.axes:
        own, labels = axes.get_legend_handles_labels()
        found = dict(zip(labels, own, strict=True)) | found
    if not found:
        return
    shown = figure.legend(
        handles=[*found.values()], labels=[*found], loc="outside upper left",
        ncols=_num_columns([*found], figure.get_figwidth() * 72), borderaxespad=0.2,
        handletextpad=0.4, columnspacing=1.2, handlelength=1.6,
    )  # fmt: skip
    for handle in shown.legend_handles:
        if handle is not None:
            handle.set_alpha(1)


def _num_columns(labels: Sequence[str], points: float) -> int:
    """The most columns in which these labels are no wider than the figure."""
    widths = [5.9 * len(label) + 32 for label in labels]
    for columns in range(len(widths), 1, -1):
        parts = np.array_split(np.array(widths), columns)  # as Matplotlib does
        if sum(part.max() for part in parts) <= points:
            return columns
    return 1
