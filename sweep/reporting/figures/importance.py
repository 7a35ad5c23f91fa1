"""Which hyperparameters mattered, alone and together."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sweep.reporting.figures.cells import draw_cells, name_sides
from sweep.reporting.figures.colours import COMPLETE, INK, MUTED
from sweep.reporting.figures.shared import (
    WIDE,
    bare_rows,
    legend,
    short,
)
from sweep.reporting.statistics import Importances
from sweep.reporting.statistics.interactions import Interactions

__all__ = ["draw_importances", "draw_interactions"]


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


def draw_interactions(interactions: Interactions) -> Figure:
    """How strongly each pair of hyperparameters acted together: each pair once, in percent."""
    size = len(interactions.names)
    # The first row and the last column have no pair of their own.
    shares = 100 * np.array(interactions.strengths, dtype=float)[1:, :-1]
    pairs = np.tril(np.ones_like(shares, dtype=bool))
    side = min(WIDE, 3.4 + 0.56 * size)
    figure = Figure((side, side * 0.78), layout="compressed")
    axes = figure.add_subplot()
    # The scale ends at 10 % at least: noise is not to look like a finding.
    norm = Normalize(0, max(10.0, float(shares[pairs].max())))
    texts = [
        [_percent(share) if pair else "" for pair, share in zip(*rows, strict=True)]
        for rows in zip(pairs, shares, strict=True)
    ]
    masked = np.ma.masked_array(shares, ~pairs)
    image = draw_cells(axes, masked, texts=texts, norm=norm, colours="Blues", size=9.5)
    name_sides(axes, interactions.names[:-1], interactions.names[1:], pitch=40, size=9.5)
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.outline.set_visible(False)
    bar.set_label("Explained by the pair\nbeyond its members\n(% of the variance)")
    return figure


def _percent(share: float) -> str:
    return "<1" if 0 < share < 0.95 else f"{share:.0f}"
