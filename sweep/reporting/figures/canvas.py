"""Matplotlib figures → SVG text for a page and PNG bytes for a folder; and what all figures share.

No pyplot: a figure belongs to whoever made it, and nothing global changes.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

__all__ = [
    "BEST",
    "COMPLETE",
    "FAILED",
    "GRID",
    "INK",
    "MUTED",
    "PRUNED",
    "STUDIES",
    "TRAIN",
    "drawing",
    "image_png",
    "to_png",
    "to_svg",
]

# Okabe and Ito's palette: told apart with any kind of colour vision. One colour, one meaning.
COMPLETE = "#0072B2"
PRUNED = "#E69F00"
FAILED = "#D55E00"
BEST = "#009E73"
TRAIN = "#CC79A7"
# Paul Tol's muted palette for whole studies, so that none looks like a state of a trial.
STUDIES = ("#332288", "#CC6677", "#117733", "#88CCEE", "#882255", "#999933", "#44AA99", "#AA4499")
INK, MUTED, GRID = "#22262b", "#6b7280", "#e3e6ea"

_STYLE: Any = {
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "font.family": "DejaVu Sans",  # comes with Matplotlib: the same everywhere
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "path",  # looks the same without this machine's fonts
}


@contextmanager
def drawing() -> Iterator[None]:
    """The style of all figures; needed both to make and to save one."""
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes, which is no reason to stop.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def to_png(figure: Figure) -> bytes:
    """A figure as a PNG file, the same bytes every time."""
    with drawing():
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=160, metadata={"Software": None})
        figure.set_layout_engine("none")  # laid out once; what is saved next is the same picture
        return buffer.getvalue()


def to_svg(figure: Figure, *, name: str, description: str) -> str:
    """A figure as an SVG element for an HTML page.

    Args:
        figure: The figure.
        name: Makes the identifiers of this figure differ from those of all others of a page.
        description: What the figure shows, for those who cannot see it.
    """
    with drawing(), mpl.rc_context({"svg.hashsalt": name}):
        buffer = io.StringIO()
        # Nothing but the picture: no date, no creator, no licence vocabulary.
        nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(buffer, format="svg", metadata=nothing, dpi=160)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->\s*|<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:xlink)?="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = _own_identifiers(svg, name)
    width = figure.get_figwidth() * 96
    label = f'role="img" aria-label="{escape(description)}" style="--width:{width:.0f}px"'
    return svg.replace("<svg", f"<svg {label}", 1)


def _own_identifiers(svg: str, name: str) -> str:
    """Drop identifiers that nothing refers to; begin the others with the figure's name."""
    used = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', svg))
    referred = {one or other for one, other in used}

    def identifier(match: re.Match[str]) -> str:
        return f' id="{name}-{match[1]}"' if match[1] in referred else ""

    svg = re.sub(r'\sid="([^"]*)"', identifier, svg)
    return re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", svg)


def image_png(image: bytes, shape: tuple[int, int], *, brightest: int) -> bytes:
    """A greyscale image as a PNG file.

    Args:
        image: Pixels, one byte each, row by row.
        shape: Height and width in pixels.
        brightest: The value that is drawn white.
    """
    pixels = np.frombuffer(image, np.uint8).reshape(shape).astype(np.uint16)
    scaled = np.minimum(pixels * 255 // max(brightest, 1), 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(scaled).save(buffer, format="png")
    return buffer.getvalue()
