"""The effect of the hyperparameters, each alone and all together."""

from __future__ import annotations

import math
import textwrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from sweep.reporting.figures.axes import (
    MANY,
    WIDE,
    are_crowded,
    bare_rows,
    in_front,
    jitter,
    legend,
    log_axis,
    scatter_trials,
    short,
    star,
)
from sweep.reporting.figures.palette import LIGHT, RAMP
from sweep.reporting.series import Axis, Samples
from sweep.reporting.statistics import Importances

__all__ = ["draw_importances", "draw_parallel_coordinates", "draw_slices"]

_MANY_TRIALS = 200  # more of them are drawn finer


def draw_importances(importances: Importances) -> Figure:
    """A bar for each hyperparameter's share with its interval, the longest on top."""
    shares = importances.shares or {}
    intervals = importances.intervals or {}
    figure = Figure((WIDE * 0.85, 1.2 + 0.36 * len(shares)), layout="constrained")
    axes = figure.add_subplot()
    axes.barh(range(len(shares)), [100 * s for s in shares.values()], color=LIGHT["complete"])
    equal = 100 / max(len(shares), 1)
    axes.axvline(
        equal, color=LIGHT["muted"], linestyle=(0, (4, 2)), linewidth=1.2,
        label=f"equal shares, {equal:.0f}%",
    )  # fmt: skip
    style: dict[str, Any] = {"color": LIGHT["ink"], "linewidth": 1.5, "label": "95% interval"}
    for row, name in enumerate(shares):
        if (interval := intervals.get(name)) is not None:
            low, high = 100 * interval.low, 100 * interval.high
            axes.plot([low, high], [row, row], marker="|", markersize=8, **style)
    bare_rows(axes, [f"{short(name, 32)}\u00a0\u00a0{100 * s:.0f}%" for name, s in shares.items()])
    axes.set_xlim(0)
    axes.set_xlabel("Share of importance (%)")
    legend(figure)
    return figure


# ---------------------------------------------------------------- slices


def draw_slices(samples: Samples) -> Figure:
    """The value against each hyperparameter alone."""
    columns = min(3, len(samples.axes))
    rows = math.ceil(len(samples.axes) / columns)
    width = WIDE * (0.55, 0.75, 1.0)[columns - 1]
    figure = Figure((width, 0.4 + 2.7 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axes in grid.flat[len(samples.axes) :]:
        axes.remove()
    for axes, axis in zip(grid.flat, samples.axes, strict=False):
        _draw_slice(axes, samples, axis)
    for axes in grid[:, 0]:
        axes.set_ylabel(f"{samples.label},\nlog scale")
    log_axis(grid[0][0], "y")
    legend(figure)
    return figure


def _draw_slice(axes: Axes, samples: Samples, axis: Axis) -> None:
    values = samples.params[axis.name].dropna()
    used = samples.frame.loc[values.index]
    # Choices and whole numbers coincide: spread them a little.
    if axis.choices:
        values = values.map(axis.choices.index) + 0.5 * jitter(values.index)
    elif axis.whole and not axis.log and axis.high - axis.low < 12:
        values = values + 0.3 * jitter(values.index)
    values = values.astype(float)
    size = 8 if len(samples.frame) > _MANY_TRIALS else 22
    raster = len(samples.frame) * len(samples.axes) > MANY
    scatter_trials(axes, values, used["height"], used["state"], size, raster=raster)
    if samples.chosen in used.index:
        star(axes, values[samples.chosen], used["height"][samples.chosen], "chosen")
    if axis.choices:
        names = [short(choice, 14) for choice in axis.choices]
        tilt = 30 if are_crowded(names, 185 / len(names)) else 0
        axes.set_xticks(range(len(names)), names, rotation=tilt, ha="right" if tilt else "center")
        axes.set_xlim(-0.6, len(names) - 0.4)
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
    heights = samples.frame["height"]
    low, high = heights.min(), max(heights.max(), heights.min() * 1.01)
    value_axis = Axis(samples.label, low=low, high=high, log=True)
    pruned = (0, (3, 2))
    _draw_lines(axes, samples, value_axis, pruned)
    pitch = 72 * width / num_axes  # points from axis to axis
    for position, axis in enumerate([*samples.axes, value_axis]):
        _draw_axis(axes, position, axis, max(4, int(pitch / 5.6)))
    unused = bool(samples.params.isna().any(axis=None))
    if unused:
        axes.text(
            -0.06, _UNUSED, "unused", ha="right", va="center", color=LIGHT["muted"], fontsize=9
        )
    names = [_wrapped(axis.name, pitch, "_") for axis in samples.axes]
    axes.set_xticks(range(num_axes), [*names, _wrapped(samples.label, min(pitch, 90.0), " ")])
    axes.tick_params(length=0, pad=6, labelsize=9.5)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.grid(visible=False)
    axes.set_ylim(_UNUSED - 0.05 if unused else -0.04, 1.04)
    axes.set_xlim(-0.35, num_axes - 0.55)
    for label, fifth in (("best fifth", RAMP[0]), ("worst fifth", RAMP[-1])):
        axes.plot([], [], color=fifth, label=label)
    if (samples.frame["state"] == "pruned").any():
        axes.plot([], [], color=LIGHT["muted"], linestyle=pruned, label="pruned (so far)")
    legend(figure)
    return figure


def _wrapped(name: str, points: float, separator: str) -> str:
    """A name in lines of at most about `points`, broken at its separators."""
    letters = int(points / 6)
    if len(name) <= letters:
        return name
    lines = textwrap.wrap(name.replace(separator, " "), max(letters, 4), break_long_words=False)
    return "\n".join(short(line, max(letters, 10)) for line in lines[:4])


def _draw_lines(axes: Axes, samples: Samples, value_axis: Axis, pruned: Any) -> None:
    """The lines of all trials, the best on top."""
    frame = samples.frame
    offsets = 0.03 * jitter(frame.index.to_numpy())
    columns = []
    for axis in samples.axes:
        values = samples.params[axis.name]
        is_spread = values.isna() | bool(axis.choices)  # where lines coincide
        columns.append(_heights(axis, values) + offsets * is_spread)
    columns.append(_heights(value_axis, frame["height"]))
    crossings = pd.DataFrame(np.transpose(columns), index=frame.index)
    fifths = (frame["height"].rank(method="first") - 1) * len(RAMP) // len(frame)
    groups = pd.DataFrame({"fifth": fifths.astype(int), "is_pruned": frame["state"] == "pruned"})
    many = len(frame) > _MANY_TRIALS
    others = groups[groups.index != samples.chosen].groupby(["fifth", "is_pruned"])
    for (fifth, is_pruned), own in reversed(list(others)):
        heights = crossings.loc[own.index].to_numpy()
        axes.add_collection(
            LineCollection(
                [list(enumerate(line)) for line in heights],
                colors=RAMP[fifth],
                linewidths=0.6 if many else 1.0,
                clip_on=False,
                linestyles=[pruned if is_pruned else "solid"],
                alpha=(0.85, 0.7, 0.6, 0.5, 0.45)[fifth] * (0.6 if many and fifth else 1),
            )
        )
    if samples.chosen in crossings.index:
        line = crossings.loc[samples.chosen]
        in_front(axes, line.index, line, "chosen")


def _heights(axis: Axis, values: Any) -> np.ndarray:
    """The heights of values on an axis, from 0 to 1; `_UNUSED` for missing ones."""
    if axis.choices:
        places = pd.Series(values).map(axis.choices.index, na_action="ignore").astype(float)
        heights = (places + 0.5) / len(axis.choices)
    else:
        low, high, at = axis.low, axis.high, pd.Series(values, dtype=float)
        if axis.log:
            low, high, at = np.log(low), np.log(high), np.log(at)
        heights = (at - low) / (high - low) if high > low else at * 0 + 0.5
    return np.asarray(heights.fillna(_UNUSED))


def _draw_axis(axes: Axes, position: int, axis: Axis, letters: int) -> None:
    """One upright axis with its own ticks."""
    style: dict[str, Any] = {"color": LIGHT["muted"], "linewidth": 1}
    box = {"facecolor": LIGHT["paper"], "alpha": 0.75, "edgecolor": "none", "pad": 0.8}
    axes.plot([position, position], [0, 1], **style)
    ticks: Any = axis.choices or _ticks(axis)
    for value, height in zip(ticks, _heights(axis, ticks), strict=True):
        axes.plot([position - 0.02, position + 0.02], [height, height], **style)
        text = short(value, letters) if axis.choices else f"{value:.3g}"
        axes.text(position + 0.045, height, text, va="center", fontsize=8.5, bbox=box, zorder=4)


def _ticks(axis: Axis) -> list[float]:
    """Both ends of an axis, and round values well between them."""
    locator = LogLocator(subs=(1.0,)) if axis.log else MaxNLocator(4, integer=axis.whole)
    inner = np.asarray(locator.tick_values(axis.low, axis.high))
    inner = inner[(axis.low < inner) & (inner < axis.high)]
    heights = _heights(axis, inner)
    inner = inner[(heights > 0.08) & (heights < 0.92)]
    return list(dict.fromkeys([axis.low, *inner.tolist(), axis.high]))
