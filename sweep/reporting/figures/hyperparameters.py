"""What the hyperparameters did."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sweep.reporting.figures.axes import (
    MANY,
    WIDE,
    are_crowded,
    bare_rows,
    interval_bar,
    jitter,
    legend,
    log_axis,
    scatter_trials,
    star,
    wrapped,
)
from sweep.reporting.figures.hovering import HoverFigure
from sweep.reporting.figures.palette import LIGHT
from sweep.reporting.series import Axis, Samples
from sweep.reporting.statistics import Effect, Importances

__all__ = ["draw_importances", "draw_slices"]

_MANY_TRIALS = 200  # more of them are drawn finer


def draw_importances(importances: Importances) -> Figure:
    """Each hyperparameter's share as a dot in its interval, the largest on top."""
    shares, intervals = importances.shares or {}, importances.intervals or {}
    names = [wrapped(name, 22) for name in shares]
    figure = HoverFigure((WIDE, 1.0 + 0.22 * sum(2 + name.count("\n") for name in names) / 1.5))
    figure.set_layout_engine("constrained")
    axes = figure.add_subplot()
    equal = 100 / max(len(shares), 1)
    axes.axvline(
        equal, color=LIGHT["muted"], linestyle=(0, (4, 2)), linewidth=1.2,
        label=f"if all mattered equally, {equal:.0f}%",
    )  # fmt: skip
    for row, (name, share) in enumerate(shares.items()):
        if (interval := intervals.get(name)) is not None:
            interval_bar(axes, row, 100 * interval.low, 100 * interval.high, LIGHT["complete"])
        axes.plot(
            100 * share, row, "o", color=LIGHT["complete"], ms=7, mec=LIGHT["paper"], zorder=3,
            label="share of importance, 95% interval",
        )  # fmt: skip
        figure.explain(axes, [100 * share], [row], [f"{name}: {share:.0%}"])
    bare_rows(axes, names)
    axes.set_xlim(0)
    axes.set_xlabel("Share of importance (%)")
    legend(figure)
    return figure


# ---------------------------------------------------------------- slices


def draw_slices(samples: Samples, effects: Mapping[str, Effect]) -> Figure:
    """The value against each hyperparameter alone, and what it changes with the others averaged."""
    columns = min(2, len(samples.axes))
    rows = math.ceil(len(samples.axes) / columns)
    figure = HoverFigure((WIDE, 0.5 + 2.05 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axes in grid.flat[len(samples.axes) :]:
        axes.remove()
    for axes, axis in zip(grid.flat, samples.axes, strict=False):
        _draw_slice(figure, axes, samples, axis)
        if axis.name in effects:
            _draw_effect(axes, axis, effects[axis.name])
    figure.supylabel(f"{samples.label}, log scale", fontsize=9)
    log_axis(grid[0][0], "y")
    legend(figure)
    return figure


def _draw_slice(figure: HoverFigure, axes: Axes, samples: Samples, axis: Axis) -> None:
    values = samples.params[axis.name].dropna()
    used = samples.frame.loc[values.index]
    shown = [v if axis.choices else f"{v:.4g}" for v in values]
    texts = [f"{text}, {axis.name}: {v}" for text, v in zip(used["text"], shown, strict=True)]
    # Choices and whole numbers coincide: spread them a little.
    if axis.choices:
        values = values.map(axis.choices.index) + 0.5 * jitter(values.index)
    elif axis.whole and not axis.log and axis.high - axis.low < 12:
        values = values + 0.3 * jitter(values.index)
    values = values.astype(float)
    size = 6 if len(samples.frame) > _MANY_TRIALS else 14
    raster = len(samples.frame) * len(samples.axes) > MANY
    scatter_trials(axes, values, used["height"], used["state"], size, raster=raster)
    figure.explain(axes, values, used["height"], texts)
    if samples.chosen in used.index:
        star(axes, values[samples.chosen], used["height"][samples.chosen], "chosen")
    if axis.choices:
        names = [wrapped(choice, 14) for choice in axis.choices]
        is_crowded = are_crowded([name.split("\n")[0] for name in names], 110 / len(names))
        axes.set_xticks(range(len(names)), names, rotation=90 if is_crowded else 0)
        axes.set_xlim(-0.6, len(names) - 0.4)
        axes.grid(visible=False, axis="x")
    elif axis.log:
        log_axis(axes, "x")
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=axis.whole))
    name = wrapped(axis.name, 22)
    axes.set_xlabel(f"{name}, log scale" if axis.log and "\n" not in name else name)


def _draw_effect(axes: Axes, axis: Axis, effect: Effect) -> None:
    """The partial dependence as a line in its band; as dots in intervals for choices."""
    style: dict[str, Any] = {"color": LIGHT["ink"], "label": "others averaged, 95% interval"}
    if axis.choices:
        places = [axis.choices.index(str(value)) for value in effect.grid]
        axes.vlines(places, effect.low, effect.high, color=LIGHT["ink"], linewidth=1.6, zorder=3)
        axes.plot(places, effect.heights, "D", ms=5, mec=LIGHT["paper"], zorder=3.5, **style)
        return
    along = [float(value) for value in effect.grid]
    axes.fill_between(along, effect.low, effect.high, color=LIGHT["ink"], alpha=0.15, linewidth=0)
    axes.plot(along, effect.heights, linewidth=1.8, **style)
