"""Confusion matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from sweep.records import ConfusionMatrix
from sweep.reporting.figures.axes import WIDE, are_crowded, short

__all__ = ["draw_confusion_matrix"]

_SMALL, _LETTER = 8.0, 4.6  # points
_MAX_NUMBERED = 12  # classes; in more, numbers would not fit


def draw_confusion_matrix(
    matrix: ConfusionMatrix, class_names: Sequence[str], title: str = ""
) -> Figure:
    """Counts; with many classes, shares of each true class in percent, without numbers."""
    cells = np.array(matrix, dtype=float)
    many = len(cells) > _MAX_NUMBERED
    if many:
        cells = 100 * cells / np.maximum(cells.sum(axis=1, keepdims=True), 1)
    figure = Figure((WIDE, WIDE * (0.86 if many else 0.96)), layout="constrained")
    axes = figure.add_subplot()
    _draw_cells(axes, cells, class_names)
    axes.set_title("Share of the true class (%)" if many else title)
    if many:
        bar = figure.colorbar(axes.collections[0], ax=axes, shrink=0.8)
        bar.outline.set_visible(False)
        if bar.solids is not None:
            bar.solids.set_rasterized(True)
    return figure


def _draw_cells(axes: Axes, cells: np.ndarray, class_names: Sequence[str]) -> None:
    """A heat map, true classes in rows, with numbers in its cells if there is room."""
    axes.set_aspect("equal")
    axes.spines[:].set_visible(False)
    # A scale on which a handful of errors shows beside the counts of the diagonal.
    norm = PowerNorm(0.35, vmin=0, vmax=max(float(cells.max()), 1.0))
    mesh = axes.pcolormesh(cells, norm=norm, cmap="Blues", rasterized=True)
    axes.set(
        xlim=(0, len(cells)), ylim=(len(cells), 0), xlabel="Predicted class", ylabel="True class"
    )
    _name_classes(axes, [short(name, 18) for name in class_names])
    axes.grid(visible=False)
    if len(cells) > _MAX_NUMBERED:
        return
    mesh.update_scalarmappable()
    backgrounds = np.asarray(mesh.get_facecolor())
    style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": _SMALL}
    for (row, column), background in zip(np.ndindex(cells.shape), backgrounds, strict=True):
        if text := _count(float(cells[row, column])):
            colour = _text_colour(background)
            axes.text(column + 0.5, row + 0.5, text, color=colour, in_layout=False, **style)


def _name_classes(axes: Axes, names: Sequence[str]) -> None:
    """A name for each row and column, or for every few of them, upright where they need it."""
    box = axes.get_window_extent()  # before the layout
    room = min(box.width, box.height) / axes.figure.dpi * 72  # points
    pitch = (room - _LETTER * max(map(len, names))) / len(names)  # the names take theirs
    # And so does the scale beside them.
    every = math.ceil(1.5 * _SMALL / pitch)
    places, shown = np.arange(len(names))[::every] + 0.5, names[::every]
    axes.set_xticks(places, shown, rotation=90 if are_crowded(shown, every * pitch) else 0)
    axes.set_yticks(places, shown, va="center")
    axes.tick_params(length=0, labelsize=_SMALL)


def _text_colour(background: np.ndarray) -> str:
    """Black or white, whichever stands out from a cell, by WCAG's relative luminance.

    Neither is quite in the palette: like the cell, its text must look the same on a dark page.
    """
    channels = background[:3]
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    # Where black and white stand out equally.
    return "#010101" if linear @ (0.2126, 0.7152, 0.0722) > 0.179 else "#fefefe"


def _count(count: float) -> str:
    """At most five characters; none for 0."""
    return "" if not count else f"{count:.0f}" if abs(count) < 100_000 else f"{count:.0e}"
