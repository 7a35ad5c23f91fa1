"""Confusion matrices: counts and shares, alone and side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from sweep.records import ConfusionMatrix
from sweep.reporting.figures.shared import WIDE, short

__all__ = ["draw_test_confusion_matrix", "draw_validation_confusion_matrices"]

_MAX_NUMBERED = 12  # classes; in more, numbers would not fit
# Nearly everything lies on the diagonal: a power scale keeps a handful of errors visible.
_GAMMA = 0.35


def draw_test_confusion_matrix(matrix: ConfusionMatrix, class_names: Sequence[str]) -> Figure:
    """Counts on the left, shares of each true class in percent on the right."""
    figure = Figure((WIDE, 5.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    cells = np.array(matrix)
    shares = 100 * cells / np.maximum(cells.sum(axis=1, keepdims=True), 1)
    _draw_matrix(left, cells, class_names, labels=_labels(cells, "{:.0f}"), size=8)
    left.set_title("Images")
    _draw_matrix(right, shares, class_names, labels=_labels(shares, "{:.1f}"), size=8)
    right.set_title("Share of the true class (%)")
    return figure


def draw_validation_confusion_matrices(
    matrices: Sequence[tuple[int, ConfusionMatrix]], class_names: Sequence[str]
) -> Figure:
    """Counts of a few trials side by side; numbers for the mistakes only.

    Args:
        matrices: Trial numbers and their matrices.
        class_names: Names of the classes.
    """
    per_row = 4 if len(class_names) <= _MAX_NUMBERED else 2
    columns = min(per_row, len(matrices))
    rows = -(-len(matrices) // columns)
    side = WIDE / per_row
    figure = Figure((side * columns, (side + 0.4) * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(matrices) :]:
        axes.remove()
    for axes, (number, matrix) in zip(grid.flat, matrices, strict=False):
        cells = np.array(matrix)
        mistakes = cells * (1 - np.eye(len(cells), dtype=int))
        _draw_matrix(axes, cells, class_names, labels=_labels(mistakes, "{:.0f}"), size=6.5)
        axes.set_title(f"Trial {number}: {mistakes.sum():,} mistakes")
    return figure


def _labels(cells: np.ndarray, form: str) -> np.ndarray:
    """What is written into the cells: nothing into an empty one."""
    return np.array([[form.format(cell) if cell else "" for cell in row] for row in cells])


def _draw_matrix(
    axes: Axes, cells: np.ndarray, class_names: Sequence[str], *, labels: np.ndarray, size: float
) -> None:
    numbered = len(cells) <= _MAX_NUMBERED
    sns.heatmap(
        cells,
        ax=axes,
        norm=PowerNorm(_GAMMA, vmin=0, vmax=max(cells.max(), 1)),
        cmap="Blues",
        annot=labels if numbered else None,
        fmt="",
        annot_kws={"size": size},
        cbar=not numbered,
        cbar_kws={"shrink": 0.8} if not numbered else None,
        square=True,
        xticklabels=False,
        yticklabels=False,
        linewidths=0.5 if numbered else 0,
        linecolor="white",
        rasterized=not numbered,
    )
    names = [short(name, 12) for name in class_names]
    places = np.arange(len(names)) + 0.5
    size_of_names = size if numbered else 5
    upright = max(map(len, names)) <= 3
    axes.set_xticks(
        places,
        names,
        rotation=0 if upright else 45,
        ha="center" if upright else "right",
        fontsize=size_of_names,
    )
    axes.set_yticks(places, names, rotation=0, fontsize=size_of_names)
    axes.tick_params(length=0, pad=2)
    axes.grid(visible=False)
    axes.set_xlabel("Predicted class")
    axes.set_ylabel("True class")
