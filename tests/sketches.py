"""Figures that are made but not rendered, because rendering takes most of a report's time."""

from __future__ import annotations

import base64
from collections.abc import Callable
from html import escape
from typing import Any

from sweep.reporting import figures

__all__ = ["sketch"]

_PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)


def _to_png(_figure: object) -> bytes:
    return _PNG


def _to_svg(_figure: object, *, name: str, description: str) -> str:
    return f'<svg id="{name}" role="img" aria-label="{escape(description)}"></svg>'


def sketch(set_attribute: Callable[[Any, str, Any], None] = setattr) -> None:
    """Make reports contain empty pictures from here on."""
    set_attribute(figures, "to_png", _to_png)
    set_attribute(figures, "to_svg", _to_svg)
