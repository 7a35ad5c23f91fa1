"""What the hyperparameters did: each alone, and all of them together."""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator

from sweep.records import TrialState
from sweep.reporting.figures.colours import BEST, MUTED, PAPER, RAMP
from sweep.reporting.figures.shared import (
    STATE_COLOURS,
    STATE_MARKERS,
    STATE_NAMES,
    WIDE,
    in_front,
    jitter,
    legend,
    log_axis,
    marker,
    short,
    states_among,
)
from sweep.reporting.series import Axis, Sample, Samples

__all__ = ["draw_parallel_coordinates", "draw_slices"]

_MANY = 200  # trials: more of them are drawn finer


def draw_slices(samples: Samples) -> Figure:
    """The value against each hyperparameter alone."""
    columns = min(3, len(samples.axes))
    rows = math.ceil(len(samples.axes) / columns)
    width = WIDE * (0.55, 0.75, 1.0)[columns - 1]
    figure = Figure((width, 0.4 + 2.7 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for index, axes in enumerate(grid.flat):
        if index < len(samples.axes):
            _draw_slice(axes, samples, index)
        else:
            axes.remove()
    for row in grid:
        row[0].set_ylabel(f"{samples.label},\nlog scale")
    log_axis(grid[0][0], "y")
    handles = [
        marker(STATE_COLOURS[state], STATE_MARKERS[state], STATE_NAMES[state])
        for state in states_among([sample.state for sample in samples.samples])
    ]
    if any(sample.number == samples.best for sample in samples.samples):
        handles.append(marker(BEST, "*", "chosen", size=10))
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles))
    return figure


def _draw_slice(axes: Axes, samples: Samples, index: int) -> None:
    axis = samples.axes[index]
    few = axis.whole and not axis.log and axis.high - axis.low < 12

    def place(sample: Sample) -> float:
        value = sample.coordinates[index]
        if axis.choices:
            return axis.choices.index(str(value)) + 0.5 * jitter(sample.number)
        # Whole numbers lie upon one another: they are spread a little.
        return float(value or 0) + (0.3 * jitter(sample.number) if few else 0)

    used = [sample for sample in samples.samples if sample.coordinates[index] is not None]
    for state in states_among([sample.state for sample in used]):
        shown = [sample for sample in used if sample.state is state]
        axes.scatter(
            [place(sample) for sample in shown],
            [sample.shown for sample in shown],
            color=STATE_COLOURS[state],
            marker=STATE_MARKERS[state],
            s=8 if len(samples.samples) > _MANY else 22,
            alpha=0.7,
            linewidths=0,
        )
    for sample in used:
        if sample.number == samples.best:
            axes.plot(
                place(sample), sample.shown, "*",
                color=BEST, markersize=13, markeredgecolor=PAPER, zorder=3, clip_on=False,
            )  # fmt: skip
    if axis.choices:
        names = [short(choice, 14) for choice in axis.choices]
        pitch = 185 / len(names)  # points
        pairs = itertools.pairwise(names)
        tilt = 30 if any(3.1 * len(one + other) + 5 > pitch for one, other in pairs) else 0
        axes.set_xticks(
            range(len(axis.choices)),
            names,
            rotation=tilt,
            ha="right" if tilt else "center",
        )
        axes.set_xlim(-0.6, len(axis.choices) - 0.4)
        axes.grid(visible=False, axis="x")
    elif axis.log:
        log_axis(axes, "x")
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=axis.whole))
    name = short(axis.name, 28)
    axes.set_xlabel(f"{name}, log scale" if axis.log else name)


# ---------------------------------------------------------------- parallel coordinates

_UNUSED = -0.13  # where a line passes an axis that its trial did not use


def draw_parallel_coordinates(samples: Samples) -> Figure:
    """Every trial as a line through its hyperparameters to its value, the best fifth strongest."""
    num_axes = len(samples.axes) + 1
    width = max(WIDE * 0.7, min(WIDE, 1.75 * num_axes))
    figure = Figure((width, 4.6), layout="constrained")
    axes = figure.add_subplot()
    heights = [sample.shown for sample in samples.samples]
    low, high = min(heights), max(max(heights), min(heights) * 1.01)
    value_axis = Axis(samples.label, low=low, high=high, log=True)
    pruned = (0, (3, 2))
    _draw_lines(axes, samples, value_axis, pruned)
    pitch = 72 * width / num_axes  # points from axis to axis
    for position, axis in enumerate([*samples.axes, value_axis]):
        _draw_axis(axes, position, axis, max(4, int(pitch / 5.6)))
    unused = any(None in sample.coordinates for sample in samples.samples)
    if unused:
        axes.text(-0.06, _UNUSED, "unused", ha="right", va="center", color=MUTED, fontsize=9)
    names = [_wrapped(axis.name, pitch, "_") for axis in samples.axes]
    axes.set_xticks(range(num_axes), [*names, _wrapped(samples.label, min(pitch, 90.0), " ")])
    axes.tick_params(length=0, pad=6, labelsize=9.5)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.grid(visible=False)
    axes.set_ylim(_UNUSED - 0.05 if unused else -0.04, 1.04)
    axes.set_xlim(-0.35, num_axes - 0.55)
    handles = [Line2D([], [], color=BEST, linewidth=2.6, label="chosen")]
    handles.append(Line2D([], [], color=RAMP[0], label="best fifth"))
    handles.append(Line2D([], [], color=RAMP[-1], label="worst fifth"))
    if any(sample.state is TrialState.PRUNED for sample in samples.samples):
        handles.append(Line2D([], [], color=MUTED, linestyle=pruned, label="pruned (so far)"))
    legend(axes, handles)
    return figure


def _wrapped(name: str, points: float, separator: str) -> str:
    """A name in lines of about so many points, broken where it has a separator."""
    letters = int(points / 6)
    if len(name) <= letters:
        return name
    lines = textwrap.wrap(name.replace(separator, " "), max(letters, 4), break_long_words=False)
    return "\n".join(short(line, max(letters, 10)) for line in lines[:4])


def _draw_lines(
    axes: Axes, samples: Samples, value_axis: Axis, pruned: tuple[int, tuple[int, int]]
) -> None:
    """The lines of all trials, the best on top."""
    lines: dict[tuple[int, bool], list[Sequence[tuple[int, float]]]] = {}
    ranked = sorted(samples.samples, key=lambda sample: sample.shown)
    for rank, sample in enumerate(ranked):
        line = list(enumerate([*_line(samples, sample), _height(value_axis, sample.shown)]))
        if sample.number == samples.best:
            in_front(axes, *zip(*line, strict=True))
        else:
            step = rank * len(RAMP) // len(ranked)
            lines.setdefault((step, sample.state is TrialState.PRUNED), []).append(line)
    many = len(samples.samples) > _MANY
    for (step, was_pruned), own in sorted(lines.items(), reverse=True):
        axes.add_collection(
            LineCollection(
                own,
                colors=RAMP[step],
                linewidths=0.6 if many else 1.0,
                linestyles=[pruned if was_pruned else "solid"],
                alpha=(0.85, 0.7, 0.6, 0.5, 0.45)[step] * (0.6 if many and step else 1),
            )
        )


def _line(samples: Samples, sample: Sample) -> list[float]:
    """Heights from 0 to 1 at which a trial's line crosses the axes."""
    heights = []
    for axis, value in zip(samples.axes, sample.coordinates, strict=True):
        if value is None:
            heights.append(_UNUSED + 0.03 * jitter(sample.number))
        else:
            offset = 0.03 * jitter(sample.number) if axis.choices else 0.0
            heights.append(_height(axis, value) + offset)
    return heights


def _height(axis: Axis, value: float | str) -> float:
    if axis.choices:
        return (axis.choices.index(str(value)) + 0.5) / len(axis.choices)
    low, high, at = axis.low, axis.high, float(value)
    if axis.log:
        low, high, at = math.log(low), math.log(high), math.log(at)
    return (at - low) / (high - low) if high > low else 0.5


def _draw_axis(axes: Axes, position: int, axis: Axis, letters: int) -> None:
    """One upright axis with its own ticks."""
    axes.plot([position, position], [0, 1], color=MUTED, linewidth=1)
    for value in axis.choices or _ticks(axis):
        height = _height(axis, value)
        axes.plot([position - 0.02, position + 0.02], [height, height], color=MUTED, linewidth=1)
        axes.text(
            position + 0.045,
            height,
            short(value, letters) if isinstance(value, str) else f"{value:.3g}",
            va="center",
            fontsize=8.5,
            bbox={"facecolor": PAPER, "alpha": 0.75, "edgecolor": "none", "pad": 0.8},
            zorder=4,
        )


def _ticks(axis: Axis) -> list[float]:
    """Both ends of an axis, and round values that keep clear of them."""
    locator = LogLocator(subs=(1.0,)) if axis.log else MaxNLocator(4, integer=axis.whole)
    inner = [
        float(value)
        for value in locator.tick_values(axis.low, axis.high)
        if axis.low < value < axis.high and 0.08 < _height(axis, float(value)) < 0.92
    ]
    return list(dict.fromkeys([axis.low, *inner, axis.high]))
