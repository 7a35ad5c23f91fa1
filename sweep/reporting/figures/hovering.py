"""Figures whose points tell their values when a reader points at them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["HoverFigure"]

_MAX_POINTS = 200  # of a figure, those explained first; a page must stay small
_BETWEEN = "|"


class HoverFigure(Figure):
    """A figure that knows what its points mean."""

    def __init__(self, size: tuple[float, float], **options: object) -> None:
        super().__init__(size, **options)  # type: ignore[arg-type]
        self._explained: list[tuple[Axes, Sequence[float], Sequence[float], list[str]]] = []

    def explain(
        self, axes: Axes, x: Iterable[float], y: Iterable[float], texts: Iterable[str]
    ) -> None:
        """Say what each point, in coordinates of the axes' data, stands for."""
        self._explained.append((axes, list(x), list(y), list(texts)))

    def points(self) -> str:
        """`X Y TEXT|X Y TEXT…` in points from the upper left corner, once the layout is done."""
        found: list[str] = []
        for axes, x, y, texts in self._explained:
            with np.errstate(all="ignore"):  # of what a logarithmic axis cannot show
                places = axes.transData.transform(np.column_stack([x, y]).reshape(-1, 2))
            across, down = 72 * places.T / self.dpi
            width, height = 72 * self.get_size_inches()
            for left, top, text in zip(across, height - down, texts, strict=True):
                is_shown = 0 <= left <= width and 0 <= top <= height  # and no NaN
                if is_shown and len(found) < _MAX_POINTS:
                    found.append(f"{left:.0f} {top:.0f} {text.replace(_BETWEEN, '/')}")
        return _BETWEEN.join(found)
