"""Confusion matrices: counts and shares, side by side, and one minus another."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, PowerNorm, SymLogNorm
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from sweep.records import ConfusionMatrix
from sweep.reporting.figures.axes import WIDE, are_crowded, short
from sweep.reporting.series import Difference

__all__ = [
    "draw_difference",
    "draw_test_confusion_matrix",
    "draw_validation_confusion_matrices",
]

_SMALL = 8.5  # points
_MAX_NUMBERED = 12  # classes; in more, numbers would not fit


def draw_test_confusion_matrix(matrix: ConfusionMatrix, class_names: Sequence[str]) -> Figure:
    """Counts, and shares of each true class in percent; only the latter with many classes."""
    cells = np.array(matrix, dtype=float)
    shares = 100 * cells / np.maximum(cells.sum(axis=1, keepdims=True), 1)
    if len(cells) > _MAX_NUMBERED:
        figure = Figure((WIDE * 0.92, WIDE * 0.8), layout="constrained")
        panels = [figure.add_subplot()]
    else:
        figure = Figure((WIDE, 5.2), layout="constrained")
        panels = list(figure.subplots(1, 2))
        _draw_cells(panels[0], cells, class_names, _up_to(cells.max()), _texts(cells, _count))
        panels[0].set_title("Examples")
    texts = _texts(shares, lambda share: f"{share:.1f}" if share else "")
    _draw_cells(panels[-1], shares, class_names, _up_to(shares.max()), texts)
    panels[-1].set_title("Share of the true class (%)")
    _add_scale(figure, panels[-1:], class_names)
    return figure


def draw_validation_confusion_matrices(
    matrices: Sequence[tuple[int, ConfusionMatrix]], class_names: Sequence[str]
) -> Figure:
    """Counts of a few trials side by side; only the mistakes have numbers."""
    columns = min(2, len(matrices))
    rows = -(-len(matrices) // columns)
    width = WIDE * (1 if columns == 2 else 0.6)
    figure = Figure((width, (WIDE * 0.4 + 0.9) * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(matrices) :]:
        axes.remove()
    norm = _up_to(max(max(map(max, matrix)) for _, matrix in matrices))
    for axes, (number, matrix) in zip(grid.flat, matrices, strict=False):
        cells = np.array(matrix, dtype=float)
        mistakes = cells * (1 - np.eye(len(cells)))
        _draw_cells(axes, cells, class_names, norm, _texts(mistakes, _count))
        axes.set_title(f"Trial {number}: {mistakes.sum():,.0f} mistakes")
    _add_scale(figure, list(grid.flat[: len(matrices)]), class_names)
    return figure


def draw_difference(difference: Difference, class_names: Sequence[str]) -> Figure:
    """The confusion matrix of one trial minus that of another."""
    cells = np.array(difference.cells, dtype=float)
    width = WIDE * (0.68 if len(cells) <= _MAX_NUMBERED else 0.92)
    # Long names push the axis' own name to the edge, where a reader's font may be a little larger.
    figure = Figure((width, width * 0.86), layout=ConstrainedLayoutEngine(w_pad=0.12))
    axes = figure.add_subplot()
    extreme = max(float(np.abs(cells).max()), 4.0)
    # Purple for fewer examples, orange for more, white in the middle.
    norm = SymLogNorm(1, 0.4, vmin=-extreme, vmax=extreme)
    _draw_cells(axes, cells, class_names, norm, _texts(cells, _signed), "PuOr_r")
    axes.set_title(f"Examples of trial {difference.second} minus those of trial {difference.first}")
    _add_scale(figure, [axes], class_names)
    return figure


def _draw_cells(
    axes: Axes,
    cells: np.ndarray,
    class_names: Sequence[str],
    norm: Normalize,
    texts: np.ndarray,
    colours: str = "Blues",
) -> None:
    """A heat map, true classes in rows, with texts in its cells if there is room."""
    many = len(cells) > _MAX_NUMBERED
    axes.set_aspect("equal")
    axes.spines[:].set_visible(False)
    mesh = axes.pcolormesh(cells, norm=norm, cmap=colours, rasterized=True)
    axes.set(
        xlim=(0, len(cells)), ylim=(len(cells), 0), xlabel="Predicted class", ylabel="True class"
    )
    _name_classes(axes, [short(name, 18) for name in class_names])
    axes.grid(visible=False)
    if many:
        return
    mesh.update_scalarmappable()
    backgrounds = np.asarray(mesh.get_facecolor())
    style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": _SMALL}
    for (row, column), background in zip(np.ndindex(cells.shape), backgrounds, strict=True):
        if text := str(texts[row, column]):
            colour = _text_colour(background)
            axes.text(column + 0.5, row + 0.5, text, color=colour, in_layout=False, **style)


def _name_classes(axes: Axes, names: Sequence[str]) -> None:
    """A name for each row and column, or for every few of them, upright where they need it."""
    box = axes.get_window_extent()  # before the layout
    pitch = min(box.width, box.height) / axes.figure.dpi * 72 / len(names)  # points
    # Names, and the scale beside them, take some of the room.
    every = math.ceil(1.5 * _SMALL / pitch)
    places, shown = np.arange(len(names))[::every] + 0.5, names[::every]
    axes.set_xticks(places, shown, rotation=90 if are_crowded(shown, every * pitch) else 0)
    axes.set_yticks(places, shown, va="center")
    axes.tick_params(length=0, labelsize=_SMALL)


def _up_to(most: float) -> PowerNorm:
    """A scale on which a handful of errors shows beside the counts of the diagonal."""
    return PowerNorm(0.35, vmin=0, vmax=max(float(most), 1.0))


def _add_scale(figure: Figure, panels: list[Axes], class_names: Sequence[str]) -> None:
    """The colours beside the panels, if there are no numbers in the cells."""
    if len(class_names) > _MAX_NUMBERED:
        bar = figure.colorbar(panels[0].collections[0], ax=panels, shrink=0.8)
        bar.outline.set_visible(False)
        if bar.solids is not None:
            bar.solids.set_rasterized(True)


def _text_colour(background: np.ndarray) -> str:
    """Black or white, whichever stands out from a cell, by WCAG's relative luminance.

    Neither is quite in the palette: like the cell, its text must look the same on a dark page.
    """
    channels = background[:3]
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    # Where black and white stand out equally.
    return "#010101" if linear @ (0.2126, 0.7152, 0.0722) > 0.179 else "#fefefe"


def _texts(cells: np.ndarray, text: Callable[[float], str]) -> np.ndarray:
    return np.array([[text(cell) for cell in row] for row in cells])


def _count(count: float) -> str:
    """At most five characters; none for 0."""
    return "" if not count else f"{count:.0f}" if abs(count) < 100_000 else f"{count:.0e}"


def _signed(count: float) -> str:
    return f"{'+' if count > 0 else ''}{_count(count)}".replace("-", "−")
