"""Which hyperparameters mattered, alone and together."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sweep.reporting.figures.colours import COMPLETE, INK, MUTED
from sweep.reporting.figures.shared import (
    WIDE,
    bare_rows,
    legend,
    short,
)
from sweep.reporting.statistics import Importances

__all__ = ["draw_importances"]


def draw_importances(importances: Importances) -> Figure:
    """A bar for each hyperparameter with its interval, the longest on top.

    Args:
        importances: With shares.
    """
    shares = importances.shares or {}
    intervals = importances.intervals or {}
    figure = Figure((WIDE * 0.85, 1.2 + 0.36 * len(shares)), layout="constrained")
    axes = figure.add_subplot()
    axes.barh(range(len(shares)), [100 * share for share in shares.values()], color=COMPLETE)
    for row, name in enumerate(shares):
        if (interval := intervals.get(name)) is not None:
            low, high = 100 * interval.low, 100 * interval.high
            axes.plot([low, high], [row, row], color=INK, linewidth=1.5)
            axes.plot([low, high], [row, row], "|", color=INK, markersize=8, markeredgewidth=1.5)
    equal = 100 / max(len(shares), 1)
    axes.axvline(equal, color=MUTED, linewidth=1.2, linestyle=(0, (4, 2)))
    bare_rows(axes, [f"{short(name, 32)}\u00a0\u00a0{100 * s:.0f} %" for name, s in shares.items()])
    axes.set_xlim(0)
    axes.set_xlabel("Share of importance (%)")
    handles = [
        Line2D([], [], color=MUTED, linestyle=(0, (4, 2)), label=f"equal shares, {equal:.0f} %")
    ]
    if intervals:
        handles.append(Line2D([], [], color=INK, marker="|", markersize=8, label="95 % interval"))
    legend(axes, handles)
    return figure
