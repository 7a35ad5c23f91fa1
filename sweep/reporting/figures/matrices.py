"""Confusion matrices: counts and shares, alone, side by side, and one minus another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import FuncNorm, PowerNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.layout_engine import ConstrainedLayoutEngine

from sweep.records import ConfusionMatrix
from sweep.reporting.figures.cells import draw_cells, name_sides
from sweep.reporting.figures.shared import WIDE
from sweep.reporting.series import Difference

__all__ = [
    "draw_difference",
    "draw_test_confusion_matrix",
    "draw_validation_confusion_matrices",
]

_MAX_NUMBERED = 12  # classes; in more, numbers would not fit
# Nearly everything lies on the diagonal: a power scale keeps a handful of errors visible.
_GAMMA = 0.35


def draw_test_confusion_matrix(matrix: ConfusionMatrix, class_names: Sequence[str]) -> Figure:
    """Counts on the left, shares of each true class in percent on the right.

    With many classes only the shares, large and without numbers.
    """
    cells = np.array(matrix, dtype=float)
    shares = 100 * cells / np.maximum(cells.sum(axis=1, keepdims=True), 1)
    if len(cells) > _MAX_NUMBERED:
        figure = Figure((WIDE * 0.92, WIDE * 0.8), layout="constrained")
        axes = figure.add_subplot()
        image = _draw_matrix(axes, shares, class_names, texts=None, side=WIDE * 0.7, size=8.5)
        axes.set_title("Share of the true class (%)")
        figure.colorbar(image, ax=axes, shrink=0.8).outline.set_visible(False)
        return figure
    figure = Figure((WIDE, 5.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    side = WIDE * 0.43
    _draw_matrix(left, cells, class_names, texts=_counts(cells), side=side, size=8.5)
    left.set_title("Examples")
    percents = [[f"{share:.1f}" if share else "" for share in row] for row in shares]
    _draw_matrix(right, shares, class_names, texts=percents, side=side, size=8.5)
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
    columns = min(2, len(matrices))
    rows = -(-len(matrices) // columns)
    width, side = WIDE * (1 if columns == 2 else 0.6), WIDE * 0.4
    numbered = len(class_names) <= _MAX_NUMBERED
    figure = Figure((width, (side + (1 if numbered else 0.7)) * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(matrices) :]:
        axes.remove()
    most = max(max(map(max, matrix)) for _, matrix in matrices)
    for axes, (number, matrix) in zip(grid.flat, matrices, strict=False):
        cells = np.array(matrix, dtype=float)
        mistakes = cells * (1 - np.eye(len(cells)))
        image = _draw_matrix(
            axes, cells, class_names, texts=_counts(mistakes), side=side, size=8.5, most=most
        )
        axes.set_title(f"Trial {number}: {mistakes.sum():,.0f} mistakes")
    if not numbered:
        shown = list(grid.flat[: len(matrices)])
        figure.colorbar(image, ax=shown, shrink=0.6).outline.set_visible(False)
    return figure


def draw_difference(difference: Difference, class_names: Sequence[str]) -> Figure:
    """Where a second trial answers the same examples differently than a first."""
    cells = np.array(difference.cells, dtype=float)
    numbered = len(cells) <= _MAX_NUMBERED
    width = WIDE * (0.68 if numbered else 0.92)
    # Long names push the axis' own name to the edge, where a reader's font may be a little larger.
    figure = Figure((width, width * 0.86), layout=ConstrainedLayoutEngine(w_pad=0.12))
    axes = figure.add_subplot()
    extreme = max(float(np.abs(cells).max()), 4.0)
    _name(axes, class_names, side=width * 0.76, size=8.5)
    # Purple for fewer examples, orange for more, white in the middle.
    image = draw_cells(
        axes,
        cells,
        texts=[[_signed(cell) for cell in row] for row in cells] if numbered else None,
        norm=FuncNorm((_signed_root, _signed_square), vmin=-extreme, vmax=extreme),
        colours="PuOr_r",
        size=9,
    )
    axes.set_title(f"Examples of trial {difference.second} minus those of trial {difference.first}")
    if not numbered:
        figure.colorbar(image, ax=axes, shrink=0.8).outline.set_visible(False)
    return figure


def _signed_root(values: np.ndarray) -> np.ndarray:
    root: np.ndarray = np.sign(values) * np.sqrt(np.abs(values))
    return root


def _signed_square(values: np.ndarray) -> np.ndarray:
    square: np.ndarray = np.sign(values) * np.square(values)
    return square


def _counts(cells: np.ndarray) -> list[list[str]]:
    """What is written into the cells: nothing into an empty one, no more than five characters."""
    return [[_count(cell) for cell in row] for row in cells]


def _count(count: float) -> str:
    return "" if not count else f"{count:.0f}" if abs(count) < 100_000 else f"{count:.0e}"


def _signed(count: float) -> str:
    return f"{'+' if count > 0 else ''}{_count(count)}".replace("-", "−")


def _draw_matrix(
    axes: Axes,
    cells: np.ndarray,
    class_names: Sequence[str],
    *,
    texts: Sequence[Sequence[str]] | None,
    side: float,
    size: float,
    most: float = 0.0,
) -> AxesImage:
    """One matrix of about so many inches; without texts if it has too many classes.

    The colours end at the largest cell, or at `most` where several matrices share them.
    """
    norm = PowerNorm(_GAMMA, vmin=0, vmax=max(float(cells.max()), most, 1.0))
    if len(cells) > _MAX_NUMBERED:
        texts = None
    _name(axes, class_names, side=side, size=size)
    return draw_cells(axes, cells, texts=texts, norm=norm, colours="Blues", size=size)


def _name(axes: Axes, class_names: Sequence[str], *, side: float, size: float) -> None:
    name_sides(axes, class_names, class_names, pitch=72 * side / len(class_names), size=size)
    axes.set_xlabel("Predicted class")
    axes.set_ylabel("True class")
