"""What each trial reached against what it cost."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sweep.reporting.figures.axes import MANY, WIDE, legend, log_axis, star
from sweep.reporting.figures.hovering import HoverFigure
from sweep.reporting.figures.palette import LIGHT
from sweep.reporting.series import CostPanel, FrontCurves

__all__ = ["draw_front"]

_FLOOR = 0.4  # an interval is drawn down to this part of the lowest value: it may begin at 0


def draw_front(curves: FrontCurves) -> Figure:
    """The value against each cost, a panel each, with the front as a line."""
    figure = HoverFigure((WIDE, 3.2), layout="constrained")
    grid = figure.subplots(1, len(curves.panels), sharey=True, squeeze=False)[0]
    raster = sum(len(panel.trials) for panel in curves.panels) > MANY
    for axes, panel in zip(grid, curves.panels, strict=True):
        _draw_panel(axes, panel, curves.chosen, raster=raster)
        best_first = panel.trials.sort_values("height")
        figure.explain(axes, best_first["cost"], best_first["height"], best_first["text"])
    grid[0].set_ylabel(f"{curves.label},\nlog scale")
    log_axis(grid[0], "y")
    legend(figure)
    return figure


def _draw_panel(axes: Axes, panel: CostPanel, chosen: int | None, *, raster: bool) -> None:
    trials, front = panel.trials, panel.front
    points: dict[str, Any] = {"color": LIGHT["complete"], "linestyle": "none", "marker": "o"}
    axes.plot(
        trials["cost"], trials["height"], markersize=4, alpha=0.5, mew=0, rasterized=raster,
        label="a complete trial", **points,
    )  # fmt: skip
    low = front["low"].clip(lower=_FLOOR * trials["height"].min())
    axes.vlines(front["cost"], low, front["high"], color=LIGHT["complete"], linewidth=1.6)
    axes.step(front["cost"], front["height"], where="post", color=LIGHT["ink"], linewidth=1.2)
    axes.plot(
        front["cost"], front["height"], markersize=6.5, mec=LIGHT["ink"], mew=1.2,
        label="on the front", **points,
    )  # fmt: skip
    if chosen in trials.index:
        star(axes, trials["cost"][chosen], trials["height"][chosen], "chosen")
    log_axis(axes, "x")
    axes.set_xlabel(f"{panel.label},\nlog scale")
