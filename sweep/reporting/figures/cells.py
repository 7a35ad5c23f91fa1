"""What heat maps share: cells, the text in them, and names along their sides."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.image import AxesImage

from sweep.reporting.figures.shared import short

__all__ = ["draw_cells", "name_sides"]

# Text in a cell keeps its colour in the dark, as the cell does: nearly black and nearly white,
# which are not in the palette.
_DARK_TEXT, _LIGHT_TEXT = "#010101", "#fefefe"
_LETTER = 0.62  # width of an average character for a font size of 1


def draw_cells(
    axes: Axes,
    cells: np.ndarray,
    *,
    texts: Sequence[Sequence[str]] | None,
    norm: Normalize,
    colours: str,
    size: float,
) -> AxesImage:
    """Coloured cells, with text where there is room for it.

    Args:
        axes: Where to draw.
        cells: Numbers, rows from the top; masked ones stay empty.
        texts: What is written into each cell, or None.
        norm: From a number to a place in the colour map.
        colours: Name of the colour map.
        size: Font size of the text.
    """
    # Without interpolation an SVG holds one pixel a cell, and a browser draws them as squares.
    image = axes.imshow(cells, norm=norm, cmap=colours, interpolation="none", aspect="equal")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    if texts is not None:
        background = image.to_rgba(cells)
        for row, line in enumerate(texts):
            for column, text in enumerate(line):
                colour = _text_colour(background[row, column])
                axes.text(
                    column, row, text,
                    ha="center", va="center", fontsize=size, color=colour, in_layout=False,
                )  # fmt: skip
    return image


def _text_colour(background: np.ndarray) -> str:
    """The text colour that stands out from a cell, by WCAG's relative luminance."""
    channels = background[:3]
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    # Where black and white stand out equally.
    return _DARK_TEXT if linear @ (0.2126, 0.7152, 0.0722) > 0.179 else _LIGHT_TEXT


def name_sides(
    axes: Axes, columns: Sequence[str], rows: Sequence[str], *, pitch: float, size: float
) -> None:
    """Names along the bottom and the left side, as many as stay apart.

    Args:
        axes: Where to draw.
        columns: Names of the columns.
        rows: Names of the rows.
        pitch: About how far apart the cells are, in points.
        size: Font size.
    """
    every = max(1, math.ceil(1.15 * size / pitch))
    shown = [short(name, 18) for name in columns]
    widest = max((len(name) for name in shown), default=0) * _LETTER * size
    tilted = widest > 0.95 * pitch * every
    if tilted:
        every = max(every, math.ceil(1.4 * size / pitch))
    axes.set_xticks(
        range(0, len(columns), every),
        shown[::every],
        rotation=45 if tilted else 0,
        rotation_mode="anchor" if tilted else "default",
        ha="right" if tilted else "center",
        fontsize=size,
    )
    axes.set_yticks(
        range(0, len(rows), every), [short(name, 18) for name in rows][::every], fontsize=size
    )
    axes.tick_params(length=0, pad=3)
