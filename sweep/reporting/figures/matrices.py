"""Confusion matrices: counts and shares, side by side, and one minus another."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, PowerNorm, SymLogNorm
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from sweep.records import ConfusionMatrix
from sweep.reporting.figures.axes import WIDE, short
from sweep.reporting.series import Difference

__all__ = [
    "draw_difference",
    "draw_test_confusion_matrix",
    "draw_validation_confusion_matrices",
]

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
    names = [short(name, 18) for name in class_names]
    many = len(cells) > _MAX_NUMBERED
    axes.tick_params(length=0, labelsize=8.5)
    sns.heatmap(
        pd.DataFrame(cells, index=names, columns=names), norm=norm, cmap=colours, cbar=False,
        annot=None if many else texts, fmt="", annot_kws={"fontsize": 8.5, "in_layout": False},
        square=True, rasterized=True, ax=axes,
    )  # fmt: skip
    backgrounds = np.asarray(axes.collections[0].get_facecolor())
    for text, background in zip(axes.texts, backgrounds, strict=False):
        text.set_color(_text_colour(background))
    axes.tick_params(axis="y", rotation=0)
    axes.grid(visible=False)
    axes.set(xlabel="Predicted class", ylabel="True class")


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
