"""Figures whose points tell their values when a reader points at them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["HoverFigure"]

_MAX_POINTS = 200  # of an axes, those explained first; a page must stay small
_BETWEEN = "|"
_PART = re.compile(r"(?<=,) |(?<=:) (?=\S+$)")  # "trial 3," and "epoch 7:" are in many texts


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

    def points(self) -> dict[str, str]:
        """What a page needs to know of the points, once the layout is done; empty without any.

        `data-points` is `X Y PART PART…|X Y PART…`, in points from the upper left corner. The parts
        are places in `data-parts`, `TEXT|TEXT…`: what many texts have in common is there once.
        """
        found: list[str] = []
        parts: dict[str, int] = {}
        counts: Counter[Axes] = Counter()
        for axes, x, y, texts in self._explained:
            with np.errstate(all="ignore"):  # of what a logarithmic axis cannot show
                places = axes.transData.transform(np.column_stack([x, y]).reshape(-1, 2))
            across, down = 72 * places.T / self.dpi
            width, height = 72 * self.get_size_inches()
            for left, top, text in zip(across, height - down, texts, strict=True):
                is_shown = 0 <= left <= width and 0 <= top <= height  # and no NaN
                if is_shown and counts[axes] < _MAX_POINTS:
                    counts[axes] += 1
                    said = _PART.split(text.replace(_BETWEEN, "/"))
                    places_of = [parts.setdefault(part, len(parts)) for part in said]
                    found.append(" ".join(map(str, [round(left), round(top), *places_of])))
        if not found:
            return {}
        return {"data-points": _BETWEEN.join(found), "data-parts": _BETWEEN.join(parts)}
